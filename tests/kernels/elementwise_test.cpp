#include "kernels/elementwise.h"
#include "tests/reference/elementwise.h"
#include "tests/support/devices.h"
#include "tests/support/guard_buffer.h"
#include "tests/support/random_data.h"

namespace ganmm::kernels {

using namespace ganmm::test;

GANMM_ELEMENT_CASE("elementwise: fill sets every element and no other") {
  for (const Index width : kWidths) {
    for (const Layout layout : kOutputLayouts) {
      Batch<T> y(ctx, 2, 3, {width}, layout);
      fill<T>(ctx, y.view(), -2.5);
      check_equal(y.get(), Values(reference::at(6 * width), -2.5));
    }
  }
  Batch<T> image(ctx, 7, 2, {3, 2, 5}, Layout::gaps);
  fill<T>(ctx, image.view(), 0);
  check_zero(image.get());
  Batch<T> empty(ctx, 2, 0, {4});
  CHECK_NOTHROW(fill<T>(ctx, empty.view(), 1));
}

GANMM_ELEMENT_CASE("elementwise: axpby is exact on small integers in every layout") {
  for (const Index width : kWidths) {
    for (const Layout layout : kInputLayouts) {
      CAPTURE(width);
      CAPTURE(static_cast<int>(layout));
      RandomData random(static_cast<std::uint64_t>(width));
      const Index stored = layout == Layout::shared ? 1 : 3;
      const Values x_values = random.integers(stored * 2 * width, 1, 9);
      const Values x_all = layout == Layout::shared ? repeated(x_values, 3) : x_values;
      const Values start = random.integers(3 * 2 * width, -9, 9);
      const Batch<T> x(ctx, 3, 2, {width}, x_values, layout);
      Batch<T> y(ctx, 3, 2, {width}, Layout::gaps);
      axpby<T>(ctx, y.view(), 2, x.input(), 0);  // y holds NaN
      check_equal(y.get(), scaled(x_all, 2));
      y.set(start);
      axpby<T>(ctx, y.view(), -3, x.input(), 4);
      check_equal(y.get(), scaled(x_all, -3) + scaled(start, 4));
      axpby<T>(ctx, y.view(), 1, x.input(), 1);
      check_equal(y.get(), scaled(x_all, -2) + scaled(start, 4));
    }
  }
}

GANMM_ELEMENT_CASE("elementwise: axpby rounds each factor, product and sum once") {
  RandomData random(1);
  const Values x_values = random.reals<T>(7 * 5 * 33, -2, 2);
  const Values start = random.reals<T>(7 * 5 * 33, -2, 2);
  const Batch<T> x(ctx, 7, 5, {33}, x_values);
  Batch<T> y(ctx, 7, 5, {33});
  y.set(start);
  axpby<T>(ctx, y.view(), 0.3, x.input(), 0.7);
  const Values terms = scaled(x_values, 0.3);
  const Values others = scaled(start, 0.7);
  Values allowed(terms.size());
  for (std::size_t i = 0; i < allowed.size(); ++i) {
    // Factor, product, sum: three roundings of each term, and one for the reference; of these only
    // the last is to bfloat16.
    allowed[i] = (unit_roundoff<T>() + 3 * unit_roundoff<Master<T>>()) *
                 (std::abs(terms[i]) + std::abs(others[i]));
  }
  check_within(y.get(), terms + others, allowed);
}

GANMM_ELEMENT_CASE("elementwise: a bias is added per channel at every position") {
  for (const Index channels : kWidths) {
    for (const Layout layout : kOutputLayouts) {
      CAPTURE(channels);
      RandomData random(static_cast<std::uint64_t>(channels));
      const Values start = random.integers(2 * 3 * 6 * channels, -9, 9);
      const Values bias_values = random.integers(2 * channels, 1, 99);
      const Param<Master<T>> bias(ctx, 2, {channels}, bias_values, layout);
      Batch<T> x(ctx, 2, 3, {2, 3, channels}, layout);
      x.set(start);
      add_bias<T>(ctx, x.view(), bias.input());
      check_equal(x.get(), reference::add_bias(start, bias_values, 2, 18, channels));
    }
  }
  Batch<T> empty(ctx, 2, 0, {3});
  const Param<Master<T>> bias(ctx, 2, {3}, Values(6, 1.0));
  CHECK_NOTHROW(add_bias<T>(ctx, empty.view(), bias.input()));
}

GANMM_ELEMENT_CASE("elementwise: the bias gradient sums exactly, overwriting or accumulating") {
  for (const Index channels : kWidths) {
    for (const Layout layout : kInputLayouts) {
      CAPTURE(channels);
      CAPTURE(static_cast<int>(layout));
      RandomData random(static_cast<std::uint64_t>(channels));
      const Index stored = layout == Layout::shared ? 1 : 2;
      const Values values = random.integers(stored * 3 * 6 * channels, -9, 9);
      const Batch<T> d_y(ctx, 2, 3, {2, 3, channels}, values, layout);
      const Values expected =
          reference::bias_grad(layout == Layout::shared ? repeated(values, 2) : values, 2, 18,
                               channels)
              .value;
      Param<Master<T>> d_bias(ctx, 2, {channels}, Layout::gaps);
      bias_grad<T>(ctx, d_bias.view(), d_y.input(), Write::overwrite);
      check_equal(d_bias.get(), expected);
      const Values start = random.integers(2 * channels, 100, 200);
      d_bias.set(start);
      bias_grad<T>(ctx, d_bias.view(), d_y.input(), Write::accumulate);
      check_equal(d_bias.get(), start + expected);
    }
  }
}

GANMM_ELEMENT_CASE("elementwise: the bias gradient of one row is that row") {
  const Batch<T> d_y(ctx, 2, 1, {3}, {1, 2, 3, 4, 5, 6});
  Param<Master<T>> d_bias(ctx, 2, {3});
  bias_grad<T>(ctx, d_bias.view(), d_y.input(), Write::overwrite);
  check_equal(d_bias.get(), {1, 2, 3, 4, 5, 6});
}

GANMM_ELEMENT_CASE("elementwise: the bias gradient of an empty batch is zero") {
  const Batch<T> d_y(ctx, 2, 0, {3}, Values{});
  Param<Master<T>> d_bias(ctx, 2, {3});
  bias_grad<T>(ctx, d_bias.view(), d_y.input(), Write::overwrite);
  check_zero(d_bias.get());
  d_bias.set({1, 2, 3, 4, 5, 6});
  bias_grad<T>(ctx, d_bias.view(), d_y.input(), Write::accumulate);
  check_equal(d_bias.get(), {1, 2, 3, 4, 5, 6});
}

GANMM_ELEMENT_CASE("elementwise: long bias sums stay within their rounding") {
  for (const Index groups : kGroupCounts) {
    for (const Index channels : {1, 3, 12}) {
      RandomData random(2);
      const Values values = random.reals<T>(groups * 50 * 49 * channels, -2, 2);
      const Batch<T> d_y(ctx, groups, 50, {7, 7, channels}, values);
      Param<Master<T>> d_bias(ctx, groups, {channels});
      bias_grad<T>(ctx, d_bias.view(), d_y.input(), Write::overwrite);
      const auto expected = reference::bias_grad(values, groups, 50 * 49, channels);
      check_within(d_bias.get(), expected.value,
                   scaled(expected.scale, 2 * reduction_rtol<Master<T>>(50 * 49)));
    }
  }
}

TEST_CASE("elementwise: the bits of a bias gradient do not depend on the layout, cuda" *
          doctest::test_suite("gpu")) {
  on_cuda([](Context& ctx) {
    for (const Index channels : {1, 3, 8, 20}) {
      CAPTURE(channels);
      RandomData random(7);
      const Values values = random.reals<float>(2 * 11 * 15 * channels, -2, 2);
      Values packed;
      for (const Layout layout : {Layout::packed, Layout::group_gaps, Layout::gaps}) {
        const Batch<float> d_y(ctx, 2, 11, {3, 5, channels}, values, layout);
        Param<float> d_bias(ctx, 2, {channels});
        bias_grad<float>(ctx, d_bias.view(), d_y.input(), Write::overwrite);
        if (layout == Layout::packed) packed = d_bias.get();
        check_equal(d_bias.get(), packed);
      }
    }
  });
}

GANMM_ELEMENT_CASE(
    "elementwise: crop keeps the first rows and columns, its adjoint pads with zeros") {
  struct Case {
    Shape large, small;
  };
  for (const Case& c : {Case{{8, 8, 3}, {7, 7, 3}}, Case{{5, 7, 1}, {2, 7, 1}},
                        Case{{4, 3, 17}, {4, 1, 17}}, Case{{3, 3, 2}, {3, 3, 2}}}) {
    for (const Index groups : kGroupCounts) {
      for (const Layout layout : kOutputLayouts) {
        CAPTURE(to_string(c.large));
        CAPTURE(to_string(c.small));
        RandomData random(3);
        const Values x_values = random.integers(groups * 2 * c.large.count(), 1, 99);
        const Values y_values = random.integers(groups * 2 * c.small.count(), 1, 99);
        const Batch<T> x(ctx, groups, 2, c.large, x_values, layout);
        const Batch<T> y(ctx, groups, 2, c.small, y_values, layout);
        Batch<T> cropped(ctx, groups, 2, c.small, layout);
        Batch<T> padded(ctx, groups, 2, c.large, layout);
        crop<T>(ctx, cropped.view(), x.input());
        crop_backward<T>(ctx, padded.view(), y.input());
        check_equal(cropped.get(), reference::crop(x_values, groups * 2, c.large, c.small));
        check_equal(padded.get(), reference::crop_backward(y_values, groups * 2, c.large, c.small));
        CHECK(dot(cropped.get(), y_values) == dot(x_values, padded.get()));
      }
    }
  }
}

template <class To, class From>
static void check_copy(Context& ctx) {
  for (const Index width : kWidths) {
    for (const Layout layout : kInputLayouts) {
      CAPTURE(width);
      CAPTURE(static_cast<int>(layout));
      RandomData random(static_cast<std::uint64_t>(width));
      const Index stored = layout == Layout::shared ? 1 : 3;
      const Values values = random.reals<From>(stored * 2 * width, -2, 2);
      Values expected = layout == Layout::shared ? repeated(values, 3) : values;
      for (double& value : expected) value = static_cast<double>(static_cast<To>(value));
      const Batch<From> x(ctx, 3, 2, {width}, values, layout);
      for (const Layout to : kOutputLayouts) {
        Batch<To> y(ctx, 3, 2, {width}, to);
        copy<To, From>(ctx, y.view(), x.input());
        check_equal(y.get(), expected);
      }
    }
  }
}

GANMM_ELEMENT_CASE("elementwise: a copy has the same values in every layout") {
  check_copy<T, T>(ctx);
}

TEST_CASE("elementwise: a copy into the other type rounds to nearest, cuda" *
          doctest::test_suite("gpu")) {
  on_cuda(check_copy<float, BFloat16>);
  on_cuda(check_copy<BFloat16, float>);
}

TEST_CASE("elementwise: shapes that do not fit are refused") {
  Context ctx;
  const Batch<float> x(ctx, 2, 3, {4, 4, 2}, Values(192, 1.0));
  Batch<float> other(ctx, 2, 2, {4, 4, 2});
  Batch<float> larger(ctx, 2, 3, {5, 4, 2});
  Batch<float> y(ctx, 2, 3, {4, 4, 2});
  Param<float> wrong(ctx, 2, {3});
  wrong.set(Values(6, 1.0));
  CHECK_THROWS_AS(axpby<float>(ctx, other.view(), 1, x.input(), 0), ShapeError);
  CHECK_THROWS_AS(crop<float>(ctx, larger.view(), x.input()), ShapeError);
  CHECK_THROWS_AS(add_bias<float>(ctx, y.view(), wrong.input()), ShapeError);
  CHECK_THROWS_AS(bias_grad<float>(ctx, wrong.view(), x.input(), Write::overwrite), ShapeError);
  GroupView<float> shared = y.view();
  shared.group_stride = 0;
  CHECK_THROWS_AS(fill<float>(ctx, shared, 1), ShapeError);
}

}  // namespace ganmm::kernels
