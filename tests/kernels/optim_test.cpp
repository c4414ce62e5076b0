#include "kernels/optim.h"
#include "tests/reference/optim.h"
#include "tests/support/devices.h"
#include "tests/support/guard_buffer.h"
#include "tests/support/random_data.h"

namespace ganmm::kernels {
namespace {

using namespace ganmm::test;

constexpr Index kGroups = 4;

OptimizerSettings adam() { return {OptimizerKind::adam, 0.01, 0.5, 0.9, 1e-8, 0.0}; }
OptimizerSettings rmsprop() { return {OptimizerKind::rmsprop, 0.01, 0.0, 0.9, 1e-10, 0.0}; }

// Tensors of several widths, a few elements apart as an arena would lay them out.
struct Layout {
  explicit Layout(int copies) {
    for (int copy = 0; copy < copies; ++copy) {
      for (const Index count : {5, 1, 17, 64, 33}) {
        slots.push_back({size, count});
        size += count * kGroups + 3;
      }
    }
  }
  // Calls visit(slab position, group) for every parameter.
  template <class Visit>
  void for_each(const Visit& visit) const {
    for (const TensorSlot& slot : slots) {
      for (Index g = 0; g < kGroups; ++g) {
        for (Index i = 0; i < slot.count; ++i) visit(slot.offset + g * slot.count + i, g);
      }
    }
  }
  std::vector<TensorSlot> slots;
  Index size = 0;
};

template <class T>
struct Slabs {
  Slabs(Context& ctx, const OptimizerSettings& settings, int layout_copies = 1)
      : layout(layout_copies), ctx_(ctx), settings_(settings), value(ctx, layout.size),
        grad(ctx, layout.size), state1(ctx, layout.size), state2(ctx, layout.size),
        step(ctx, kGroups), truth(reference::at(layout.size)) {
    RandomData random(1);
    layout.for_each([&](Index at, Index) {
      truth[reference::at(at)].value = random.real<T>(-1, 1);
      truth[reference::at(at)].reset(settings);
      value.host(at) = static_cast<T>(truth[reference::at(at)].value);
    });
    value.upload();
  }

  ParamSlabs<T> slice(Index first, Index groups) {
    const bool two_moments = settings_.kind == OptimizerKind::adam;
    return {value.data(), grad.data(),   state1.data(), two_moments ? state2.data() : nullptr,
            step.data(),  &layout.slots, first,         groups,
            rounded};
  }
  void reset(Index first, Index groups) {
    optimizer_reset<T>(ctx_, slice(first, groups), settings_);
    layout.for_each([&](Index at, Index g) {
      if (g >= first && g < first + groups) truth[reference::at(at)].reset(settings_);
    });
  }
  // One update with new gradients, here and by hand.
  void update(RandomData& random, Index first, Index groups) {
    layout.for_each([&](Index at, Index) {
      grad.host(at) = static_cast<T>(random.signed_reals<T>(1, 0.5, 2)[0]);
    });
    grad.upload();
    const std::vector<T> before = grad.get();
    optimizer_step<T>(ctx_, slice(first, groups), settings_);
    CHECK(same_bits(grad.get(), before));
    layout.for_each([&](Index at, Index g) {
      if (g < first || g >= first + groups) return;
      truth[reference::at(at)].update(static_cast<double>(before[reference::at(at)]), settings_);
    });
  }
  // Per step: the value is rounded once (|p| < 2) and the increment, at most about 3 lr, some
  // dozens of times; 1 - beta^t loses four bits in single precision at t = 1.
  void check(int steps) const {
    const std::vector<T> now = value.get();
    Values result, expected;
    layout.for_each([&](Index at, Index) {
      result.push_back(static_cast<double>(now[reference::at(at)]));
      expected.push_back(truth[reference::at(at)].value);
    });
    const double per_step = unit_roundoff<T>() * (2 + 128 * settings_.learning_rate);
    check_within(result, expected, Values(expected.size(), (steps + 1) * per_step));
  }

  Layout layout;
  Context& ctx_;
  OptimizerSettings settings_;
  GuardBuffer<T> value, grad, state1, state2;
  GuardBuffer<std::int32_t> step;
  std::vector<reference::Parameter> truth;
  BFloat16* rounded = nullptr;  // a slab for the rounded values, if the case wants one
};

// The copies of groups [first, first + groups) are the rounded values, all else was not touched.
void check_rounded(const Slabs<float>& slabs, const GuardBuffer<BFloat16>& copy, Index shift,
                   Index first, Index groups) {
  const std::vector<float> value = slabs.value.get();
  const std::vector<BFloat16> now = copy.get();
  std::vector<bool> owned(now.size(), false);
  int wrong = 0;
  slabs.layout.for_each([&](Index at, Index g) {
    if (g < first || g >= first + groups) return;
    owned[reference::at(at + shift)] = true;
    const BFloat16 expected(value[reference::at(at)]);
    if (now[reference::at(at + shift)].bits != expected.bits) ++wrong;
  });
  for (Index i = 0; i < copy.count(); ++i) {
    if (!owned[reference::at(i)] && !copy.kept(now, i)) ++wrong;
  }
  CHECK(wrong == 0);
}

template <class T>
void ten_steps(Context& ctx, const OptimizerSettings& settings) {
  Slabs<T> slabs(ctx, settings);
  slabs.reset(0, kGroups);
  RandomData random(2);
  for (int step = 1; step <= 10; ++step) {
    CAPTURE(step);
    slabs.update(random, 0, kGroups);
    slabs.check(step);
  }
  CHECK(slabs.step.get() == std::vector<std::int32_t>(kGroups, 10));
}

}  // namespace

GANMM_DEVICE_CASE("optim: ten steps of Adam equal ten steps by hand") { ten_steps<T>(ctx, adam()); }

GANMM_DEVICE_CASE("optim: ten steps of RMSProp equal ten steps by hand") {
  ten_steps<T>(ctx, rmsprop());
}

GANMM_DEVICE_CASE("optim: more tensors than one launch takes on a GPU") {
  for (const OptimizerSettings& settings : {adam(), rmsprop()}) {
    Slabs<T> slabs(ctx, settings, 14);
    slabs.reset(0, kGroups);
    RandomData random(6);
    for (int step = 1; step <= 2; ++step) slabs.update(random, 0, kGroups);
    slabs.check(2);
    CHECK(slabs.step.get() == std::vector<std::int32_t>(kGroups, 2));
  }
}

GANMM_DEVICE_CASE("optim: reset starts RMSProp's mean square at one and Adam's moments at zero") {
  for (const OptimizerSettings& settings : {adam(), rmsprop()}) {
    Slabs<T> slabs(ctx, settings);
    slabs.reset(0, kGroups);
    const std::vector<T> state1 = slabs.state1.get();
    const std::vector<T> state2 = slabs.state2.get();
    const T start = settings.kind == OptimizerKind::adam ? T(0) : T(1);
    int wrong = 0;
    slabs.layout.for_each([&](Index at, Index) {
      if (state1[reference::at(at)] != start) ++wrong;
      if (settings.kind == OptimizerKind::adam && state2[reference::at(at)] != T(0)) ++wrong;
    });
    CHECK(wrong == 0);
    CHECK(slabs.step.get() == std::vector<std::int32_t>(kGroups, 0));
  }
}

GANMM_DEVICE_CASE("optim: the first RMSProp step of a unit gradient divides by one") {
  // s = 0.5 * 1 + 0.5 * 1 = 1, epsilon 0: p = 3 - 0.25.
  OptimizerSettings settings = rmsprop();
  settings.learning_rate = 0.25;
  settings.beta2 = 0.5;
  settings.epsilon = 0;
  GuardBuffer<T> value(ctx, 1), state(ctx, 1);
  const GuardBuffer<T> grad(ctx, std::vector<T>{1});
  GuardBuffer<std::int32_t> step(ctx, 1);
  value.set({3});
  const std::vector<TensorSlot> slots = {{0, 1}};
  const ParamSlabs<T> slabs{
      value.data(), grad.data(), state.data(), nullptr, step.data(), &slots, 0, 1};
  optimizer_reset<T>(ctx, slabs, settings);
  optimizer_step<T>(ctx, slabs, settings);
  CHECK(value.get()[0] == T(2.75));
  CHECK(state.get()[0] == T(1));
  CHECK(step.get()[0] == 1);
}

GANMM_DEVICE_CASE("optim: the first Adam step moves every parameter by the learning rate") {
  OptimizerSettings settings = adam();
  settings.learning_rate = 0.25;
  Slabs<T> slabs(ctx, settings);
  slabs.reset(0, kGroups);
  const std::vector<T> before = slabs.value.get();
  RandomData random(3);
  slabs.update(random, 0, kGroups);
  const std::vector<T> after = slabs.value.get();
  const std::vector<T> grad = slabs.grad.get();
  Values moved, expected;
  slabs.layout.for_each([&](Index at, Index) {
    moved.push_back(static_cast<double>(after[reference::at(at)] - before[reference::at(at)]));
    expected.push_back(grad[reference::at(at)] > 0 ? -0.25 : 0.25);
  });
  // |m| / sqrt(v) = |g| / (|g| + 1e-8) up to the rounding of 1 - beta, values below 2.
  check_within(moved, expected, Values(moved.size(), 128 * unit_roundoff<T>() + 1e-8));
}

GANMM_DEVICE_CASE("optim: values are clamped to the clip after the update, and only then") {
  for (OptimizerSettings settings : {adam(), rmsprop()}) {
    settings.clip = 0.01;
    Slabs<T> slabs(ctx, settings);
    slabs.reset(0, kGroups);
    RandomData random(4);
    for (int step = 1; step <= 4; ++step) {
      slabs.update(random, 0, kGroups);
      slabs.check(step);
    }
    const std::vector<T> now = slabs.value.get();
    int at_bound = 0, beyond = 0, inside = 0;
    slabs.layout.for_each([&](Index at, Index) {
      const T size = std::abs(now[reference::at(at)]);
      if (size == static_cast<T>(0.01)) ++at_bound;
      if (size > static_cast<T>(0.01)) ++beyond;
      if (size < static_cast<T>(0.01)) ++inside;
    });
    CHECK(beyond == 0);
    CHECK(at_bound > 10);
    CHECK(inside > 10);
  }
}

GANMM_DEVICE_CASE("optim: groups outside the call keep every bit and their step") {
  for (const OptimizerSettings& settings : {adam(), rmsprop()}) {
    Slabs<T> slabs(ctx, settings);
    slabs.reset(0, kGroups);
    RandomData random(5);
    slabs.update(random, 0, kGroups);
    const std::vector<T> value = slabs.value.get(), state1 = slabs.state1.get(),
                         state2 = slabs.state2.get();
    slabs.update(random, 1, 2);
    slabs.update(random, 2, 1);
    CHECK(slabs.step.get() == std::vector<std::int32_t>{1, 2, 3, 1});
    slabs.check(3);  // step counts per group enter Adam's corrections
    slabs.reset(2, 1);
    CHECK(slabs.step.get() == std::vector<std::int32_t>{1, 2, 0, 1});
    const auto same = [](const std::vector<T>& a, const std::vector<T>& b, Index at) {
      return std::memcmp(&a[reference::at(at)], &b[reference::at(at)], sizeof(T)) == 0;
    };
    const std::vector<T> value_now = slabs.value.get(), state1_now = slabs.state1.get(),
                         state2_now = slabs.state2.get();
    std::vector<bool> owned(reference::at(slabs.layout.size), false);
    int changed = 0, unchanged = 0;
    slabs.layout.for_each([&](Index at, Index g) {
      owned[reference::at(at)] = true;
      if (g == 0 || g == 3) {
        if (!same(value, value_now, at) || !same(state1, state1_now, at) ||
            !same(state2, state2_now, at)) {
          ++changed;
        }
      } else if (same(value, value_now, at)) {
        ++unchanged;
      }
    });
    for (Index at = 0; at < slabs.layout.size; ++at) {  // between the tensors
      if (!owned[reference::at(at)] &&
          (!same(value, value_now, at) || !same(state1, state1_now, at))) {
        ++changed;
      }
    }
    CHECK(changed == 0);
    CHECK(unchanged == 0);
  }
}

GANMM_DEVICE_CASE("optim: a zero gradient and no group leave the values alone") {
  Slabs<T> slabs(ctx, rmsprop());
  slabs.reset(0, kGroups);
  const std::vector<T> before = slabs.value.get();
  CHECK_NOTHROW(optimizer_step<T>(ctx, slabs.slice(2, 0), rmsprop()));
  CHECK(slabs.step.get() == std::vector<std::int32_t>(kGroups, 0));
  slabs.layout.for_each([&](Index at, Index) { slabs.grad.host(at) = 0; });
  slabs.grad.upload();
  optimizer_step<T>(ctx, slabs.slice(0, kGroups), rmsprop());
  CHECK(same_bits(slabs.value.get(), before));
  CHECK(slabs.step.get() == std::vector<std::int32_t>(kGroups, 1));
}

namespace {

void rounded_copy_follows(Context& ctx) {
  for (const OptimizerSettings& settings : {adam(), rmsprop()}) {
    for (const Index shift : {0, 1}) {  // 1: a slab that takes no wide stores
      CAPTURE(shift);
      Slabs<float> slabs(ctx, settings);
      GuardBuffer<BFloat16> first(ctx, slabs.layout.size + 1);
      slabs.rounded = first.data() + shift;
      slabs.reset(0, kGroups);
      round_values<float>(ctx, slabs.slice(1, 2));
      check_rounded(slabs, first, shift, 1, 2);
      RandomData random(7);
      GuardBuffer<BFloat16> second(ctx, slabs.layout.size + 1);
      slabs.rounded = second.data() + shift;
      slabs.update(random, 1, 3);
      slabs.check(1);
      check_rounded(slabs, second, shift, 1, 3);
    }
  }
}

}  // namespace

TEST_CASE("optim: the rounded copy follows the values, cuda" * doctest::test_suite("gpu")) {
  on_cuda(rounded_copy_follows);
}

}  // namespace ganmm::kernels
