// M-steps in one op (kernels/mlp_step.h) against M-steps layer by layer, these against the
// definition.
#include "ganmm/m_step.h"
#include "kernels/core/rng.h"
#include "kernels/cpu/mlp_step.h"
#include "kernels/random.h"
#include "nn/mlp.h"
#include "tests/reference/mlp_step.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <vector>

using namespace ganmm;
using kernels::Activation;
using kernels::ActivationKind;
using kernels::MlpStepBatches;
using kernels::MlpStepLosses;

namespace {

const Activation kRelu{ActivationKind::relu};
const Activation kLeaky{ActivationKind::leaky_relu, 0.2};
const Activation kTanh{ActivationKind::tanh};
const Activation kSigmoid{ActivationKind::sigmoid};

constexpr Index kRows = 120;

struct Hidden {
  Index units;
  Activation activation;
};

struct Case {
  Index noise, features;
  std::vector<Hidden> generator, critic;
  Index batch = 50, critic_steps = 5, components = 1, mixtures = 1;
};

nn::NetworkSpec chain(const char* name, Index input, const std::vector<Hidden>& hidden,
                      Index output) {
  nn::NetworkSpec spec{name, {input}, {}};
  for (const Hidden& h : hidden) {
    spec.layers.push_back(
        {.kind = nn::LayerKind::dense, .output = {h.units}, .activation = h.activation});
  }
  spec.layers.push_back({.kind = nn::LayerKind::dense, .output = {output}});
  return spec;
}

Settings settings_of(const Case& c, Objective objective) {
  Settings s;
  s.clusters = c.components;
  s.restarts = c.mixtures;
  s.noise = c.noise;
  s.seed = 11;
  s.net = NetKind::mlp;
  s.objective = objective;
  s.batch = c.batch;
  s.critic_steps = c.critic_steps;
  s.learning_rate = objective == Objective::wgan_clip ? 5e-5 : 2e-4;
  s.generator_learning_rate = s.learning_rate;
  return s;
}

// A mixture with everything that M-steps need, from the same start every time.
struct Trained {
  Trained(const Case& c, Objective objective, bool one_op)
      : s(settings_of(c, objective)),
        mixture(arena, s,
                {chain("generator", c.noise, c.generator, c.features),
                 chain("critic", c.features, c.critic, 1),
                 chain("classifier", c.features, {}, std::max<Index>(c.components, 2))},
                c.mixtures, nn::StoreUse::training),
        data(arena.request<float>("data", kRows * c.features)),
        row(arena.request<std::int32_t>("rows", mixture.groups() * s.critic_steps * s.batch)),
        losses(arena, mixture.groups()), features(c.features) {
    ctx.scratch().replan();
    step = std::make_unique<MStep<float>>(arena, ctx, mixture, s, 1, one_op);
    CHECK(step->layer_by_layer_because() == (one_op ? "" : "so wanted"));
    arena.reserve();
    ctx.scratch().reserve();
    for (Index i = 0; i < data.count(); ++i) {
      data.data()[i] = uniform01(philox(1, static_cast<std::uint32_t>(i), 0, 0, 0).word[0]);
    }
    for (auto* store : {&mixture.generator_params, &mixture.critic_params}) {
      store->initialize(ctx, s.seed, 0, 0, mixture.groups());
    }
    kernels::optimizer_reset<float>(ctx, mixture.generator_params.all().slabs(), s.optimizer());
    kernels::optimizer_reset<float>(ctx, mixture.critic_params.all().slabs(), s.critic_optimizer());
  }

  void draw(std::uint32_t step_number) {
    for (Index i = 0; i < row.count(); ++i) {
      const auto word = philox(2, static_cast<std::uint32_t>(i), step_number, 0, 0).word[0];
      row.data()[i] = static_cast<std::int32_t>(uniform_below(word, kRows));
    }
  }

  void run(Index iterations, bool clip = true) {
    const MStepRows rows{{data.data(), 1, kRows, {features}}, row.data()};
    for (Index i = 0; i < iterations; ++i, ++clock.step) {
      draw(clock.step);
      for (Index g = 0; g < mixture.groups(); ++g) {
        step->run(ctx, mixture, g, rows, losses, &clock, clip);
      }
    }
  }

  // What M-step `number` of group g drew.
  reference::MlpDraws draws(Index g, std::uint32_t number) {
    const auto noise = [&](Purpose purpose, Index rows) {
      std::vector<float> values(static_cast<std::size_t>(rows * s.noise));
      kernels::fill_normal<float>(ctx, {values.data(), 1, rows, {s.noise}}, 0, 1,
                                  {s.seed, purpose, number, static_cast<std::uint32_t>(g)});
      std::vector<reference::Values> z;
      for (auto first = values.begin(); first != values.end(); first += s.noise) {
        z.emplace_back(first, first + s.noise);
      }
      return z;
    };
    const Index rows = s.critic_steps * s.batch;
    reference::MlpDraws result{
        noise(Purpose::generator_noise, s.batch), noise(Purpose::noise, rows), {}, {}};
    for (Index b = 0; b < rows; ++b) {
      const float* x = data.data() + row.data()[g * rows + b] * features;
      result.real.emplace_back(x, x + features);
      const auto interpolation = number * static_cast<std::uint32_t>(s.critic_steps) +
                                 static_cast<std::uint32_t>(b / s.batch);
      const Index e = b % s.batch;
      const Philox words = philox({s.seed, Purpose::interpolation, interpolation},
                                  static_cast<std::uint32_t>(g), static_cast<std::uint32_t>(e / 4));
      result.alpha.push_back(static_cast<double>(uniform01(words.word[e % 4])));
    }
    return result;
  }

  using Tensors = std::vector<std::vector<float>>;
  Tensors tensors() {
    Tensors all;
    for (const auto* store : {&mixture.generator_params, &mixture.critic_params}) {
      for (std::size_t t = 0; t < store->layout().specs().size(); ++t) {
        all.push_back(store->download(ctx, static_cast<int>(t)));
      }
    }
    return all;
  }
  std::vector<float> loss_values() {
    std::vector<float> all;
    for (const auto* loss : {&losses.real, &losses.fake, &losses.penalty, &losses.generated}) {
      all.insert(all.end(), loss->data(), loss->data() + loss->count());
    }
    return all;
  }

  Settings s;
  Context ctx;
  Arena arena;
  Mixture<> mixture;
  Buffer<float> data;
  Buffer<std::int32_t> row;
  MStepLosses losses;
  Index features;
  std::unique_ptr<MStep<float>> step;
  kernels::Clock clock;
};

// Group g of a network of dense layers in double.
reference::Chain chain_of(const nn::ParamStore<float>& store,
                          const kernels::OptimizerSettings& optimizer, Context& ctx, Index g,
                          const std::vector<Activation>& activations) {
  const auto parameters = [&](std::size_t tensor) {
    const std::vector<float> all = store.download(ctx, static_cast<int>(tensor));
    const auto count = static_cast<std::ptrdiff_t>(store.layout().specs()[tensor].shape.count());
    std::vector<reference::Parameter> result;
    for (auto value = all.begin() + g * count; value != all.begin() + (g + 1) * count; ++value) {
      result.emplace_back().value = static_cast<double>(*value);
      result.back().reset(optimizer);
    }
    return result;
  };
  reference::Chain net;
  for (std::size_t l = 0; l < activations.size(); ++l) {
    const Shape shape = store.layout().specs()[2 * l].shape;
    net.push_back({shape[0], shape[1], activations[l], parameters(2 * l), parameters(2 * l + 1)});
  }
  return net;
}

float largest_difference(const Trained::Tensors& a, const Trained::Tensors& b) {
  float largest = 0;
  REQUIRE(a.size() == b.size());
  for (std::size_t t = 0; t < a.size(); ++t) {
    REQUIRE(a[t].size() == b[t].size());
    for (std::size_t i = 0; i < a[t].size(); ++i) {
      const float difference = std::abs(a[t][i] - b[t][i]);
      largest = std::isnan(difference) ? difference : std::max(largest, difference);
      if (std::isnan(largest)) return largest;
    }
  }
  return largest;
}

// Weights after 1 and after 20 iterations, apart by a share of what they can have moved: a gradient
// that all but cancels has a large relative error, which the optimisers turn into a share of a
// step.
void check_equal_paths(const Case& c, Objective objective) {
  CAPTURE(c.features);
  CAPTURE(c.batch);
  CAPTURE(c.critic.size());
  CAPTURE(static_cast<int>(objective));
  Trained layers(c, objective, false), one_op(c, objective, true);
  REQUIRE(largest_difference(layers.tensors(), one_op.tensors()) == 0);
  Index done = 0;
  for (const auto& [iterations, share] : {std::pair<Index, double>{1, 5e-3}, {19, 1e-3}}) {
    layers.run(iterations);
    one_op.run(iterations);
    done += iterations;
    const double path = layers.s.learning_rate * static_cast<double>(done * c.critic_steps);
    const double difference = largest_difference(one_op.tensors(), layers.tensors());
    CHECK(difference <= share * path);
    const auto losses = one_op.loss_values(), expected_losses = layers.loss_values();
    for (std::size_t i = 0; i < losses.size(); ++i) {
      CHECK(losses[i] == doctest::Approx(expected_losses[i]).epsilon(1e-4));
    }
  }
}

}  // namespace

TEST_CASE("m_step: one op and layer by layer agree, published networks") {
  for (const Objective objective : {Objective::wgan_gp, Objective::wgan_clip}) {
    for (const Index features : {1, 6, 19}) {
      check_equal_paths({64, features, {{64, kRelu}}, {{64, kRelu}}}, objective);
    }
    check_equal_paths({.noise = 64,
                       .features = 6,
                       .generator = {{64, kRelu}},
                       .critic = {{64, kRelu}},
                       .batch = 7,
                       .components = 7,
                       .mixtures = 2},
                      objective);
  }
}

TEST_CASE("m_step: one op and layer by layer agree, odd widths and depths") {
  for (const Objective objective : {Objective::wgan_gp, Objective::wgan_clip}) {
    check_equal_paths({.noise = 5,
                       .features = 6,
                       .generator = {{33, kLeaky}, {5, kRelu}},
                       .critic = {{5, kLeaky}, {33, kRelu}},
                       .batch = 7,
                       .critic_steps = 3},
                      objective);
    check_equal_paths({.noise = 33,
                       .features = 19,
                       .generator = {{64, kRelu}, {16, kLeaky}, {33, kRelu}},
                       .critic = {{64, kLeaky}, {33, kLeaky}, {17, kLeaky}},
                       .batch = 13,
                       .components = 2},
                      objective);
    check_equal_paths(
        {.noise = 1, .features = 1, .generator = {}, .critic = {{1, kLeaky}}, .batch = 1},
        objective);
  }
  check_equal_paths({.noise = 64,
                     .features = 70,
                     .generator = {{256, kLeaky}},
                     .critic = {{256, kLeaky}, {256, kLeaky}},
                     .batch = 50,
                     .critic_steps = 2},
                    Objective::wgan_gp);
}

TEST_CASE("m_step: one op and layer by layer agree, smooth activations") {
  for (const Objective objective : {Objective::wgan_gp, Objective::wgan_clip}) {
    check_equal_paths({.noise = 8,
                       .features = 6,
                       .generator = {{33, kTanh}, {20, kSigmoid}},
                       .critic = {{33, kTanh}, {20, kSigmoid}},
                       .batch = 7},
                      objective);
    check_equal_paths({.noise = 8,
                       .features = 5,
                       .generator = {{33, kTanh}},
                       .critic = {{16, kSigmoid}, {12, kLeaky}, {20, kTanh}},
                       .batch = 10},
                      objective);
    check_equal_paths({.noise = 8,
                       .features = 5,
                       .generator = {{33, kTanh}},
                       .critic = {{16, kLeaky}, {20, kTanh}, {12, kLeaky}},
                       .batch = 10},
                      objective);
  }
}

// Layer by layer against the definition, row by row in double. The objectives of Wasserstein are
// here too, so that what differs is the loss alone.
TEST_CASE("m_step: layer by layer follows the definition, every objective") {
  const Case c{.noise = 5,
               .features = 6,
               .generator = {{16, kRelu}},
               .critic = {{20, kLeaky}},
               .batch = 9,
               .critic_steps = 3,
               .components = 2};
  for (const Objective objective : {Objective::gan, Objective::wgan_gp, Objective::wgan_clip}) {
    CAPTURE(static_cast<int>(objective));
    Trained run(c, objective, false);
    const auto start = run.tensors();
    std::vector<reference::MlpGan> gans;
    for (Index g = 0; g < c.components; ++g) {
      gans.push_back(
          {chain_of(run.mixture.generator_params, run.s.optimizer(), run.ctx, g, {kRelu, {}}),
           chain_of(run.mixture.critic_params, run.s.critic_optimizer(), run.ctx, g,
                    {kLeaky, {}})});
    }
    kernels::MlpStepSettings settings;
    settings.generator_optimizer = run.s.optimizer();
    settings.critic_optimizer = run.s.critic_optimizer();
    settings.with_penalty = objective == Objective::wgan_gp;
    settings.penalty = run.s.penalty;
    settings.critic_steps = c.critic_steps;
    settings.batch = c.batch;
    constexpr Index kSteps = 3;
    for (Index i = 0; i < kSteps; ++i) {
      const std::uint32_t step = run.clock.step;
      run.run(1);
      for (Index g = 0; g < c.components; ++g) {
        reference::MlpGan& gan = gans[static_cast<std::size_t>(g)];
        const auto means =
            reference::mlp_step(gan, run.draws(g, step), settings, objective == Objective::gan);
        CHECK(run.losses.real.data()[g] == doctest::Approx(means.real).epsilon(1e-4));
        CHECK(run.losses.fake.data()[g] == doctest::Approx(means.fake).epsilon(1e-4));
        CHECK(run.losses.generated.data()[g] == doctest::Approx(means.generated).epsilon(1e-4));
      }
    }
    // As check_equal_paths: a share of the way that a weight can have gone.
    const double path = run.s.learning_rate * static_cast<double>(kSteps * c.critic_steps);
    const auto trained = run.tensors();
    double largest = 0;
    std::array<double, 2> moved{};  // generators, critics
    for (Index g = 0; g < c.components; ++g) {
      const auto& gan = gans[static_cast<std::size_t>(g)];
      std::size_t tensor = 0;
      for (const auto& [net, way] :
           {std::pair{&gan.generator, &moved[0]}, {&gan.critic, &moved[1]}}) {
        for (const auto& layer : *net) {
          for (const auto* expected : {&layer.weight, &layer.bias}) {
            const auto first = static_cast<std::size_t>(g) * expected->size();
            for (std::size_t i = 0; i < expected->size(); ++i) {
              const auto value = static_cast<double>(trained[tensor][first + i]);
              largest = std::max(largest, std::abs(value - (*expected)[i].value));
              *way =
                  std::max(*way, std::abs(value - static_cast<double>(start[tensor][first + i])));
            }
            ++tensor;
          }
        }
      }
    }
    CHECK(largest <= 5e-3 * path);
    CHECK(moved[0] >= 0.1 * run.s.learning_rate * kSteps);
    CHECK(moved[1] >= 0.1 * path);
  }
}

TEST_CASE("m_step: one op is declined for an objective that it does not have") {
  Settings s =
      settings_of({.noise = 4, .features = 3, .generator = {}, .critic = {}}, Objective::gan);
  Arena arena;
  Context ctx;
  const Mixture<> mixture(arena, s, {3}, nn::StoreUse::training);
  kernels::MlpStepSettings step;
  CHECK(describe_mlp_step(ctx, mixture, s, step) == "the objective is not Wasserstein's");
  s.objective = Objective::wgan_gp;
  CHECK(describe_mlp_step(ctx, mixture, s, step) == "");
}

TEST_CASE("m_step: one op leaves out clipping when told to") {
  const Case c{.noise = 8, .features = 6, .generator = {{16, kRelu}}, .critic = {{20, kRelu}}};
  for (const bool clip : {false, true}) {
    Trained one_op(c, Objective::wgan_clip, true);
    one_op.run(2, clip);
    float largest = 0;
    for (const float w : one_op.mixture.critic_params.download(one_op.ctx, 0)) {
      largest = std::max(largest, std::abs(w));
    }
    CHECK((largest <= 0.01f) == clip);
  }
}

TEST_CASE("m_step: several M-steps of several groups in a call are those of single calls") {
  const Case c{.noise = 8,
               .features = 6,
               .generator = {{33, kRelu}},
               .critic = {{20, kLeaky}},
               .batch = 10,
               .components = 3};
  Trained single(c, Objective::wgan_gp, true), joined(c, Objective::wgan_gp, true);
  constexpr Index kSteps = 3;
  std::vector<std::int32_t> rows;
  for (Index i = 0; i < kSteps; ++i) {
    joined.draw(static_cast<std::uint32_t>(i));
    rows.insert(rows.end(), joined.row.data(), joined.row.data() + joined.row.count());
  }
  single.run(kSteps);
  kernels::MlpStepSettings settings{
      .generator = {8, 2, {33, 6}, {kRelu, {}}},
      .critic = {6, 2, {20, 1}, {kLeaky, {}}},
      .generator_optimizer = joined.s.optimizer(),
      .critic_optimizer = joined.s.critic_optimizer(),
      .with_penalty = true,
      .penalty = joined.s.penalty,
      .critic_steps = c.critic_steps,
      .batch = c.batch,
  };
  const Index drawn = c.critic_steps * c.batch;
  // Groups 1 and 2 in one call, group 0 alone; the step number from a counter.
  const std::uint32_t counter = 0;
  for (const auto& [first, groups] : {std::pair<Index, Index>{1, 2}, {0, 1}}) {
    kernels::mlp_step(joined.ctx, joined.mixture.generator_params.range(first, groups).slabs(),
                      joined.mixture.critic_params.range(first, groups).slabs(),
                      {{joined.data.data(), 1, kRows, {6}},
                       rows.data() + first * drawn,
                       drawn,
                       joined.row.count()},
                      {joined.losses.real.data() + first, joined.losses.fake.data() + first,
                       joined.losses.penalty.data() + first, nullptr},
                      {joined.s.seed, {}, 0, static_cast<std::uint32_t>(first), &counter, 1},
                      kSteps, settings);
  }
  CHECK(largest_difference(single.tensors(), joined.tensors()) == 0);
  for (Index g = 0; g < 3; ++g) {
    CHECK(joined.losses.real.data()[g] == single.losses.real.data()[g]);
    CHECK(joined.losses.penalty.data()[g] == single.losses.penalty.data()[g]);
  }
}

TEST_CASE("m_step: every instruction set makes the same M-steps up to rounding") {
  using kernels::cpu::Isa;
  const Case c{.noise = 9,
               .features = 6,
               .generator = {{33, kTanh}, {20, kRelu}},
               .critic = {{20, kLeaky}, {37, kTanh}},
               .batch = 11,
               .critic_steps = 3};
  Trained expected(c, Objective::wgan_gp, true);
  const auto start = expected.tensors();
  expected.run(2);
  std::vector<Isa> all = {Isa::baseline};
  if (kernels::cpu::best_isa() != Isa::baseline) all.push_back(Isa::avx2);
  if (kernels::cpu::best_isa() == Isa::avx512) all.push_back(Isa::avx512);
  for (const Isa isa : all) {
    CAPTURE(static_cast<int>(isa));
    Trained run(c, Objective::wgan_gp, true);
    const kernels::MlpStepSettings settings{
        .generator = {9, 3, {33, 20, 6}, {kTanh, kRelu, {}}},
        .critic = {6, 3, {20, 37, 1}, {kLeaky, kTanh, {}}},
        .generator_optimizer = run.s.optimizer(),
        .critic_optimizer = run.s.critic_optimizer(),
        .with_penalty = true,
        .penalty = run.s.penalty,
        .critic_steps = c.critic_steps,
        .batch = c.batch,
    };
    for (std::uint32_t i = 0; i < 2; ++i) {
      run.draw(i);
      kernels::cpu::mlp_step_with(
          kernels::cpu::mlp_step_loops(isa), run.ctx, run.mixture.generator_params.all().slabs(),
          run.mixture.critic_params.all().slabs(),
          {{run.data.data(), 1, kRows, {6}}, run.row.data(), run.row.count(), 0}, {},
          {run.s.seed, {}, i, 0}, 1, settings);
    }
    const auto expected_tensors = expected.tensors();
    const float moved = largest_difference(expected_tensors, start);
    CHECK(largest_difference(run.tensors(), expected_tensors) <= 2e-3f * moved);
  }
}

TEST_CASE("m_step: networks that are no small dense chains go layer by layer, and say why") {
  Context ctx;
  kernels::MlpStepSettings good{.generator = {8, 2, {33, 6}, {kRelu, {}}},
                                .critic = {6, 2, {20, 1}, {kRelu, {}}},
                                .generator_optimizer = {},
                                .critic_optimizer = {}};
  CHECK(kernels::mlp_step_refusal(ctx, good).empty());
  const auto refuses = [&](const char* part, auto&& change) {
    auto bad = good;
    change(bad);
    const std::string reason = kernels::mlp_step_refusal(ctx, bad);
    CHECK(reason.find(part) != std::string::npos);
    CAPTURE(reason);
  };
  refuses("257", [](auto& s) { s.critic.width[0] = 257; });
  refuses("not linear", [](auto& s) { s.generator.activation[1] = kRelu; });
  refuses("2 outputs", [](auto& s) { s.critic.width[1] = 2; });
  refuses("reads 6", [](auto& s) { s.generator.width[1] = 5; });
  refuses("65 critic steps", [](auto& s) { s.critic_steps = 65; });
  refuses("no hidden layer", [](auto& s) { s.critic = {6, 1, {1}, {}}; });
  refuses("0 layers", [](auto& s) { s.generator.layers = 0; });
  refuses("epsilon", [](auto& s) { s.critic_optimizer.epsilon = 0; });

  kernels::Mlp mlp;
  auto spec = chain("critic", 6, {{20, kRelu}}, 1);
  CHECK(nn::describe_mlp(spec, mlp).empty());
  spec.layers.insert(spec.layers.begin() + 1, {.kind = nn::LayerKind::layer_norm});
  CHECK(nn::describe_mlp(spec, mlp) == "layer 1 of the critic is not dense with a bias");
  spec.layers.resize(5);
  CHECK(nn::describe_mlp(spec, mlp) == "the critic has 5 layers, expected at most 4");
}
