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
  all.push_back(same_padding(3, 3, 1, 70, 3, 2));  // more channels than a tile of the direct path
  all.push_back({7, 6, 2, 3, 2, 3, 3, 2, 0, 0});   // unpadded, the last column unused
  all.push_back({6, 6, 1, 4, 3, 2, 3, 2, 2, 1});   // another padding before each axis
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

// Calls body() for every path of the CUDA backend in turn, on the CPU once.
template <class Body>
void for_each_path(Context& ctx, Body&& body) {
  if (ctx.on_cpu()) return body();
  for (const ConvPath path : kConvPaths) {
    if (path == ConvPath::automatic) continue;  // one of the others
    CAPTURE(to_string(path));
    ctx.set_conv_path(path);
    body();
  }
}

// Whether an op is computed on the path of the context: where another takes its place, that has a
// turn of its own.
template <class T>
bool on_own_path(const Context& ctx, ConvOp op, const ConvGeometry& g) {
  return ctx.on_cpu() || conv_path_of<T>(ctx, op, g) == ctx.conv_path();
}

template <class T>
void plan_all(Context& ctx, const std::vector<ConvGeometry>& all, const Size& most = {7, 4}) {
  Index bytes = 0;
  for_each_path(ctx, [&] {
    for (const ConvGeometry& g : all) {
      bytes = std::max(bytes, conv_workspace<T>(ctx, most.groups, most.batch, g));
    }
  });
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

GANMM_DEVICE_CASE("conv: forward is exact on small integers for every geometry") {
  plan_all<T>(ctx, geometries());
  for_each_path(ctx, [&] {
    for (const ConvGeometry& g : geometries()) {
      if (!on_own_path<T>(ctx, ConvOp::forward, g)) continue;
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
  });
}

GANMM_DEVICE_CASE("conv: backward-data is exact on small integers for every geometry") {
  plan_all<T>(ctx, geometries());
  for_each_path(ctx, [&] {
    for (const ConvGeometry& g : geometries()) {
      if (!on_own_path<T>(ctx, ConvOp::backward_data, g)) continue;
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
  });
}

GANMM_DEVICE_CASE("conv: backward-weights overwrites or accumulates exactly for every geometry") {
  plan_all<T>(ctx, geometries());
  for_each_path(ctx, [&] {
    for (const ConvGeometry& g : geometries()) {
      if (!on_own_path<T>(ctx, ConvOp::backward_weights, g)) continue;
      for (const Size& size : kSizes) {
        CAPTURE(name(g));
        CAPTURE(size.groups);
        const Data data(g, size);
        const Batch<T> x(ctx, size.groups, size.batch, g.input(), data.x, Layout::group_gaps);
        const Batch<T> d_y(ctx, size.groups, size.batch, g.output(), data.d_y, Layout::group_gaps);
        Param<T> d_filter(ctx, size.groups, g.filter(), Layout::group_gaps);
        const Values expected =
            reference::conv_backward_weights(g, size.groups, size.batch, data.x, data.d_y).value;
        if (&size == &kSizes.front()) {
          conv_backward_weights<T>(ctx, d_filter.view(), x.input(), d_y.input(), g,
                                   Write::overwrite);
          check_equal(d_filter.get(), expected);
        }
        d_filter.set(data.filter);
        conv_backward_weights<T>(ctx, d_filter.view(), x.input(), d_y.input(), g,
                                 Write::accumulate);
        check_equal(d_filter.get(), data.filter + expected);
      }
    }
  });
}

GANMM_DEVICE_CASE("conv: backward-weights sums large batches exactly") {
  struct Case {
    ConvGeometry geometry;
    Size size;
  };
  // More items than a slice of the direct path, and more than 64 slices of the least size.
  const std::vector<Case> cases = {{same_padding(6, 5, 1, 8, 5, 2), {2, 9}},
                                   {same_padding(3, 3, 2, 3, 3, 2), {1, 300}}};
  plan_all<T>(ctx, {cases[0].geometry, cases[1].geometry}, {2, 300});
  for (const auto& [g, size] : cases) {
    CAPTURE(name(g));
    const Data data(g, size);
    const Batch<T> x(ctx, size.groups, size.batch, g.input(), data.x);
    const Batch<T> d_y(ctx, size.groups, size.batch, g.output(), data.d_y);
    const Values expected =
        reference::conv_backward_weights(g, size.groups, size.batch, data.x, data.d_y).value;
    for_each_path(ctx, [&] {
      if (!on_own_path<T>(ctx, ConvOp::backward_weights, g)) return;
      Param<T> d_filter(ctx, size.groups, g.filter());
      conv_backward_weights<T>(ctx, d_filter.view(), x.input(), d_y.input(), g, Write::overwrite);
      check_equal(d_filter.get(), expected);
    });
  }
}

GANMM_DEVICE_CASE("conv: on own kernels a group has the bits that it has alone") {
  const ConvGeometry g = same_padding(9, 8, 2, 7, 5, 2);
  const Size size{3, 6};
  plan_all<T>(ctx, {g}, size);
  RandomData random(9);
  const Batch<T> x(ctx, size.groups, size.batch, g.input(),
                   random.reals<T>(size.groups * size.batch * g.input().count(), -1, 1));
  const Batch<T> d_y(ctx, size.groups, size.batch, g.output(),
                     random.reals<T>(size.groups * size.batch * g.output().count(), -1, 1));
  const Param<T> filter(ctx, size.groups, g.filter(),
                        random.reals<T>(size.groups * g.filter().count(), -1, 1));
  // cuBLAS and cuDNN make no such promise.
  ctx.set_conv_path(ConvPath::direct);
  const auto group_of = [&](const std::vector<T>& all, Index group) {
    const auto count = static_cast<std::ptrdiff_t>(all.size()) / size.groups;
    return std::vector<T>(all.begin() + group * count, all.begin() + (group + 1) * count);
  };
  Batch<T> y(ctx, size.groups, size.batch, g.output());
  Batch<T> d_x(ctx, size.groups, size.batch, g.input());
  Param<T> d_filter(ctx, size.groups, g.filter());
  conv_forward<T>(ctx, y.view(), x.input(), filter.input(), g);
  conv_backward_data<T>(ctx, d_x.view(), d_y.input(), filter.input(), g);
  conv_backward_weights<T>(ctx, d_filter.view(), x.input(), d_y.input(), g, Write::overwrite);
  for (Index group = 0; group < size.groups; ++group) {
    CAPTURE(group);
    const auto own_x = x.input().slice(group, 1), own_d_y = d_y.input().slice(group, 1);
    const auto own_filter = filter.input().slice(group, 1);
    Batch<T> own_y(ctx, 1, size.batch, g.output());
    Batch<T> own_d_x(ctx, 1, size.batch, g.input());
    Param<T> own_d_filter(ctx, 1, g.filter());
    conv_forward<T>(ctx, own_y.view(), own_x, own_filter, g);
    conv_backward_data<T>(ctx, own_d_x.view(), own_d_y, own_filter, g);
    conv_backward_weights<T>(ctx, own_d_filter.view(), own_x, own_d_y, g, Write::overwrite);
    CHECK(same_bits(own_y.bits(), group_of(y.bits(), group)));
    CHECK(same_bits(own_d_x.bits(), group_of(d_x.bits(), group)));
    CHECK(same_bits(own_d_filter.bits(), group_of(d_filter.bits(), group)));
  }
}

GANMM_DEVICE_CASE("conv: an input with group stride 0 serves every group") {
  const ConvGeometry g = same_padding(9, 4, 3, 5, 5, 2);
  plan_all<T>(ctx, {g});
  const Size size{3, 2};
  const Data data(g, size);
  const Values one_x(data.x.begin(), data.x.begin() + size.batch * g.input().count());
  const Values one_d_y(data.d_y.begin(), data.d_y.begin() + size.batch * g.output().count());
  const Values all_x = repeated(one_x, size.groups), all_d_y = repeated(one_d_y, size.groups);
  const Batch<T> shared_x(ctx, size.groups, size.batch, g.input(), one_x, Layout::shared);
  const Batch<T> shared_d_y(ctx, size.groups, size.batch, g.output(), one_d_y, Layout::shared);
  const Batch<T> d_y(ctx, size.groups, size.batch, g.output(), data.d_y);
  const Param<T> filter(ctx, size.groups, g.filter(), data.filter);
  for_each_path(ctx, [&] {
    Batch<T> y(ctx, size.groups, size.batch, g.output());
    conv_forward<T>(ctx, y.view(), shared_x.input(), filter.input(), g);
    check_equal(y.get(),
                reference::conv_forward(g, size.groups, size.batch, all_x, data.filter).value);
    Batch<T> d_x(ctx, size.groups, size.batch, g.input());
    conv_backward_data<T>(ctx, d_x.view(), shared_d_y.input(), filter.input(), g);
    check_equal(
        d_x.get(),
        reference::conv_backward_data(g, size.groups, size.batch, all_d_y, data.filter).value);
    Param<T> d_filter(ctx, size.groups, g.filter());
    conv_backward_weights<T>(ctx, d_filter.view(), shared_x.input(), d_y.input(), g,
                             Write::overwrite);
    check_equal(
        d_filter.get(),
        reference::conv_backward_weights(g, size.groups, size.batch, all_x, data.d_y).value);
    conv_backward_weights<T>(ctx, d_filter.view(), shared_x.input(), shared_d_y.input(), g,
                             Write::overwrite);
    check_equal(d_filter.get(),
                reference::conv_backward_weights(g, size.groups, size.batch, all_x, all_d_y).value);
  });
}

GANMM_DEVICE_CASE("conv: network shapes stay within the rounding of their sums") {
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
    for_each_path(ctx, [&] {
      if (on_own_path<T>(ctx, ConvOp::forward, g)) {
        Batch<T> y(ctx, size.groups, size.batch, g.output());
        conv_forward<T>(ctx, y.view(), x.input(), filter.input(), g);
        const auto forward =
            reference::conv_forward(g, size.groups, size.batch, x_values, filter_values);
        check_within(y.get(), forward.value,
                     scaled(forward.scale, 2 * reduction_rtol<T>(g.kernel * g.kernel * g.in_c)));
      }
      if (on_own_path<T>(ctx, ConvOp::backward_data, g)) {
        Batch<T> d_x(ctx, size.groups, size.batch, g.input());
        conv_backward_data<T>(ctx, d_x.view(), d_y.input(), filter.input(), g);
        const auto data =
            reference::conv_backward_data(g, size.groups, size.batch, d_y_values, filter_values);
        check_within(d_x.get(), data.value,
                     scaled(data.scale, 2 * reduction_rtol<T>(g.kernel * g.kernel * g.out_c)));
      }
      if (on_own_path<T>(ctx, ConvOp::backward_weights, g)) {
        Param<T> d_filter(ctx, size.groups, g.filter());
        conv_backward_weights<T>(ctx, d_filter.view(), x.input(), d_y.input(), g, Write::overwrite);
        const auto weights =
            reference::conv_backward_weights(g, size.groups, size.batch, x_values, d_y_values);
        check_within(d_filter.get(), weights.value,
                     scaled(weights.scale, 2 * reduction_rtol<T>(size.batch * g.out_h * g.out_w)));
      }
    });
  }
}

GANMM_DEVICE_CASE("conv: the epilogue serves convolution and transposed convolution") {
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
      for_each_path(ctx, [&] {
        Batch<T> output(ctx, size.groups, size.batch, to);
        if (transposed) {
          conv_backward_data<T>(ctx, output.view(), input.input(), filter.input(), g, epilogue);
        } else {
          conv_forward<T>(ctx, output.view(), input.input(), filter.input(), g, epilogue);
        }
        check_within(output.get(), expected, allowed);
      });
    }
  }
}

GANMM_DEVICE_CASE("conv: forward, backward-data and backward-weights are adjoint") {
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

GANMM_DEVICE_CASE("conv: an empty batch gives no output and a zero filter gradient") {
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

GANMM_DEVICE_CASE("conv: the announced workspace is enough for each op of each geometry") {
  const Size size{2, 3};
  for_each_path(ctx, [&] {
    for (const ConvGeometry& g : geometries()) {
      CAPTURE(name(g));
      Context own(ctx.device());
      own.set_conv_path(ctx.conv_path());
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
  });
}

TEST_CASE("conv: windows in slices give the same results, cuda float" *
          doctest::test_suite("gpu")) {
  on_cuda([](Context& ctx) {
    const ConvGeometry g = same_padding(9, 4, 2, 3, 5, 2);
    const Size size{5, 3};
    const Data data(g, size);
    const Index item = g.out_h * g.out_w * g.kernel * g.kernel * g.in_c * Index{sizeof(float)};
    // Less than an item, one or two items, one group, two groups, all.
    for (const Index items : {Index{0}, Index{2}, Index{3}, Index{7}, Index{100}}) {
      CAPTURE(items);
      Context own(ctx.device());
      own.set_conv_path(ConvPath::im2col);
      own.set_column_budget(items * item + 4);
      const Index bytes = conv_workspace<float>(own, size.groups, size.batch, g);
      CHECK(bytes <= std::max(items, size.batch) * item + 4 + kArenaAlignment);
      // Smaller problems are cut into other slices, which may not need more.
      for (Index groups = 0; groups <= size.groups; ++groups) {
        for (Index batch = 0; batch <= size.batch; ++batch) {
          CHECK(conv_workspace<float>(own, groups, batch, g) <= bytes);
        }
      }
      reserve_scratch(own, bytes);
      const Batch<float> x(own, size.groups, size.batch, g.input(), data.x, Layout::group_gaps);
      const Batch<float> d_y(own, size.groups, size.batch, g.output(), data.d_y);
      const Param<float> filter(own, size.groups, g.filter(), data.filter);
      const Values bias_values = RandomData(7).integers(size.groups * g.out_c, 1, 9);
      const Param<float> bias(own, size.groups, {g.out_c}, bias_values);
      Batch<float> y(own, size.groups, size.batch, g.output(), Layout::group_gaps);
      Batch<float> d_x(own, size.groups, size.batch, g.input(), Layout::group_gaps);
      Param<float> d_filter(own, size.groups, g.filter());
      conv_forward<float>(own, y.view(), x.input(), filter.input(), g, {bias.input(), {}});
      Values expected =
          reference::conv_forward(g, size.groups, size.batch, data.x, data.filter).value;
      const Index per_group = size.batch * g.output().count();
      for (Index i = 0; i < size.groups * per_group; ++i) {
        expected[reference::at(i)] +=
            bias_values[reference::at(i / per_group * g.out_c + i % g.out_c)];
      }
      check_equal(y.get(), expected);
      conv_backward_data<float>(own, d_x.view(), d_y.input(), filter.input(), g);
      check_equal(
          d_x.get(),
          reference::conv_backward_data(g, size.groups, size.batch, data.d_y, data.filter).value);
      conv_backward_weights<float>(own, d_filter.view(), x.input(), d_y.input(), g,
                                   Write::overwrite);
      check_equal(
          d_filter.get(),
          reference::conv_backward_weights(g, size.groups, size.batch, data.x, data.d_y).value);

      const Values one(data.x.begin(), data.x.begin() + size.batch * g.input().count());
      const Batch<float> shared(own, size.groups, size.batch, g.input(), one, Layout::shared);
      conv_forward<float>(own, y.view(), shared.input(), filter.input(), g);
      check_equal(y.get(), reference::conv_forward(g, size.groups, size.batch,
                                                   repeated(one, size.groups), data.filter)
                               .value);
    }
  });
}

TEST_CASE("conv: bf16 operands are summed in single precision, cuda bf16" *
          doctest::test_suite("gpu")) {
  on_cuda([](Context& ctx) {
    using T = BFloat16;
    const std::vector<ConvGeometry> all = {
        same_padding(7, 7, 8, 16, 5, 2), same_padding(5, 4, 3, 5, 3, 1),
        same_padding(9, 8, 1, 12, 5, 2), same_padding(4, 5, 16, 2, 3, 2)};
    const Size size{2, 3};
    plan_all<T>(ctx, all, size);
    for_each_path(ctx, [&] {
      for (const ConvGeometry& g : all) {
        CAPTURE(name(g));
        RandomData random(8);
        const Values x_values =
            random.reals<T>(size.groups * size.batch * g.input().count(), -2, 2);
        const Values d_y_values =
            random.reals<T>(size.groups * size.batch * g.output().count(), -2, 2);
        const Values filter_values = random.reals<T>(size.groups * g.filter().count(), -1, 1);
        const Values out_bias = random.reals<float>(size.groups * g.out_c, -1, 1);
        const Values in_bias = random.reals<float>(size.groups * g.in_c, -1, 1);
        const Batch<T> x(ctx, size.groups, size.batch, g.input(), x_values, Layout::group_gaps);
        const Batch<T> d_y(ctx, size.groups, size.batch, g.output(), d_y_values);
        const Param<T> filter(ctx, size.groups, g.filter(), filter_values);
        const Param<float> bias_y(ctx, size.groups, {g.out_c}, out_bias);
        const Param<float> bias_x(ctx, size.groups, {g.in_c}, in_bias);
        const Activation leaky{ActivationKind::leaky_relu, 0.25};
        const auto with_bias = [&](reference::Sums sums, const Values& bias, const Shape& item) {
          const Index per_group = size.batch * item.count();
          for (Index i = 0; i < size.groups * per_group; ++i) {
            sums.add(i, bias[reference::at(i / per_group * item.back() + i % item.back())]);
          }
          return sums;
        };
        // One rounding of the result to bfloat16; im2col stores products and taps before it.
        const double roundings = ctx.conv_path() == ConvPath::im2col ? 2 : 1;
        const double rounding = roundings * 0x1p-8 + 0x1p-16;

        if (on_own_path<T>(ctx, ConvOp::forward, g)) {
          Batch<T> y(ctx, size.groups, size.batch, g.output(), Layout::group_gaps);
          conv_forward<T>(ctx, y.view(), x.input(), filter.input(), g, {bias_y.input(), leaky});
          const auto sums = with_bias(
              reference::conv_forward(g, size.groups, size.batch, x_values, filter_values),
              out_bias, g.output());
          check_within(y.get(), reference::activate(leaky, sums.value),
                       scaled(sums.scale, rounding));
        }
        if (on_own_path<T>(ctx, ConvOp::backward_data, g)) {
          Batch<T> d_x(ctx, size.groups, size.batch, g.input());
          conv_backward_data<T>(ctx, d_x.view(), d_y.input(), filter.input(), g,
                                {bias_x.input(), leaky});
          const auto sums = with_bias(
              reference::conv_backward_data(g, size.groups, size.batch, d_y_values, filter_values),
              in_bias, g.input());
          check_within(d_x.get(), reference::activate(leaky, sums.value),
                       scaled(sums.scale, rounding));
        }
        if (on_own_path<T>(ctx, ConvOp::backward_weights, g)) {
          Param<float> d_filter(ctx, size.groups, g.filter());
          d_filter.set(filter_values);
          conv_backward_weights<T>(ctx, d_filter.view(), x.input(), d_y.input(), g,
                                   Write::accumulate);
          // Products of bfloat16 numbers are exact in single precision.
          auto sums =
              reference::conv_backward_weights(g, size.groups, size.batch, x_values, d_y_values);
          for (Index i = 0; i < size.groups * g.filter().count(); ++i) {
            sums.add(i, filter_values[reference::at(i)]);
          }
          check_within(
              d_filter.get(), sums.value,
              scaled(sums.scale, 2 * reduction_rtol<float>(size.batch * g.out_h * g.out_w + 1)));
        }
      }
    });
  });
}

TEST_CASE("conv: the paths have names") {
  for (const ConvPath path : kConvPaths) CHECK(parse_conv_path(to_string(path)) == path);
  CHECK(parse_conv_path("im2col") == ConvPath::im2col);
  CHECK_FALSE(parse_conv_path("winograd").has_value());
  Context ctx;
  ctx.set_conv_path(ConvPath::direct);
  const ConvGeometry g = same_padding(5, 7, 1, 3, 3, 2);
  CHECK(conv_path_of<double>(ctx, ConvOp::forward, g) == ConvPath::automatic);  // no choice there
}

TEST_CASE("conv: a path that does not serve a shape gives way to im2col" *
          doctest::test_suite("gpu")) {
  on_cuda([](Context& ctx) {
    const ConvGeometry wide = same_padding(14, 14, 64, 128, 5, 2);
    ctx.set_conv_path(ConvPath::direct);
    for (const ConvOp op : kConvOps) CHECK(conv_path_of<float>(ctx, op, wide) == ConvPath::im2col);
    CHECK(describe_conv<float>(ctx, wide) ==
          "forward im2col, backward data im2col, backward weights im2col");
    ctx.set_conv_path(ConvPath::automatic);
    for (const ConvOp op : kConvOps) {
      CHECK(conv_path_of<float>(ctx, op, wide) != ConvPath::automatic);
      CHECK(conv_path_of<BFloat16>(ctx, op, wide) != ConvPath::automatic);
    }
  });
}

#if GANMM_HAVE_ONEDNN
TEST_CASE("conv: the network shapes run on the library's primitives where there are vectors") {
  if (cpu::best_isa() == cpu::Isa::baseline) return;
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
