#include "kernels/mlp_step.h"
#include "kernels/select.h"
#include "tests/reference/mlp_step.h"
#include "tests/support/devices.h"
#include "tests/support/guard_buffer.h"
#include "tests/support/random_data.h"

#include <array>
#include <string>
#include <utility>

namespace ganmm::kernels {
namespace {

using namespace ganmm::test;
using reference::at;

constexpr Index kDataRows = 61;
constexpr Index kGroupsBefore = 1, kGroupsAfter = 1;  // of the slabs, not of the call

struct MlpCase {
  Index groups, noise, hidden, features, critic_hidden, batch, critic_steps;
  std::string name() const {
    return message(groups, " x ", noise, "-", hidden, "-", features, "-", critic_hidden,
                   "-1, batch ", batch, " x ", critic_steps);
  }
};

// Epsilon is large enough that a gradient's rounding error moves an update by as little as itself:
// with 1e-8 the first update is the gradient's sign.
OptimizerSettings adam(double rate) { return {OptimizerKind::adam, rate, 0.5, 0.9, 0.01, 0.0}; }
OptimizerSettings rmsprop(double rate, double clip) {
  return {OptimizerKind::rmsprop, rate, 0.0, 0.9, 1e-10, clip};
}

MlpStepSettings settings_of(const MlpCase& c, bool with_penalty) {
  MlpStepSettings s;
  s.generator.input = c.noise;
  s.generator.layers = 2;
  s.generator.width[0] = c.hidden;
  s.generator.width[1] = c.features;
  s.generator.activation[0] = {ActivationKind::relu};
  s.critic.input = c.features;
  s.critic.layers = 2;
  s.critic.width[0] = c.critic_hidden;
  s.critic.width[1] = 1;
  s.critic.activation[0] = {ActivationKind::relu};
  s.generator_optimizer = with_penalty ? adam(0.01) : rmsprop(0.01, 0);
  s.critic_optimizer = with_penalty ? adam(0.02) : rmsprop(0.02, 0.3);
  s.with_penalty = with_penalty;
  s.penalty = 2;
  s.critic_steps = c.critic_steps;
  s.batch = c.batch;
  return s;
}

// One of the two networks: its slabs on the device and the same numbers in double precision.
class Slabs {
 public:
  Slabs(Context& ctx, const Mlp& net, Index groups, const OptimizerSettings& optimizer)
      : net_(net), optimizer_(optimizer), all_(kGroupsBefore + groups + kGroupsAfter),
        groups_(groups), slots_(slots_of(net, all_)), value(ctx, elements()), grad(ctx, elements()),
        state1(ctx, elements()), state2(ctx, elements()), rounded(ctx, elements()),
        step(ctx, all_) {}

  // A few updates done, so that the state matters.
  std::vector<reference::Chain> fill(RandomData& random, int updates) {
    std::vector<reference::Chain> chains(at(all_));
    for (Index g = 0; g < all_; ++g) {
      for (int l = 0; l < net_.layers; ++l) {
        const Index in = net_.in(l), out = net_.width[l];
        reference::DenseLayer layer{in, out, net_.activation[l], {}, {}};
        const double bound = std::sqrt(6.0 / static_cast<double>(in + out));
        layer.weight = parameters(random, 2 * l, g, in * out, bound, updates);
        layer.bias = parameters(random, 2 * l + 1, g, out, 0.3, updates);
        chains[at(g)].push_back(layer);
      }
      step.host(g) = updates;
    }
    value.upload();
    state1.upload();
    state2.upload();
    step.upload();
    return {chains.begin() + kGroupsBefore, chains.end() - kGroupsAfter};
  }
  ParamSlabs<float> view(Index first, Index groups) {
    return {value.data(),
            grad.data(),
            state1.data(),
            optimizer_.kind == OptimizerKind::adam ? state2.data() : nullptr,
            step.data(),
            &slots_,
            kGroupsBefore + first,
            groups,
            keep_rounded ? rounded.data() : nullptr};
  }
  void check(const std::vector<reference::Chain>& chains, int updates) {
    const std::vector<std::int32_t> steps = step.get();
    for (Index g = 0; g < all_; ++g) {
      const bool called = g >= kGroupsBefore && g < kGroupsBefore + groups_;
      CHECK((called ? steps[at(g)] == updates : step.kept(steps, g)));
    }
    const bool adam = optimizer_.kind == OptimizerKind::adam;
    check(value, chains, [](const reference::Parameter& p) { return p.value; });
    check(state1, chains, [](const reference::Parameter& p) { return p.state1; });
    if (adam) check(state2, chains, [](const reference::Parameter& p) { return p.state2; });
  }
  void check_rounded() const {
    const std::vector<float> values = value.get();
    std::vector<BFloat16> expected = unrounded;
    for (const TensorSlot& slot : slots_) {
      const Index first = slot.offset + kGroupsBefore * slot.count;
      for (Index i = first; i < first + groups_ * slot.count; ++i) {
        expected[at(i)] = static_cast<BFloat16>(values[at(i)]);
      }
    }
    CHECK(same_bits(rounded.get(), expected));
  }
  // Values and state of the called groups, without what lies between them.
  std::vector<float> bits() const {
    std::vector<float> all;
    for (const auto* buffer : {&value, &state1, &state2}) {
      if (buffer == &state2 && optimizer_.kind == OptimizerKind::rmsprop) continue;
      const std::vector<float> now = buffer->get();
      for (const TensorSlot& slot : slots_) {
        const auto first = now.begin() + slot.offset + kGroupsBefore * slot.count;
        all.insert(all.end(), first, first + groups_ * slot.count);
      }
    }
    return all;
  }

 private:
  // Tensors a few elements apart, as an arena would lay them out.
  static std::vector<TensorSlot> slots_of(const Mlp& net, Index all) {
    std::vector<TensorSlot> slots;
    Index size = 3;
    for (int l = 0; l < net.layers; ++l) {
      for (const Index count : {net.in(l)*net.width[l], net.width[l]}) {
        slots.push_back({size, count});
        size += count * all + 3;
      }
    }
    return slots;
  }
  Index elements() const { return slots_.back().offset + slots_.back().count * all_ + 3; }
  Index place(int tensor, Index group, Index i) const {
    const TensorSlot& slot = slots_[static_cast<std::size_t>(tensor)];
    return slot.offset + group * slot.count + i;
  }

  std::vector<reference::Parameter> parameters(RandomData& random, int tensor, Index group,
                                               Index count, double bound, int updates) {
    std::vector<reference::Parameter> result(at(count));
    for (Index i = 0; i < count; ++i) {
      reference::Parameter& p = result[at(i)];
      p.reset(optimizer_);
      p.value = random.real<float>(-bound, bound);
      p.step = updates;
      if (updates > 0 && optimizer_.kind == OptimizerKind::adam) {
        p.state1 = random.real<float>(-0.01, 0.01);
        p.state2 = random.real<float>(0, 0.001);
      } else if (updates > 0) {
        p.state1 = random.real<float>(0.1, 1);
      }
      value.host(place(tensor, group, i)) = static_cast<float>(p.value);
      state1.host(place(tensor, group, i)) = static_cast<float>(p.state1);
      state2.host(place(tensor, group, i)) = static_cast<float>(p.state2);
    }
    return result;
  }

  // An update is at most a few times the rate, 0.02, and its gradient sums some hundred rounded
  // products of size 1: 2^-17 of the slab's largest number is far below what any term
  // contributes and a few times above the worst seen.
  template <class Of>
  void check(const GuardBuffer<float>& buffer, const std::vector<reference::Chain>& chains, Of of) {
    const std::vector<float> now = buffer.get();
    std::vector<bool> called(now.size(), false);
    Values result, expected;
    for (Index g = 0; g < groups_; ++g) {
      for (int t = 0; t < 2 * net_.layers; ++t) {
        const reference::DenseLayer& layer = chains[at(g)][static_cast<std::size_t>(t / 2)];
        const auto& parameters = t % 2 == 0 ? layer.weight : layer.bias;
        for (std::size_t i = 0; i < parameters.size(); ++i) {
          const Index p = place(t, kGroupsBefore + g, static_cast<Index>(i));
          called[at(p)] = true;
          result.push_back(static_cast<double>(now[at(p)]));
          expected.push_back(of(parameters[i]));
        }
      }
    }
    double largest = 0;
    for (const double v : expected) largest = std::max(largest, std::abs(v));
    check_within(result, expected, Values(expected.size(), largest * 0x1p-17));
    for (std::size_t i = 0; i < now.size(); ++i) {
      if (called[i] || buffer.kept(now, static_cast<Index>(i))) continue;
      CHECK_MESSAGE(false, "write outside the called groups, element ", i);
      break;
    }
  }

  Mlp net_;
  OptimizerSettings optimizer_;
  Index all_, groups_;
  std::vector<TensorSlot> slots_;

 public:
  GuardBuffer<float> value, grad, state1, state2;
  GuardBuffer<BFloat16> rounded;
  std::vector<BFloat16> unrounded = rounded.get();  // sentinels
  bool keep_rounded = false;
  GuardBuffer<std::int32_t> step;
};

// A call with its inputs, and what it should do.
class Call {
 public:
  Call(Context& ctx, const MlpCase& c, const MlpStepSettings& settings, Index steps,
       int updates_before = 3)
      : ctx_(ctx), case_(c), settings_(settings), steps_(steps), before_(updates_before),
        random_(7), group_stride_(c.critic_steps * c.batch + 2),
        step_stride_(group_stride_ * c.groups + 5),
        generator(ctx, settings.generator, c.groups, settings.generator_optimizer),
        critic(ctx, settings.critic, c.groups, settings.critic_optimizer),
        data_values_(random_.reals<float>(kDataRows * c.features, -1, 1)),
        data_(ctx, 1, kDataRows, {c.features}, data_values_, Layout::gaps),
        rows_(rows_of(random_, step_stride_ * steps)),
        row_(ctx, rows_), losses_{GuardBuffer<float>(ctx, c.groups),
                                  GuardBuffer<float>(ctx, c.groups),
                                  GuardBuffer<float>(ctx, c.groups),
                                  GuardBuffer<float>(ctx, c.groups)} {
    generators_ = generator.fill(random_, before_);
    critics_ = critic.fill(random_, before_);
    ctx.scratch().replan();
    reserve_scratch(ctx, mlp_step_workspace(ctx, settings, c.groups));
  }

  // M-steps [first_step, + steps) of groups [first, + groups).
  void run(Index first, Index groups, Index first_step, Index steps,
           const std::uint32_t* counter = nullptr) {
    const auto offset = static_cast<std::uint32_t>(first_step);
    const RandomKey key{99,
                        Purpose::noise,
                        counter == nullptr ? 40 + offset : 40 - 7 * 3 + offset,
                        static_cast<std::uint32_t>(5 + first),
                        counter,
                        7};
    const MlpStepBatches batches{data_.input(),
                                 row_.data() + first_step * step_stride_ + first * group_stride_,
                                 group_stride_, step_stride_};
    const MlpStepLosses losses{losses_[0].data() + first, losses_[1].data() + first,
                               losses_[2].data() + first, losses_[3].data() + first};
    mlp_step(ctx_, generator.view(first, groups), critic.view(first, groups), batches, losses, key,
             steps, settings_);
  }
  void run() { run(0, case_.groups, 0, steps_); }
  void run_without_losses() {
    const RandomKey key{99, Purpose::noise, 40, 5};
    mlp_step(ctx_, generator.view(0, case_.groups), critic.view(0, case_.groups),
             {data_.input(), row_.data(), group_stride_, step_stride_}, {}, key, steps_, settings_);
  }

  void check() {
    Values real, fake, penalty, generated;
    for (Index g = 0; g < case_.groups; ++g) {
      reference::MlpGan gan{generators_[at(g)], critics_[at(g)]};
      reference::MlpMeans means;
      for (Index i = 0; i < steps_; ++i) means = reference::mlp_step(gan, draws(g, i), settings_);
      generators_[at(g)] = gan.generator;
      critics_[at(g)] = gan.critic;
      real.push_back(means.real);
      fake.push_back(means.fake);
      penalty.push_back(means.penalty);
      generated.push_back(means.generated);
    }
    INFO("generator");
    generator.check(generators_, before_ + static_cast<int>(steps_));
    INFO("critic");
    critic.check(critics_, before_ + static_cast<int>(steps_ * case_.critic_steps));
    INFO("losses");
    const auto check_loss = [&](const GuardBuffer<float>& result, const Values& expected) {
      const std::vector<float> now = result.get();
      check_within(Values(now.begin(), now.end()), expected, Values(expected.size(), 0x1p-17));
    };
    check_loss(losses_[0], real);
    check_loss(losses_[1], fake);
    if (settings_.with_penalty) check_loss(losses_[2], penalty);
    check_loss(losses_[3], generated);
  }
  std::vector<float> bits() const {
    std::vector<float> all = generator.bits();
    const auto append = [&](const std::vector<float>& more) {
      all.insert(all.end(), more.begin(), more.end());
    };
    append(critic.bits());
    for (std::size_t i = 0; i < losses_.size(); ++i) {
      if (i != 2 || settings_.with_penalty) append(losses_[i].get());
    }
    return all;
  }

 private:
  static std::vector<std::int32_t> rows_of(RandomData& random, Index count) {
    std::vector<std::int32_t> rows(at(count));
    for (auto& row : rows) row = static_cast<std::int32_t>(random.integer(0, kDataRows - 1));
    return rows;
  }
  std::vector<Values> noise(Purpose purpose, std::uint32_t step, Index group, Index rows) const {
    const RandomKey key{99, purpose, step, 5};
    std::vector<Values> result(at(rows), Values(at(case_.noise)));
    for (Index e = 0; e < rows * case_.noise; ++e) {
      const Philox words =
          philox(key, static_cast<std::uint32_t>(group), static_cast<std::uint32_t>(e / 4));
      const Index pair = e % 4 / 2 * 2;
      const NormalPair normals = box_muller(words.word[pair], words.word[pair + 1]);
      result[at(e / case_.noise)][at(e % case_.noise)] =
          static_cast<double>(e % 2 == 0 ? normals.first : normals.second);
    }
    return result;
  }
  reference::MlpDraws draws(Index group, Index i) const {
    const Index batch = case_.batch, rows = case_.critic_steps * batch;
    const auto step = static_cast<std::uint32_t>(40 + i);
    reference::MlpDraws result;
    result.generator_noise = noise(Purpose::generator_noise, step, group, batch);
    result.noise = noise(Purpose::noise, step, group, rows);
    for (Index b = 0; b < rows; ++b) {
      const Index row = rows_[at(i * step_stride_ + group * group_stride_ + b)];
      const auto first = data_values_.begin() + row * case_.features;
      result.real.emplace_back(first, first + case_.features);
      const RandomKey key{99, Purpose::interpolation,
                          step * static_cast<std::uint32_t>(case_.critic_steps) +
                              static_cast<std::uint32_t>(b / batch),
                          5};
      const Index e = b % batch;
      const Philox words =
          philox(key, static_cast<std::uint32_t>(group), static_cast<std::uint32_t>(e / 4));
      result.alpha.push_back(static_cast<double>(uniform01(words.word[e % 4])));
    }
    return result;
  }

  Context& ctx_;
  MlpCase case_;
  MlpStepSettings settings_;
  Index steps_;
  int before_;
  RandomData random_;
  Index group_stride_, step_stride_;

 public:
  Slabs generator, critic;

 private:
  Values data_values_;
  Batch<float> data_;
  std::vector<std::int32_t> rows_;
  GuardBuffer<std::int32_t> row_;
  std::array<GuardBuffer<float>, 4> losses_;  // real, fake, penalty, generated
  std::vector<reference::Chain> generators_, critics_;
};

const std::vector<MlpCase> kCases = {
    {1, 6, 9, 1, 5, 7, 2},    {2, 5, 33, 6, 17, 7, 3},   {7, 3, 5, 6, 4, 2, 1},
    {1, 1, 1, 1, 1, 1, 1},    {1, 9, 40, 19, 33, 13, 2}, {2, 8, 12, 8, 16, 8, 1},
    {1, 3, 64, 10, 5, 50, 1},
};

void check_case(Context& ctx, const MlpCase& c, const MlpStepSettings& settings, Index steps,
                int updates_before = 3) {
  const std::string name = c.name();
  CAPTURE(name);
  CAPTURE(settings.with_penalty);
  CAPTURE(steps);
  CAPTURE(updates_before);
  Call call(ctx, c, settings, steps, updates_before);
  call.run();
  call.check();
}

void steps_equal_the_reference(Context& ctx) {
  for (const MlpCase& c : kCases) {
    for (const bool with_penalty : {true, false}) {
      check_case(ctx, c, settings_of(c, with_penalty), 1);
    }
  }
}

void several_steps_equal_the_reference(Context& ctx) {
  const MlpCase c{2, 7, 17, 6, 9, 7, 3};
  for (const bool with_penalty : {true, false}) {
    check_case(ctx, c, settings_of(c, with_penalty), 5);
  }
}

void published_shape_equals_the_reference(Context& ctx) {
  const MlpCase c{1, 64, 64, 19, 64, 50, 2};
  check_case(ctx, c, settings_of(c, true), 1);
}

// Objectives, optimisers and activations in other combinations than the published ones.
void combinations_equal_the_reference(Context& ctx) {
  const MlpCase c{2, 5, 9, 6, 7, 7, 2};
  for (const bool with_penalty : {true, false}) {
    MlpStepSettings s = settings_of(c, with_penalty);
    std::swap(s.generator_optimizer, s.critic_optimizer);
    check_case(ctx, c, s, 2);
    s.critic_optimizer = with_penalty ? rmsprop(0.01, 0) : adam(0.01);
    s.critic_optimizer.clip = 0.25;
    s.generator.activation[0] = {ActivationKind::leaky_relu, 0.25};
    s.critic.activation[0] = {ActivationKind::leaky_relu, 0.125};
    check_case(ctx, c, s, 2);
    s.critic.activation[0] = {ActivationKind::identity};
    check_case(ctx, c, s, 1);
  }
}

// Adam's bias corrections at the first update and where they no longer change anything.
void any_update_equals_the_reference(Context& ctx) {
  const MlpCase c{1, 5, 9, 6, 7, 7, 2};
  for (const int updates : {0, 300, 400, 1000000}) {
    check_case(ctx, c, settings_of(c, true), 1, updates);
  }
}

// Weights so large that a device without room for the optimiser's state has to leave it outside.
void wide_networks_equal_the_reference(Context& ctx) {
  const MlpCase c{1, 256, 64, 40, 12, 4, 1};
  for (const bool with_penalty : {true, false}) {
    check_case(ctx, c, settings_of(c, with_penalty), 1);
  }
}

// The numbers of a GAN depend neither on how many are trained in one call nor on how many M-steps
// a call takes.
void portions_give_the_same_bits(Context& ctx) {
  const MlpCase c{7, 5, 9, 6, 7, 7, 2};
  for (const bool with_penalty : {true, false}) {
    const MlpStepSettings s = settings_of(c, with_penalty);
    Call whole(ctx, c, s, 3), again(ctx, c, s, 3), by_group(ctx, c, s, 3), by_step(ctx, c, s, 3);
    whole.run();
    again.run();
    for (const auto& [first, groups] : {std::pair<Index, Index>{0, 1}, {1, 4}, {5, 2}}) {
      by_group.run(first, groups, 0, 3);
    }
    by_step.run(0, 7, 0, 1);
    by_step.run(0, 7, 1, 2);
    CHECK(same_bits(again.bits(), whole.bits()));
    CHECK(same_bits(by_group.bits(), whole.bits()));
    CHECK(same_bits(by_step.bits(), whole.bits()));
  }
}

void counter_moves_the_step(Context& ctx) {
  const MlpCase c{2, 5, 9, 6, 7, 7, 2};
  const GuardBuffer<std::int32_t> counter(ctx, std::vector<std::int32_t>{3});
  Call call(ctx, c, settings_of(c, true), 2);
  call.run(0, 2, 0, 2, reinterpret_cast<const std::uint32_t*>(counter.data()));
  call.check();
}

void rounded_values_follow(Context& ctx) {
  const MlpCase c{2, 5, 9, 6, 7, 7, 2};
  Call call(ctx, c, settings_of(c, true), 1);
  call.generator.keep_rounded = true;
  call.run();
  call.check();
  call.generator.check_rounded();
  CHECK(same_bits(call.critic.rounded.get(), call.critic.unrounded));
}

void unwanted_losses_are_left_out(Context& ctx) {
  const MlpCase c{1, 5, 9, 6, 7, 7, 2};
  Call with(ctx, c, settings_of(c, true), 1), without(ctx, c, settings_of(c, true), 1);
  with.run();
  without.run_without_losses();
  CHECK(same_bits(without.generator.bits(), with.generator.bits()));
  CHECK(same_bits(without.critic.bits(), with.critic.bits()));
}

// Drawing inside the op against draw_rows and one mlp_step after the other: the same bits. One
// component of the second mixture owns nothing.
void partition_steps_draw_for_themselves(Context& ctx) {
  const MlpCase c{4, 5, 9, 6, 7, 7, 3};
  constexpr Index kMixtures = 2, kComponents = 3, kSteps = 4;
  RandomData random(3);
  const GuardBuffer<std::int32_t> begin(
      ctx, std::vector<std::int32_t>{0, 20, 33, kDataRows, 0, 0, 40, kDataRows});
  std::vector<std::int32_t> members;
  for (Index r = 0; r < kMixtures; ++r) {
    for (Index p = 0; p < kDataRows; ++p) {
      members.push_back(static_cast<std::int32_t>((p * 7 + r) % kDataRows));
    }
  }
  const GuardBuffer<std::int32_t> member(ctx, members);
  const Batch<float> data(ctx, 1, kDataRows, {c.features},
                          random.reals<float>(kDataRows * c.features, -1, 1), Layout::gaps);
  for (const bool with_penalty : {true, false}) {
    const MlpStepSettings s = settings_of(c, with_penalty);
    ctx.scratch().replan();
    reserve_scratch(ctx, std::max(mlp_partition_steps_workspace(ctx, s, c.groups, kDataRows),
                                  draw_workspace(ctx, c.groups, kDataRows)));
    const auto run = [&](const auto& train) {
      RandomData start(5);
      Slabs generator(ctx, s.generator, c.groups, s.generator_optimizer);
      Slabs critic(ctx, s.critic, c.groups, s.critic_optimizer);
      (void)generator.fill(start, 3);
      (void)critic.fill(start, 3);
      GuardBuffer<float> real(ctx, c.groups), generated(ctx, c.groups);
      GuardBuffer<std::int32_t> row(ctx, c.groups * c.critic_steps * c.batch);
      train(generator.view(0, c.groups), critic.view(0, c.groups),
            MlpStepLosses{real.data(), nullptr, nullptr, generated.data()}, row.data());
      std::vector<float> all = generator.bits();
      for (const auto& more : {critic.bits(), real.get(), generated.get()}) {
        all.insert(all.end(), more.begin(), more.end());
      }
      for (const std::int32_t r : row.get()) all.push_back(static_cast<float>(r));
      return all;
    };
    const RandomKey key{99, Purpose::noise, 40, kGroupsBefore};
    const auto inside = [&](const std::vector<Index>& portions) {
      return run([&](const auto& generator, const auto& critic, const auto& losses, auto* row) {
        RandomKey now = key;
        for (const Index steps : portions) {
          mlp_partition_steps(ctx, generator, critic,
                              {data.input(), member.data(), begin.data(), kComponents, row}, losses,
                              now, steps, s);
          now.step += static_cast<std::uint32_t>(steps);
        }
      });
    };
    const auto expected =
        run([&](const auto& generator, const auto& critic, const auto& losses, auto* row) {
          RandomKey now = key;
          for (Index step = 0; step < kSteps; ++step, ++now.step) {
            draw_rows(ctx, row, kGroupsBefore, c.groups,
                      {nullptr, nullptr, kMixtures, kComponents, kDataRows}, member.data(),
                      begin.data(),
                      {c.critic_steps, c.batch, 0, nullptr, {99, Purpose::real_rows, now.step, 0}});
            mlp_step(ctx, generator, critic,
                     {.data = data.input(), .row = row, .group_stride = c.critic_steps * c.batch},
                     losses, now, 1, s);
          }
        });
    CHECK(same_bits(inside({kSteps}), expected));
    CHECK(same_bits(inside({1, 3}), expected));
  }
}

}  // namespace

#define GANMM_MLP_CASE(name, body)                                                                 \
  TEST_CASE(name ", cpu float") { on_cpu(body); }                                                  \
  TEST_CASE(name ", cuda float" * doctest::test_suite("gpu")) { on_cuda(body); }

GANMM_MLP_CASE("mlp_step: one M-step equals the reference", steps_equal_the_reference)
GANMM_MLP_CASE("mlp_step: M-steps in a row equal the reference", several_steps_equal_the_reference)
GANMM_MLP_CASE("mlp_step: a published shape equals the reference",
               published_shape_equals_the_reference)
GANMM_MLP_CASE("mlp_step: objectives, optimisers and activations combine",
               combinations_equal_the_reference)
GANMM_MLP_CASE("mlp_step: Adam's corrections at any update", any_update_equals_the_reference)
GANMM_MLP_CASE("mlp_step: wide networks equal the reference", wide_networks_equal_the_reference)
GANMM_MLP_CASE("mlp_step: portions of a call give the same bits", portions_give_the_same_bits)
GANMM_MLP_CASE("mlp_partition_steps: the rows of draw_rows, the M-steps of mlp_step",
               partition_steps_draw_for_themselves)
GANMM_MLP_CASE("mlp_step: a counter moves the step", counter_moves_the_step)
GANMM_MLP_CASE("mlp_step: losses that nobody wants", unwanted_losses_are_left_out)

TEST_CASE("mlp_step: rounded values follow the values" * doctest::test_suite("gpu")) {
  on_cuda(rounded_values_follow);
}

TEST_CASE("mlp_step: a CUDA device says why it refuses" * doctest::test_suite("gpu")) {
  on_cuda([](Context& ctx) {
    const MlpCase c{1, 64, 64, 6, 64, 50, 5};
    const auto refusal = [&](const auto& change) {
      MlpStepSettings s = settings_of(c, true);
      change(s);
      return mlp_step_refusal(ctx, s);
    };
    const auto contains = [](const std::string& text, const char* part) {
      return text.find(part) != std::string::npos;
    };
    CHECK(refusal([](MlpStepSettings&) {}) == "");
    CHECK(contains(refusal([](MlpStepSettings& s) { s.batch = 2000; }), "shared memory"));
    CHECK(contains(
        refusal([](MlpStepSettings& s) { s.critic.activation[0] = {ActivationKind::tanh}; }),
        "the activation of the critic"));
    CHECK(contains(refusal([](MlpStepSettings& s) {
                     s.generator.layers = 1;
                     s.generator.width[0] = s.critic.input;
                     s.generator.activation[0] = {};
                   }),
                   "0 hidden layers"));
  });
}

// The published shapes run with everything in shared memory.
TEST_CASE("mlp_step: a CUDA device takes the published shapes" * doctest::test_suite("gpu")) {
  on_cuda([](Context& ctx) {
    for (const MlpCase& c : {MlpCase{10, 64, 64, 6, 64, 50, 5}, MlpCase{7, 64, 64, 19, 64, 50, 5},
                             MlpCase{10, 64, 32, 10, 32, 50, 5}}) {
      for (const bool with_penalty : {true, false}) {
        CHECK(mlp_step_refusal(ctx, settings_of(c, with_penalty)) == "");
      }
    }
  });
}

}  // namespace ganmm::kernels
