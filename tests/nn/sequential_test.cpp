#include "ganmm/networks.h"
#include "nn/sequential.h"
#include "tests/nn/net.h"

namespace ganmm::nn {
namespace {

using namespace ganmm::test;

void check_refused(const NetworkSpec& spec, const std::string& part) {
  CAPTURE(part);
  CHECK_THROWS_WITH_AS(Sequential<float>{spec}, doctest::Contains(part.c_str()), ConfigError);
}

// Convolution and dense layers around batch norms.
NetworkSpec with_batch_norm() {
  return {"net",
          {5, 6, 2},
          {conv(4, kLeaky), norm(LayerKind::batch_norm, kLeaky), dense({12}),
           norm(LayerKind::batch_norm, kTanh, {2, 3, 2}), dense({3})}};
}

Settings settings_for(NetKind net, Objective objective, Index clusters, Shape item) {
  Settings settings;
  settings.clusters = clusters;
  settings.net = net;
  settings.objective = objective;
  return settings.resolved(1000, item);
}

Index parameters(const NetworkSpec& spec) {
  return Sequential<float>(spec).layout(1).parameters_per_group();
}

}  // namespace

TEST_CASE("sequential: planning errors name network and layer") {
  check_refused({"critic", {4}, {}}, "network 'critic': expected at least one layer");
  check_refused({"critic", {4}, {dense({3}), dense({})}}, "network 'critic', layer 1: dense layer");
  check_refused({"critic", {4}, {dense({0})}}, "network 'critic', layer 0: dense layer");
  check_refused({"critic", {4}, {conv(3)}}, "network 'critic', layer 0: conv layer");
  check_refused({"critic", {4, 4, 1}, {conv(3), dense({3}), conv(2)}},
                "network 'critic', layer 2: conv layer");
  check_refused({"critic", {4}, {dense({3}, {kernels::ActivationKind::leaky_relu, 1.0})}},
                "network 'critic', layer 0: expected a leaky_relu slope in (0, 1), found 1");
  check_refused({"critic", {4, 4, 1}, {conv(0)}}, "network 'critic', layer 0: ");
  check_refused(
      {"critic", {4, 4, 1}, {{.kind = LayerKind::conv, .output = {0, 0, 2}, .stride = 0}}},
      "network 'critic', layer 0: ");
  check_refused(
      {"g", {4}, {dense({2, 2, 1}), deconv({7, 4, 1})}},
      "network 'g', layer 1: deconv layer: a convolution of 7x4x1 with stride 2 gives 4x2");
  check_refused({"g", {2, 2, 1}, {deconv({4})}}, "network 'g', layer 0: deconv layer");
  check_refused({"g", {4, 4, 1}, {deconv({9, 7, 1}, {}, {8, 8, 1})}},
                "network 'g', layer 0: deconv layer");
  check_refused({"g", {4, 4, 1}, {deconv({4, 7, 1}, {}, {8, 8, 1})}},
                "network 'g', layer 0: deconv layer");
  check_refused({"g", {6}, {norm(LayerKind::batch_norm, {}, {2, 2})}},
                "network 'g', layer 0: norm layer");
  check_refused({"g", {4, 4, 2}, {crop({5, 4, 2})}}, "network 'g', layer 0: crop layer");
  check_refused({"g", {4, 4, 2}, {crop({4, 4, 1})}}, "network 'g', layer 0: crop layer");
}

TEST_CASE("sequential: batch norm needs a statistics batch that divides the batch") {
  const Sequential<float> net(with_batch_norm());
  Arena arena;
  CHECK_THROWS_AS(Tape<float>(arena, "tape", net, 1, 7, TapeUse::forward, 3), ShapeError);
  CHECK_THROWS_AS(Tape<float>(arena, "tape", net, 1, 3, TapeUse::forward, 7), ShapeError);
  CHECK_NOTHROW(Tape<float>(arena, "tape", net, 1, 6, TapeUse::forward, 3));
}

GANMM_CPU_CASE("sequential: every statistics batch is normalised as if it were alone") {
  const Index groups = 2, rows = 3;
  const NetworkSpec spec = with_batch_norm();
  TestNet<T> both(spec, groups, 2 * rows, TapeUse::backward, rows);
  TestNet<T> alone(spec, groups, rows, TapeUse::backward);
  RandomData random(1);
  both.draw_parameters(random);
  alone.set_parameters(both.parameters());
  const Values y = both.forward(random.reals<T>(groups * 2 * rows * spec.input.count(), -1, 1));
  both.backward(random.reals<T>(static_cast<Index>(y.size()), -1, 1));

  TestNet<T> merged(spec, groups, 2 * rows, TapeUse::backward);
  merged.set_parameters(both.parameters());
  CHECK(merged.forward(read(both.input())) != y);

  // The last layer is linear, so its signal is still that of the output.
  for (const Index first : {Index{0}, rows}) {
    CAPTURE(first);
    check_equal(alone.forward(read(both.input().rows(first, rows))),
                read(both.output().rows(first, rows)));
    alone.backward(read(both.output_signal().rows(first, rows)));
    check_equal(read(alone.input_gradient()), read(both.input_gradient().rows(first, rows)));
  }
}

GANMM_CPU_CASE("sequential: bound input shared by all groups equals copies of it") {
  const Index groups = 3, batch = 4;
  const NetworkSpec spec{"net", {5, 4, 1}, {conv(3, kLeaky), dense({2})}};
  TestNet<T> t(spec, groups, batch, TapeUse::backward);
  RandomData random(1);
  t.draw_parameters(random);
  const Values shared = random.reals<T>(batch * 20, -1, 1);
  Values copies;
  for (Index n = 0; n < groups; ++n) copies.insert(copies.end(), shared.begin(), shared.end());
  const Values y = t.forward(copies);
  const Values d_y = random.reals<T>(static_cast<Index>(y.size()), -1, 1);
  t.backward(d_y);

  Arena arena, full_arena;
  Tape<T> tape(arena, "bound", t.net, groups, batch, TapeUse::backward, 0, true);
  const Tape<T> full(full_arena, "owned", t.net, groups, batch, TapeUse::backward);
  CHECK(arena.requests().size() + 1 == full_arena.requests().size());
  arena.reserve();
  CHECK_THROWS_AS(t.net.forward(t.ctx, t.store.all(), tape, batch), ShapeError);

  const std::vector<T> data(shared.begin(), shared.end());
  std::vector<T> kept = data;
  tape.bind_input({kept.data(), groups, batch, {20}, 0, 20});
  t.net.forward(t.ctx, t.store.all(), tape, batch);
  check_equal(read(tape.output()), y);
  const Values gradients = t.gradients();
  t.fill_gradients(0);
  write(tape.signal(tape.depth()), d_y);
  t.net.backward(t.ctx, t.store.all(), tape,
                 {.rows = batch, .input_rows = batch, .param_rows = batch});
  check_equal(t.gradients(), gradients);
  check_equal(read(tape.signal(0)), read(t.input_gradient()));
  CHECK(same_bits(kept, data));
}

GANMM_CPU_CASE("sequential: bound input that does not fit the tape is refused") {
  Arena arena;
  const Sequential<T> net({"net", {3}, {dense({2})}});
  Tape<T> tape(arena, "bound", net, 2, 4, TapeUse::forward, 0, true);
  arena.reserve();
  std::vector<T> data(100);
  const auto bind = [&](Index groups, Index batch, Index features) {
    tape.bind_input(GroupView<const T>(data.data(), groups, batch, {features}));
  };
  CHECK_THROWS_WITH_AS(bind(2, 4, 5), doctest::Contains("tape input: expected [N=2]"), ShapeError);
  CHECK_THROWS_AS(bind(3, 4, 3), ShapeError);
  CHECK_THROWS_AS(bind(2, 5, 3), ShapeError);
  CHECK_NOTHROW(bind(2, 3, 3));
}

TEST_CASE("published networks: images of 28 x 28 have the published parameter counts") {
  const Shape item{28, 28, 1};
  const Networks nets =
      make_networks(settings_for(NetKind::conv, Objective::wgan_gp, 10, item), item);
  CHECK(parameters(nets.critic) == 1030145);
  CHECK(parameters(nets.generator) == 1554177);
  CHECK(parameters(nets.classifier) == 269322);
}

TEST_CASE("published networks: tables have the published parameter counts") {
  struct Table {
    NetKind net;
    Index features, generator, critic;
  };
  for (const Table& table : {Table{NetKind::mlp, 6, 4550, 513}, Table{NetKind::mlp, 19, 5395, 1345},
                             Table{NetKind::small, 10, 2410, 385}}) {
    for (const Objective objective : {Objective::wgan_gp, Objective::wgan_clip}) {
      CAPTURE(table.features);
      const Shape item{table.features};
      const Networks nets = make_networks(settings_for(table.net, objective, 10, item), item);
      CHECK(parameters(nets.generator) == table.generator);
      CHECK(parameters(nets.critic) == table.critic);
    }
  }
}

TEST_CASE("published networks: generators make items, critics scores, classifiers logits") {
  for (const Shape& item : {Shape{28, 28, 1}, Shape{16, 16, 1}, Shape{8, 8, 1}, Shape{9, 13, 3},
                            Shape{3, 1, 2}, Shape{17}}) {
    for (const Objective objective : {Objective::wgan_gp, Objective::wgan_clip}) {
      CAPTURE(to_string(item));
      CAPTURE(to_string(objective));
      Settings settings =
          settings_for(item.rank() == 3 ? NetKind::conv : NetKind::mlp, objective, 5, item);
      settings.width = 2;
      const Networks nets = make_networks(settings, item);
      const std::vector<std::pair<NetworkSpec, Shape>> expected = {
          {nets.generator, item}, {nets.critic, {1}}, {nets.classifier, {5}}};
      for (const auto& [spec, output] : expected) {
        CAPTURE(spec.name);
        TestNet<float> t(spec, 1, 2, TapeUse::backward);
        CHECK(t.net.output() == output);
        // The sizes must suit the kernels as well.
        RandomData random(1);
        t.draw_parameters(random);
        const Values y = t.forward(random.reals<float>(2 * spec.input.count(), -1, 1));
        CHECK(all_finite(y));
        t.backward(Values(y.size(), 1.0));
        CHECK(all_finite(t.gradients()));
        CHECK_FALSE(all_zero(t.gradients()));
      }
    }
  }
}

TEST_CASE("published networks: a penalty exists with wgan-gp, batch norm comes with wgan-clip") {
  const Shape item{28, 28, 1};
  const auto critic = [&](Objective objective) {
    return make_networks(settings_for(NetKind::conv, objective, 10, item), item).critic;
  };
  CHECK_NOTHROW(Sequential<float>(critic(Objective::wgan_gp)).require_penalty());
  CHECK_THROWS_WITH_AS(Sequential<float>(critic(Objective::wgan_clip)).require_penalty(),
                       doctest::Contains("network 'critic': layer 2 is a batch norm"), ConfigError);
}

}  // namespace ganmm::nn
