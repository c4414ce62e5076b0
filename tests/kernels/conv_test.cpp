#include "kernels/conv.h"
#include "tests/reference/activation.h"
#include "tests/reference/conv.h"
#include "tests/support/devices.h"
#include "tests/support/guard_buffer.h"
#include "tests/support/random_data.h"

#if GANMM_HAVE_ONEDNN
#include "kernels/cpu/isa.h"
#include "kernels/cpu/onednn.h"
#endif

namespace ganmm::kernels {
namespace {

using namespace ganmm::test;

// Odd and even sizes, one to sixteen channels, both kernels and strides, padding that differs
// between the sides, none at all, and an image smaller than the kernel.
std::vector<ConvGeometry> geometries() {
  std::vector<ConvGeometry> all = {
      same_padding(5, 7, 1, 2, 3, 1),   same_padding(5, 7, 3, 4, 5, 2),
      same_padding(9, 4, 2, 3, 5, 2),   same_padding(9, 4, 3, 16, 3, 2),
      same_padding(8, 8, 16, 3, 5, 2),  same_padding(16, 16, 2, 3, 3, 1),
      same_padding(4, 4, 16, 16, 5, 2), same_padding(7, 7, 3, 2, 5, 1),
      same_padding(1, 2, 2, 3, 5, 2),   same_padding(14, 14, 1, 1, 5, 2)};
  all.push_back({7, 6, 2, 3, 2, 3, 3, 2, 0, 0});  // unpadded, the last column unused
  all.push_back({6, 6, 1, 4, 3, 2, 3, 2, 2, 1});  // another padding before each axis
  return all;
}

std::string name(const ConvGeometry& g) {
  return message(to_string(g.input()), " -> ", to_string(g.output()), ", kernel ", g.kernel,
                 ", stride ", g.stride, ", pads ", g.pad_top, " ", g.pad_left);
}

struct Size {
  Index groups, batch;
};
const std::vector<Size> kSizes = {{1, 1}, {2, 3}, {7, 2}};

template <class T>
void plan_all(Context& ctx, const std::vector<ConvGeometry>& all) {
  Index bytes = 0;
  for (const ConvGeometry& g : all) {
    bytes = std::max(bytes, conv_workspace<T>(ctx, 7, 4, g));
  }
  reserve_scratch(ctx, bytes);
}

// |sum| stays below 3 * 3 * 25 * 16 * 3, exact in float. Only the filter has both signs: no sum is
// zero by the smallness of its case.
struct Data {
  Data(const ConvGeometry& g, const Size& size) {
    RandomData random(static_cast<std::uint64_t>(g.in_h * 100 + g.in_w * 10 + g.out_c));
    x = random.integers(size.groups * size.batch * g.input().count(), 1, 3);
    d_y = random.integers(size.groups * size.batch * g.output().count(), 1, 3);
    filter = random.integers(size.groups * g.filter().count(), -3, 3);
  }
  Values x, d_y, filter;
};

}  // namespace

TEST_CASE("conv: same padding follows TensorFlow's formula") {
  const ConvGeometry first = same_padding(28, 28, 1, 64, 5, 2);
  CHECK(first == ConvGeometry{28, 28, 1, 14, 14, 64, 5, 2, 1, 1});
  const ConvGeometry second = same_padding(14, 14, 64, 128, 5, 2);
  CHECK(second == ConvGeometry{14, 14, 64, 7, 7, 128, 5, 2, 1, 1});
  const ConvGeometry third = same_padding(7, 7, 128, 256, 5, 2);
  CHECK(third == ConvGeometry{7, 7, 128, 4, 4, 256, 5, 2, 2, 2});
  CHECK(same_padding(5, 7, 3, 4, 3, 1) == ConvGeometry{5, 7, 3, 5, 7, 4, 3, 1, 1, 1});
  // (3 - 1) 2 + 5 - 5 = 4 rows, (2 - 1) 2 + 5 - 4 = 3 columns: the smaller half before.
  CHECK(same_padding(5, 4, 1, 1, 5, 2) == ConvGeometry{5, 4, 1, 3, 2, 1, 5, 2, 2, 1});
  // A stride beyond the kernel leaves no padding, never a negative one.
  CHECK(same_padding(6, 6, 1, 1, 1, 3) == ConvGeometry{6, 6, 1, 2, 2, 1, 1, 3, 0, 0});
}

GANMM_CPU_CASE("conv: forward is exact on small integers for every geometry") {
  plan_all<T>(ctx, geometries());
  for (const ConvGeometry& g : geometries()) {
    for (const Size& size : kSizes) {
      CAPTURE(name(g));
      CAPTURE(size.groups);
      const Data data(g, size);
      const Batch<T> x(ctx, size.groups, size.batch, g.input(), data.x, Layout::group_gaps);
      const Param<T> filter(ctx, size.groups, g.filter(), data.filter, Layout::group_gaps);
      Batch<T> y(ctx, size.groups, size.batch, g.output(), Layout::group_gaps);
      conv_forward<T>(ctx, y.view(), x.input(), filter.input(), g);
      check_equal(y.get(),
                  reference::conv_forward(g, size.groups, size.batch, data.x, data.filter).value);
    }
  }
}

GANMM_CPU_CASE("conv: backward-data is exact on small integers for every geometry") {
  plan_all<T>(ctx, geometries());
  for (const ConvGeometry& g : geometries()) {
    for (const Size& size : kSizes) {
      CAPTURE(name(g));
      CAPTURE(size.groups);
      const Data data(g, size);
      const Batch<T> d_y(ctx, size.groups, size.batch, g.output(), data.d_y, Layout::group_gaps);
      const Param<T> filter(ctx, size.groups, g.filter(), data.filter, Layout::group_gaps);
      Batch<T> d_x(ctx, size.groups, size.batch, g.input(), Layout::group_gaps);
      conv_backward_data<T>(ctx, d_x.view(), d_y.input(), filter.input(), g);
      check_equal(
          d_x.get(),
          reference::conv_backward_data(g, size.groups, size.batch, data.d_y, data.filter).value);
    }
  }
}

GANMM_CPU_CASE("conv: backward-weights overwrites or accumulates exactly for every geometry") {
  plan_all<T>(ctx, geometries());
  for (const ConvGeometry& g : geometries()) {
    for (const Size& size : kSizes) {
      CAPTURE(name(g));
      CAPTURE(size.groups);
      const Data data(g, size);
      const Batch<T> x(ctx, size.groups, size.batch, g.input(), data.x, Layout::group_gaps);
      const Batch<T> d_y(ctx, size.groups, size.batch, g.output(), data.d_y, Layout::group_gaps);
      Param<T> d_filter(ctx, size.groups, g.filter(), Layout::group_gaps);
      const Values expected =
          reference::conv_backward_weights(g, size.groups, size.batch, data.x, data.d_y).value;
      conv_backward_weights<T>(ctx, d_filter.view(), x.input(), d_y.input(), g, Write::overwrite);
      check_equal(d_filter.get(), expected);
      d_filter.set(data.filter);
      conv_backward_weights<T>(ctx, d_filter.view(), x.input(), d_y.input(), g, Write::accumulate);
      check_equal(d_filter.get(), data.filter + expected);
    }
  }
}

GANMM_CPU_CASE("conv: an input with group stride 0 serves every group") {
  const ConvGeometry g = same_padding(9, 4, 3, 5, 5, 2);
  plan_all<T>(ctx, {g});
  const Size size{3, 2};
  const Data data(g, size);
  const Values one(data.x.begin(), data.x.begin() + size.batch * g.input().count());
  const Batch<T> x(ctx, size.groups, size.batch, g.input(), one, Layout::shared);
  const Batch<T> d_y(ctx, size.groups, size.batch, g.output(), data.d_y);
  const Param<T> filter(ctx, size.groups, g.filter(), data.filter);
  Batch<T> y(ctx, size.groups, size.batch, g.output());
  conv_forward<T>(ctx, y.view(), x.input(), filter.input(), g);
  check_equal(y.get(), reference::conv_forward(g, size.groups, size.batch,
                                               repeated(one, size.groups), data.filter)
                           .value);
  Param<T> d_filter(ctx, size.groups, g.filter());
  conv_backward_weights<T>(ctx, d_filter.view(), x.input(), d_y.input(), g, Write::overwrite);
  check_equal(d_filter.get(), reference::conv_backward_weights(g, size.groups, size.batch,
                                                               repeated(one, size.groups), data.d_y)
                                  .value);
}

GANMM_CPU_CASE("conv: network shapes stay within the rounding of their sums") {
  const std::vector<ConvGeometry> all = {
      same_padding(28, 28, 1, 16, 5, 2), same_padding(14, 14, 16, 32, 5, 2),
      same_padding(7, 7, 32, 64, 5, 2), same_padding(7, 7, 128, 256, 5, 2)};
  plan_all<T>(ctx, all);
  for (const ConvGeometry& g : all) {
    CAPTURE(name(g));
    const Size size{g.in_c < 128 ? 2 : 1, 2};
    RandomData random(5);
    const Values x_values = random.reals<T>(size.groups * size.batch * g.input().count(), -2, 2);
    const Values d_y_values = random.reals<T>(size.groups * size.batch * g.output().count(), -2, 2);
    const Values filter_values = random.reals<T>(size.groups * g.filter().count(), -1, 1);
    const Batch<T> x(ctx, size.groups, size.batch, g.input(), x_values);
    const Batch<T> d_y(ctx, size.groups, size.batch, g.output(), d_y_values);
    const Param<T> filter(ctx, size.groups, g.filter(), filter_values);

    // Twice the bound: the double reference rounds as well.
    Batch<T> y(ctx, size.groups, size.batch, g.output());
    conv_forward<T>(ctx, y.view(), x.input(), filter.input(), g);
    const auto forward =
        reference::conv_forward(g, size.groups, size.batch, x_values, filter_values);
    check_within(y.get(), forward.value,
                 scaled(forward.scale, 2 * reduction_rtol<T>(g.kernel * g.kernel * g.in_c)));

    Batch<T> d_x(ctx, size.groups, size.batch, g.input());
    conv_backward_data<T>(ctx, d_x.view(), d_y.input(), filter.input(), g);
    const auto data =
        reference::conv_backward_data(g, size.groups, size.batch, d_y_values, filter_values);
    check_within(d_x.get(), data.value,
                 scaled(data.scale, 2 * reduction_rtol<T>(g.kernel * g.kernel * g.out_c)));

    Param<T> d_filter(ctx, size.groups, g.filter());
    conv_backward_weights<T>(ctx, d_filter.view(), x.input(), d_y.input(), g, Write::overwrite);
    const auto weights =
        reference::conv_backward_weights(g, size.groups, size.batch, x_values, d_y_values);
    check_within(d_filter.get(), weights.value,
                 scaled(weights.scale, 2 * reduction_rtol<T>(size.batch * g.out_h * g.out_w)));
  }
}

GANMM_CPU_CASE("conv: the epilogue serves convolution and transposed convolution") {
  const ConvGeometry g = same_padding(7, 8, 3, 5, 5, 2);
  plan_all<T>(ctx, {g});
  const Size size{2, 3};
  for (const ActivationKind kind :
       {ActivationKind::identity, ActivationKind::relu, ActivationKind::leaky_relu,
        ActivationKind::tanh, ActivationKind::sigmoid}) {
    for (const bool transposed : {false, true}) {
      CAPTURE(static_cast<int>(kind));
      CAPTURE(transposed);
      const Shape from = transposed ? g.output() : g.input();
      const Shape to = transposed ? g.input() : g.output();
      RandomData random(6);
      const Values in = random.reals<T>(size.groups * size.batch * from.count(), -1, 1);
      const Values filter_values = random.reals<T>(size.groups * g.filter().count(), -0.25, 0.25);
      const Values bias_values = random.reals<T>(size.groups * to.back(), -1, 1);
      auto sums = transposed
                      ? reference::conv_backward_data(g, size.groups, size.batch, in, filter_values)
                      : reference::conv_forward(g, size.groups, size.batch, in, filter_values);
      const Index per_group = size.batch * to.count();
      for (Index i = 0; i < size.groups * per_group; ++i) {
        sums.add(i, bias_values[reference::at(i / per_group * to.back() + i % to.back())]);
      }
      const Activation activation{kind, 0.25};
      const Values expected = reference::activate(activation, sums.value);
      // Slopes are at most 1, so the sum's allowance carries over; the activation adds a few
      // roundings of a value of at most its own size.
      Values allowed =
          scaled(sums.scale, 2 * reduction_rtol<T>(g.kernel * g.kernel * from.back() + 1));
      for (std::size_t i = 0; i < allowed.size(); ++i) {
        allowed[i] += 8 * unit_roundoff<T>() * std::abs(expected[i]);
      }
      const Batch<T> input(ctx, size.groups, size.batch, from, in);
      const Param<T> filter(ctx, size.groups, g.filter(), filter_values);
      const Param<T> bias(ctx, size.groups, {to.back()}, bias_values);
      const Epilogue<T> epilogue{bias.input(), activation};
      Batch<T> output(ctx, size.groups, size.batch, to);
      if (transposed) {
        conv_backward_data<T>(ctx, output.view(), input.input(), filter.input(), g, epilogue);
      } else {
        conv_forward<T>(ctx, output.view(), input.input(), filter.input(), g, epilogue);
      }
      check_within(output.get(), expected, allowed);
    }
  }
}

GANMM_CPU_CASE("conv: forward, backward-data and backward-weights are adjoint") {
  plan_all<T>(ctx, geometries());
  const Size size{2, 3};
  for (const ConvGeometry& g : geometries()) {
    CAPTURE(name(g));
    const Data data(g, size);
    const Batch<T> x(ctx, size.groups, size.batch, g.input(), data.x);
    const Batch<T> d_y(ctx, size.groups, size.batch, g.output(), data.d_y);
    const Param<T> filter(ctx, size.groups, g.filter(), data.filter);
    Batch<T> y(ctx, size.groups, size.batch, g.output());
    Batch<T> d_x(ctx, size.groups, size.batch, g.input());
    Param<T> d_filter(ctx, size.groups, g.filter());
    conv_forward<T>(ctx, y.view(), x.input(), filter.input(), g);
    conv_backward_data<T>(ctx, d_x.view(), d_y.input(), filter.input(), g);
    conv_backward_weights<T>(ctx, d_filter.view(), x.input(), d_y.input(), g, Write::overwrite);
    // Integers: all three inner products are exact and therefore equal.
    const double forward = dot(y.get(), data.d_y);
    CHECK(forward != 0);
    CHECK(forward == dot(data.x, d_x.get()));
    CHECK(forward == dot(data.filter, d_filter.get()));
  }
}

GANMM_CPU_CASE("conv: an empty batch gives no output and a zero filter gradient") {
  const ConvGeometry g = same_padding(5, 7, 2, 3, 3, 2);
  plan_all<T>(ctx, {g});
  const Batch<T> x(ctx, 2, 0, g.input(), Values{});
  const Batch<T> d_y(ctx, 2, 0, g.output(), Values{});
  const Param<T> filter(ctx, 2, g.filter(), Values(reference::at(2 * g.filter().count()), 1.0));
  Batch<T> y(ctx, 2, 0, g.output());
  Batch<T> d_x(ctx, 2, 0, g.input());
  Param<T> d_filter(ctx, 2, g.filter());
  CHECK_NOTHROW(conv_forward<T>(ctx, y.view(), x.input(), filter.input(), g));
  CHECK_NOTHROW(conv_backward_data<T>(ctx, d_x.view(), d_y.input(), filter.input(), g));
  conv_backward_weights<T>(ctx, d_filter.view(), x.input(), d_y.input(), g, Write::overwrite);
  check_zero(d_filter.get());
  const Values start(reference::at(2 * g.filter().count()), 5.0);
  d_filter.set(start);
  conv_backward_weights<T>(ctx, d_filter.view(), x.input(), d_y.input(), g, Write::accumulate);
  check_equal(d_filter.get(), start);
}

GANMM_CPU_CASE("conv: the announced workspace is enough for each op of each geometry") {
  const Size size{2, 3};
  for (const ConvGeometry& g : geometries()) {
    CAPTURE(name(g));
    Context own(ctx.device());
    reserve_scratch(own, conv_workspace<T>(own, size.groups, size.batch, g));
    const Data data(g, size);
    const Batch<T> x(own, size.groups, size.batch, g.input(), data.x);
    const Batch<T> d_y(own, size.groups, size.batch, g.output(), data.d_y);
    const Param<T> filter(own, size.groups, g.filter(), data.filter);
    Batch<T> y(own, size.groups, size.batch, g.output());
    Batch<T> d_x(own, size.groups, size.batch, g.input());
    Param<T> d_filter(own, size.groups, g.filter());
    CHECK_NOTHROW(conv_forward<T>(own, y.view(), x.input(), filter.input(), g));
    CHECK_NOTHROW(conv_backward_data<T>(own, d_x.view(), d_y.input(), filter.input(), g));
    CHECK_NOTHROW(conv_backward_weights<T>(own, d_filter.view(), x.input(), d_y.input(), g,
                                           Write::overwrite));
    // The workspace serves smaller batches too.
    Batch<T> first(own, size.groups, 1, g.output());
    CHECK_NOTHROW(conv_forward<T>(own, first.view(), x.input().rows(0, 1), filter.input(), g));
  }
}

#if GANMM_HAVE_ONEDNN
TEST_CASE("conv: the network shapes run on the library's primitives where there are vectors") {
  if (cpu::best_isa() == cpu::Isa::baseline) return;
  using cpu::onednn::ConvOp;
  for (const ConvOp op : {ConvOp::forward, ConvOp::backward_data, ConvOp::backward_weights}) {
    CHECK(cpu::onednn::conv_available(op, 50, same_padding(14, 14, 64, 128, 5, 2)));
    CHECK(cpu::onednn::conv_available(op, 50, same_padding(7, 7, 128, 256, 5, 2)));
  }
}
#endif

TEST_CASE("conv: shapes that do not fit are refused") {
  Context ctx;
  const ConvGeometry g = same_padding(5, 7, 2, 3, 3, 2);
  plan_all<float>(ctx, {g});
  const Batch<float> x(ctx, 2, 1, g.input(), Values(reference::at(2 * g.input().count()), 1.0));
  const Param<float> filter(ctx, 2, g.filter(), Values(reference::at(2 * g.filter().count()), 1.0));
  const Param<float> bias(ctx, 2, {2}, Values(4, 1.0));
  Batch<float> y(ctx, 2, 1, g.output());
  Batch<float> two_items(ctx, 2, 2, g.output());
  Batch<float> other_item(ctx, 2, 1, {3, 3, 3});
  Batch<float> apart(ctx, 2, 2, g.output(), Layout::gaps);
  const Batch<float> two_inputs(ctx, 2, 2, g.input(),
                                Values(reference::at(4 * g.input().count()), 1.0));
  const auto call = [&](const Batch<float>& to, const Batch<float>& from,
                        const Epilogue<float>& epilogue = {}) {
    conv_forward<float>(ctx, to.view(), from.input(), filter.input(), g, epilogue);
  };
  CHECK_NOTHROW(call(y, x));
  CHECK_THROWS_AS(call(two_items, x), ShapeError);
  CHECK_THROWS_AS(call(other_item, x), ShapeError);
  CHECK_THROWS_AS(call(apart, two_inputs), ShapeError);
  CHECK_THROWS_AS(call(y, x, {bias.input(), {}}), ShapeError);
  GroupView<float> shared = y.view();
  shared.group_stride = 0;
  CHECK_THROWS_AS(conv_forward<float>(ctx, shared, x.input(), filter.input(), g), ShapeError);
}

}  // namespace ganmm::kernels
