#include "kernels/penalty.h"
#include "tests/reference/penalty.h"
#include "tests/reference/random.h"
#include "tests/support/devices.h"
#include "tests/support/gradcheck.h"
#include "tests/support/guard_buffer.h"
#include "tests/support/random_data.h"

namespace ganmm::kernels {
namespace {

using namespace ganmm::test;

const RandomKey kKey{0x123456789abcdef0u, Purpose::interpolation, 17, 3};

double alpha(const RandomKey& key, Index group, Index item) {
  return reference::uniform(
      reference::word(key, static_cast<std::uint32_t>(group), static_cast<std::uint64_t>(item)));
}

}  // namespace

GANMM_ELEMENT_CASE("penalty: interpolation weights are the uniforms of the key, one per item") {
  // Against (0, 1) and (1, 0) the interpolate is 1 - alpha and alpha, both exact until they are
  // stored.
  for (const Index groups : kGroupCounts) {
    for (const Index batch : {1, 3, 4, 5, 50}) {
      const Index count = groups * batch * 3;
      const Batch<T> ones(ctx, groups, batch, {3}, Values(reference::at(count), 1.0));
      const Batch<T> nothing(ctx, groups, batch, {3}, Values(reference::at(count), 0.0));
      Batch<T> x_hat(ctx, groups, batch, {3}, Layout::gaps);
      Values expected, complement;
      for (Index i = 0; i < count; ++i) {
        const double weight = alpha(kKey, i / (batch * 3), i / 3 % batch);
        expected.push_back(static_cast<double>(static_cast<T>(weight)));
        complement.push_back(static_cast<double>(static_cast<T>(1 - weight)));
      }
      interpolate<T>(ctx, x_hat.view(), ones.input(), nothing.input(), kKey);
      check_equal(x_hat.get(), expected);
      interpolate<T>(ctx, x_hat.view(), nothing.input(), ones.input(), kKey);
      check_equal(x_hat.get(), complement);
    }
  }
}

GANMM_ELEMENT_CASE("penalty: interpolates lie between real and fake rows") {
  for (const Index width : kWidths) {
    for (const Layout layout : kInputLayouts) {
      CAPTURE(width);
      CAPTURE(static_cast<int>(layout));
      const Index groups = 2, batch = 5;
      RandomData random(static_cast<std::uint64_t>(width));
      const Index stored = layout == Layout::shared ? 1 : groups;
      const Values real_values = random.reals<T>(stored * batch * width, -2, 2);
      const Values real_all =
          layout == Layout::shared ? repeated(real_values, groups) : real_values;
      const Values fake_values = random.reals<T>(groups * batch * width, -2, 2);
      Values expected, allowed;
      for (Index i = 0; i < groups * batch * width; ++i) {
        const double a = alpha(kKey, i / (batch * width), i / width % batch);
        const double real = real_all[reference::at(i)], fake = fake_values[reference::at(i)];
        expected.push_back(a * real + (1 - a) * fake);
        // Three roundings, whichever of the usual forms is used, of terms up to |real| + |fake|; of
        // these only the last is to bfloat16.
        allowed.push_back((unit_roundoff<T>() + 3 * unit_roundoff<Master<T>>()) *
                          (std::abs(real) + std::abs(fake)));
      }
      const Batch<T> real(ctx, groups, batch, {width}, real_values, layout);
      const Batch<T> fake(ctx, groups, batch, {width}, fake_values, Layout::gaps);
      Batch<T> x_hat(ctx, groups, batch, {width}, Layout::gaps);
      interpolate<T>(ctx, x_hat.view(), real.input(), fake.input(), kKey);
      check_within(x_hat.get(), expected, allowed);
    }
  }
}

GANMM_ELEMENT_CASE("penalty: direction and value follow the definition, also in place") {
  for (const Index groups : kGroupCounts) {
    for (const Index features : {1, 2, 6, 17, 64, 784}) {
      for (const Layout layout : kOutputLayouts) {
        CAPTURE(groups);
        CAPTURE(features);
        const Index batch = 5, per_group = batch * features;
        const double lambda = 10;
        RandomData random(static_cast<std::uint64_t>(features));
        const double size = 1 / std::sqrt(static_cast<double>(features));  // |g| around 1
        const Values g_values = random.signed_reals<T>(groups * per_group, 0.2 * size, 2 * size);
        Values v_expected, v_allowed, value_expected, value_allowed;
        for (Index n = 0; n < groups; ++n) {
          const Values g(g_values.begin() + n * per_group, g_values.begin() + (n + 1) * per_group);
          const Values v = reference::penalty_direction(g, batch, features, lambda);
          const double rtol =
              8 * unit_roundoff<Master<T>>() + 2 * reduction_rtol<Master<T>>(features);
          double scale = 0;
          for (Index b = 0; b < batch; ++b) {
            const double norm = reference::row_norm(g, b, features);
            scale += std::pow(norm + 1, 2);
            for (Index f = 0; f < features; ++f) {
              // 1 - 1/|g| cancels near 1: relative to 1 + 1/|g|.
              v_allowed.push_back((rtol + unit_roundoff<T>()) * 2 * lambda /
                                  static_cast<double>(batch) * (1 + 1 / norm) *
                                  std::abs(g[reference::at(b * features + f)]));
            }
          }
          v_expected.insert(v_expected.end(), v.begin(), v.end());
          value_expected.push_back(reference::penalty(g, batch, features, lambda));
          // (|g| - 1)^2 cancels likewise: relative to (|g| + 1)^2.
          value_allowed.push_back(rtol * lambda / static_cast<double>(batch) * scale);
        }
        const Batch<T> g(ctx, groups, batch, {features}, g_values, layout);
        Batch<T> v(ctx, groups, batch, {features}, layout);
        Param<Master<T>> penalty(ctx, groups, {1}, layout);
        penalty_direction<T>(ctx, v.view(), penalty.view(), g.input(), lambda);
        const Values value = penalty.get();
        check_within(v.get(), v_expected, v_allowed);
        check_within(value, value_expected, value_allowed);
        Batch<T> in_place(ctx, groups, batch, {features}, layout);
        in_place.set(g_values);
        penalty_direction<T>(ctx, in_place.view(), penalty.view(), in_place.input(), lambda);
        check_equal(in_place.get(), v.get());
        check_equal(penalty.get(), value);
      }
    }
  }
}

GANMM_ELEMENT_CASE("penalty: known gradients give known directions") {
  // |g| = 5 and 2 with lambda 10 and two rows: v = 10 (1 - 1/5) g and 10 (1 - 1/2) g.
  const Batch<T> g(ctx, 1, 2, {2}, {3, 4, 0, -2});
  Batch<T> v(ctx, 1, 2, {2});
  Param<Master<T>> penalty(ctx, 1, {1});
  penalty_direction<T>(ctx, v.view(), penalty.view(), g.input(), 10);
  const double u = unit_roundoff<T>();
  check_within(v.get(), {24, 32, 0, -10}, {24 * 8 * u, 32 * 8 * u, 0, 10 * 8 * u});
  check_within(penalty.get(), {5 * (16 + 1)}, {85 * 8 * unit_roundoff<Master<T>>()});
}

TEST_CASE("penalty: the direction is the derivative of the penalty") {
  Context ctx;
  RandomData random(6);
  const Values g_values = random.signed_reals<double>(4 * 7, 0.1, 1);
  const Batch<double> g(ctx, 1, 4, {7}, g_values);
  Batch<double> v(ctx, 1, 4, {7});
  Param<double> penalty(ctx, 1, {1});
  penalty_direction<double>(ctx, v.view(), penalty.view(), g.input(), 10);
  check_gradient(v.get(),
                 central_gradient([](const Values& at) { return reference::penalty(at, 4, 7, 10); },
                                  g_values));
}

GANMM_ELEMENT_CASE("penalty: a batch of one row is its own mean") {
  const Batch<T> g(ctx, 2, 1, {2}, {6, 8, 0, 2});
  Batch<T> v(ctx, 2, 1, {2});
  Param<Master<T>> penalty(ctx, 2, {1});
  penalty_direction<T>(ctx, v.view(), penalty.view(), g.input(), 1);
  const double u = unit_roundoff<T>();
  check_within(v.get(), {10.8, 14.4, 0, 2}, {11 * 8 * u, 15 * 8 * u, 0, 2 * 8 * u});
  const double wide = unit_roundoff<Master<T>>();
  check_within(penalty.get(), {81, 1}, {81 * 8 * wide, 8 * wide});
}

GANMM_ELEMENT_CASE(
    "penalty: a vanishing gradient has no direction, costs lambda and gives no NaN") {
  for (const double tiny : {0.0, 1e-13, 1e-25}) {
    CAPTURE(tiny);
    const Batch<T> g(ctx, 2, 2, {2}, {tiny, 0, 3, 4, 0, tiny, 0, -tiny});
    Batch<T> v(ctx, 2, 2, {2});
    Param<Master<T>> penalty(ctx, 2, {1});
    penalty_direction<T>(ctx, v.view(), penalty.view(), g.input(), 8);
    const Values directions = v.get();
    CHECK(directions[0] == 0);
    CHECK(directions[1] == 0);
    CHECK(directions[2] > 0);
    check_zero({directions.begin() + 4, directions.end()});
    // (1 + 16) 8 / 2 and 8; a tiny |g| moves (|g| - 1)^2 by less than rounding, except in double.
    check_within(penalty.get(), {68, 8},
                 Values(2, 68 * 8 * unit_roundoff<Master<T>>() + 32 * tiny));
  }
}

GANMM_ELEMENT_CASE("penalty: interpolating an empty batch is no work") {
  const Batch<T> nothing(ctx, 2, 0, {3}, Values{});
  Batch<T> x_hat(ctx, 2, 0, {3});
  CHECK_NOTHROW(interpolate<T>(ctx, x_hat.view(), nothing.input(), nothing.input(), kKey));
}

TEST_CASE("penalty: unequal shapes are refused") {
  Context ctx;
  const Batch<float> real(ctx, 2, 3, {4}, Values(24, 1.0));
  const Batch<float> fake(ctx, 2, 3, {2}, Values(12, 1.0));
  Batch<float> x_hat(ctx, 2, 3, {4});
  Param<float> short_penalty(ctx, 1, {1});
  CHECK_THROWS_AS(interpolate<float>(ctx, x_hat.view(), real.input(), fake.input(), {}),
                  ShapeError);
  CHECK_THROWS_AS(
      penalty_direction<float>(ctx, x_hat.view(), short_penalty.view(), real.input(), 10),
      ShapeError);
}

}  // namespace ganmm::kernels
