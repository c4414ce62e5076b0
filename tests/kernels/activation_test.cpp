#include "kernels/activation.h"
#include "tests/reference/activation.h"
#include "tests/support/devices.h"
#include "tests/support/gradcheck.h"
#include "tests/support/guard_buffer.h"
#include "tests/support/random_data.h"

namespace ganmm::kernels {
namespace {

using namespace ganmm::test;
using reference::activate;
using reference::derivative_from_y;

const std::vector<Activation> kAll = {
    {ActivationKind::identity, 0.2},   {ActivationKind::relu, 0.2},
    {ActivationKind::leaky_relu, 0.2}, {ActivationKind::leaky_relu, 0.01},
    {ActivationKind::tanh, 0.2},       {ActivationKind::sigmoid, 0.2}};
const std::vector<Activation> kSmooth = {{ActivationKind::tanh, 0.2},
                                         {ActivationKind::sigmoid, 0.2}};

// A few roundings of the result itself, one of them to T; for tanh and sigmoid room for an
// approximation of the exponential with an error of some units in the last place. Results below the
// smallest normal number may be flushed to zero.
template <class T>
double value_allowance(double y) {
  return (unit_roundoff<T>() + 7 * unit_roundoff<Master<T>>()) * std::abs(y) +
         static_cast<double>(std::numeric_limits<Master<T>>::min());
}

template <class T>
void check_forward(Context& ctx, const Activation& activation, const Values& z, Index groups,
                   Index batch, Index features, Layout layout) {
  CAPTURE(static_cast<int>(activation.kind));
  CAPTURE(groups);
  CAPTURE(batch);
  CAPTURE(features);
  Values expected = activate(activation, z);
  Values allowed(expected.size());
  for (std::size_t i = 0; i < z.size(); ++i) allowed[i] = value_allowance<T>(expected[i]);
  const Batch<T> x(ctx, groups, batch, {features}, z, layout);
  Batch<T> y(ctx, groups, batch, {features}, layout);
  activation_forward<T>(ctx, y.view(), x.input(), activation);
  CHECK(describe_mismatch(y.get(), expected, allowed) == "");
  Batch<T> in_place(ctx, groups, batch, {features}, layout);
  in_place.set(z);
  activation_forward<T>(ctx, in_place.view(), in_place.input(), activation);
  CHECK(describe_mismatch(in_place.get(), expected, allowed) == "");
}

template <class T>
Values rounded(Values values) {
  for (double& value : values) value = static_cast<double>(static_cast<T>(value));
  return values;
}

}  // namespace

GANMM_ELEMENT_CASE("activation: forward follows the definition in every width, also in place") {
  for (const Activation& activation : kAll) {
    for (const Index width : kWidths) {
      RandomData random(static_cast<std::uint64_t>(width));
      const Values z = random.signed_reals<T>(2 * 3 * width, 0.01, 6);
      check_forward<T>(ctx, activation, z, 2, 3, width, Layout::packed);
      check_forward<T>(ctx, activation, z, 3, 2, width, Layout::gaps);
    }
    for (const Index groups : kGroupCounts) {
      RandomData random(77);
      check_forward<T>(ctx, activation, random.signed_reals<T>(groups * 150 * 19, 0.01, 6), groups,
                       150, 19, Layout::packed);
    }
  }
}

GANMM_ELEMENT_CASE("activation: forward is right near zero, in the tails and beyond") {
  Values z;
  for (const double magnitude :
       {0.0, 1e-30, 1e-20, 1e-9, 1e-6, 1e-4, 1e-3, 0.1,  0.5,   0.62, 1.0, 4.0, 7.9,
        8.9, 9.1,   15.0,  20.0, 50.0, 87.0, 88.5, 90.0, 104.0, 1e3,  1e4, 1e30}) {
    z.push_back(magnitude);
    z.push_back(-magnitude);
  }
  z = rounded<T>(z);
  for (const Activation& activation : kAll) {
    check_forward<T>(ctx, activation, z, 1, 2, static_cast<Index>(z.size()) / 2, Layout::packed);
  }
}

GANMM_DEVICE_CASE("activation: forward is monotone where it is smooth") {
  Values z;
  for (int i = -4000; i <= 4000; ++i) z.push_back(static_cast<double>(i) / 256);
  for (const Activation& activation : kSmooth) {
    const Batch<T> x(ctx, 1, 1, {static_cast<Index>(z.size())}, z);
    Batch<T> y(ctx, 1, 1, {static_cast<Index>(z.size())});
    activation_forward<T>(ctx, y.view(), x.input(), activation);
    const Values values = y.get();
    // Neighbours may be off by the allowance of a value of at most 1, and never leave the range.
    double worst_drop = 0;
    double largest = 0;
    for (std::size_t i = 1; i < values.size(); ++i) {
      worst_drop = std::max(worst_drop, values[i - 1] - values[i]);
      largest = std::max(largest, std::abs(values[i]));
    }
    CHECK(worst_drop <= 8 * unit_roundoff<T>());
    CHECK(largest <= 1);
    CHECK(values.back() > values.front());
  }
}

GANMM_ELEMENT_CASE("activation: backward multiplies by the derivative at y, also in place") {
  for (const Activation& activation : kAll) {
    for (const Index width : kWidths) {
      for (const Layout layout : kOutputLayouts) {
        CAPTURE(static_cast<int>(activation.kind));
        CAPTURE(width);
        RandomData random(static_cast<std::uint64_t>(100 + width));
        const Index groups = 2, batch = 3;
        const Values z = random.signed_reals<T>(groups * batch * width, 0.01, 4);
        const Values y_values = rounded<T>(activate(activation, z));
        const Values d_y_values = random.reals<T>(groups * batch * width, 0.5, 2);
        Values expected(z.size()), allowed(z.size());
        for (std::size_t i = 0; i < z.size(); ++i) {
          expected[i] = derivative_from_y(activation, y_values[i]) * d_y_values[i];
          // 1 - y^2 and y (1 - y) have terms of at most 1 that cancel in saturation; the slope of
          // leaky_relu is rounded.
          allowed[i] = (unit_roundoff<T>() + 3 * unit_roundoff<Master<T>>()) * d_y_values[i];
        }
        const Batch<T> y(ctx, groups, batch, {width}, y_values, layout);
        const Batch<T> d_y(ctx, groups, batch, {width}, d_y_values, layout);
        Batch<T> d_x(ctx, groups, batch, {width}, layout);
        activation_backward<T>(ctx, d_x.view(), d_y.input(), y.input(), activation);
        CHECK(describe_mismatch(d_x.get(), expected, allowed) == "");
        Batch<T> in_place(ctx, groups, batch, {width}, layout);
        in_place.set(d_y_values);
        activation_backward<T>(ctx, in_place.view(), in_place.input(), y.input(), activation);
        CHECK(describe_mismatch(in_place.get(), expected, allowed) == "");
      }
    }
  }
}

GANMM_DEVICE_CASE("activation: relu lets nothing through where y is zero") {
  const Batch<T> y(ctx, 1, 2, {2}, {0, 1, 2, 0});
  const Batch<T> d_y(ctx, 1, 2, {2}, {5, 6, 7, 8});
  Batch<T> d_x(ctx, 1, 2, {2});
  activation_backward<T>(ctx, d_x.view(), d_y.input(), y.input(), {ActivationKind::relu});
  check_equal(d_x.get(), {0, 6, 7, 0});
}

TEST_CASE("activation: backward agrees with central differences of forward") {
  Context ctx;
  for (const Activation& activation : kAll) {
    CAPTURE(static_cast<int>(activation.kind));
    RandomData random(3);
    const Values z = random.signed_reals<double>(40, 0.1, 3);  // kinks are 1e4 steps away
    const Values weight = random.reals<double>(40, -1, 1);
    const auto loss = [&](const Values& at) { return dot(activate(activation, at), weight); };
    const Batch<double> x(ctx, 1, 4, {10}, z);
    const Batch<double> d_y(ctx, 1, 4, {10}, weight);
    Batch<double> y(ctx, 1, 4, {10});
    Batch<double> d_x(ctx, 1, 4, {10});
    activation_forward<double>(ctx, y.view(), x.input(), activation);
    activation_backward<double>(ctx, d_x.view(), d_y.input(), y.input(), activation);
    check_gradient(d_x.get(), central_gradient(loss, z));
  }
}

GANMM_DEVICE_CASE("activation: curvature adds phi'' s h to the backward signal, also in place") {
  for (const Activation& activation : kSmooth) {
    for (const Index width : kWidths) {
      for (const bool with_seed : {false, true}) {
        CAPTURE(static_cast<int>(activation.kind));
        CAPTURE(width);
        CAPTURE(with_seed);
        RandomData random(static_cast<std::uint64_t>(200 + width));
        const Index groups = 2, batch = 2, count = groups * batch * width;
        const Values z = random.signed_reals<T>(count, 0.01, 3);
        const Values s = random.reals<T>(count, -2, 2);
        const Values h = random.reals<T>(count, -2, 2);
        const Values r_y_values = random.reals<T>(count, -2, 2);
        Values y_values(z.size()), u_values(z.size()), t_values(z.size());
        Values expected(z.size()), allowed(z.size());
        for (std::size_t i = 0; i < z.size(); ++i) {
          const double y = activate(activation, z[i]);
          const double slope = derivative_from_y(activation, y);
          y_values[i] = y;
          u_values[i] = slope * h[i];
          t_values[i] = slope * s[i];
          const double seed = with_seed ? slope * r_y_values[i] : 0;
          const double second = reference::second_derivative(activation, z[i]) * s[i] * h[i];
          expected[i] = seed + second;
          // The inputs y, u, t are rounded, and 1 - y^2 (y (1 - y)) magnifies the rounding of y by
          // at most 1 / phi'.
          allowed[i] = 16 * unit_roundoff<T>() *
                       (std::abs(with_seed ? r_y_values[i] : 0) + std::abs(second) / slope +
                        std::abs(s[i] * h[i]) * slope);
        }
        const Batch<T> y(ctx, groups, batch, {width}, y_values);
        const Batch<T> u(ctx, groups, batch, {width}, u_values, Layout::gaps);
        const Batch<T> t(ctx, groups, batch, {width}, t_values);
        Batch<T> r_x(ctx, groups, batch, {width}, Layout::gaps);
        if (with_seed) {
          const Batch<T> r_y(ctx, groups, batch, {width}, r_y_values);
          activation_curvature<T>(ctx, r_x.view(), r_y.input(), y.input(), u.input(), t.input(),
                                  activation);
          Batch<T> in_place(ctx, groups, batch, {width});
          in_place.set(r_y_values);
          activation_curvature<T>(ctx, in_place.view(), in_place.input(), y.input(), u.input(),
                                  t.input(), activation);
          check_within(in_place.get(), expected, allowed);
        } else {
          activation_curvature<T>(ctx, r_x.view(), {}, y.input(), u.input(), t.input(), activation);
        }
        check_within(r_x.get(), expected, allowed);
      }
    }
  }
}

// From y, u and t as they are stored: the rounding of y is part of the data here, where it is part
// of the result in the case above.
TEST_CASE("activation: curvature rounds once to bfloat16, cuda" * doctest::test_suite("gpu")) {
  on_cuda([](Context& ctx) {
    for (const Activation& activation : kSmooth) {
      for (const Index width : {5, 16}) {
        RandomData random(static_cast<std::uint64_t>(300 + width));
        const Index count = 3 * 2 * width;
        const Values y_values = activation.kind == ActivationKind::tanh
                                    ? random.signed_reals<BFloat16>(count, 0.1, 0.9)
                                    : random.reals<BFloat16>(count, 0.1, 0.9);
        const Values u_values = random.reals<BFloat16>(count, -2, 2);
        const Values t_values = random.reals<BFloat16>(count, -2, 2);
        const Values r_values = random.reals<BFloat16>(count, -2, 2);
        Values expected, allowed;
        for (std::size_t i = 0; i < y_values.size(); ++i) {
          const double y = y_values[i], slope = derivative_from_y(activation, y);
          const double bend = activation.kind == ActivationKind::tanh ? -2 * y : 1 - 2 * y;
          const double second = bend / slope * u_values[i] * t_values[i];
          expected.push_back(slope * r_values[i] + second);
          // In single precision up to the last rounding.
          allowed.push_back((0x1p-8 + 8 * unit_roundoff<float>()) *
                            (std::abs(slope * r_values[i]) + std::abs(second)));
        }
        const Batch<BFloat16> y(ctx, 3, 2, {width}, y_values);
        const Batch<BFloat16> u(ctx, 3, 2, {width}, u_values);
        const Batch<BFloat16> t(ctx, 3, 2, {width}, t_values);
        const Batch<BFloat16> r_y(ctx, 3, 2, {width}, r_values);
        Batch<BFloat16> r_x(ctx, 3, 2, {width});
        activation_curvature<BFloat16>(ctx, r_x.view(), r_y.input(), y.input(), u.input(),
                                       t.input(), activation);
        check_within(r_x.get(), expected, allowed);
      }
    }
  });
}

GANMM_ELEMENT_CASE("activation: curvature of a saturated unit is zero, not NaN") {
  const Batch<T> u(ctx, 1, 1, {2}, {0, 0});
  const Batch<T> t(ctx, 1, 1, {2}, {0, 0});
  const Batch<T> r_y(ctx, 1, 1, {2}, {3, 4});
  Batch<T> r_x(ctx, 1, 1, {2});
  const Batch<T> tanh_y(ctx, 1, 1, {2}, {1, -1});
  activation_curvature<T>(ctx, r_x.view(), r_y.input(), tanh_y.input(), u.input(), t.input(),
                          {ActivationKind::tanh});
  check_zero(r_x.get());
  const Batch<T> sigmoid_y(ctx, 1, 1, {2}, {1, 0});
  activation_curvature<T>(ctx, r_x.view(), r_y.input(), sigmoid_y.input(), u.input(), t.input(),
                          {ActivationKind::sigmoid});
  check_zero(r_x.get());
}

GANMM_DEVICE_CASE("activation: curvature of a piecewise linear function is its backward pass") {
  RandomData random(4);
  const Values y_values = random.signed_reals<T>(12, 0.1, 2);
  const Values r_values = random.integers(12, 1, 9);
  for (const Activation& activation :
       {Activation{ActivationKind::identity, 0.2}, Activation{ActivationKind::relu, 0.2},
        Activation{ActivationKind::leaky_relu, 0.25}}) {
    Values expected(12);
    for (std::size_t i = 0; i < 12; ++i) {
      expected[i] = derivative_from_y(activation, y_values[i]) * r_values[i];
    }
    const Batch<T> y(ctx, 2, 2, {3}, y_values);
    const Batch<T> r_y(ctx, 2, 2, {3}, r_values);
    const Batch<T> u(ctx, 2, 2, {3}, random.reals<T>(12, -1, 1));
    const Batch<T> t(ctx, 2, 2, {3}, random.reals<T>(12, -1, 1));
    Batch<T> r_x(ctx, 2, 2, {3});
    activation_curvature<T>(ctx, r_x.view(), r_y.input(), y.input(), u.input(), t.input(),
                            activation);
    check_equal(r_x.get(), expected);
  }
}

GANMM_DEVICE_CASE("activation: an empty batch is no work") {
  const Batch<T> x(ctx, 2, 0, {3}, Values{});
  Batch<T> y(ctx, 2, 0, {3});
  CHECK_NOTHROW(activation_forward<T>(ctx, y.view(), x.input(), {ActivationKind::tanh}));
  CHECK_NOTHROW(
      activation_backward<T>(ctx, y.view(), x.input(), x.input(), {ActivationKind::tanh}));
}

TEST_CASE("activation: unequal shapes are refused") {
  Context ctx;
  const Batch<float> x(ctx, 2, 3, {4}, Values(24, 1.0));
  const Batch<float> narrow(ctx, 2, 3, {2}, Values(12, 1.0));
  Batch<float> y(ctx, 2, 3, {5});
  Batch<float> fits(ctx, 2, 3, {4});
  CHECK_THROWS_AS(activation_forward<float>(ctx, y.view(), x.input(), {}), ShapeError);
  CHECK_THROWS_AS(activation_backward<float>(ctx, fits.view(), x.input(), narrow.input(), {}),
                  ShapeError);
}

}  // namespace ganmm::kernels
