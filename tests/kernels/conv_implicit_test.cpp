// The implicit path of convolutions (kernels/cuda/implicit_gemm.h) in its three arithmetics. The
// path's name is called, so that no case can be served by another path.
#include "kernels/cuda/conv_paths.h"
#include "tests/reference/activation.h"
#include "tests/reference/conv.h"
#include "tests/support/devices.h"
#include "tests/support/guard_buffer.h"
#include "tests/support/random_data.h"

// One body, three cases: T and ctx are in scope.
#define GANMM_ARITHMETIC_CASE(name)                                                                \
  GANMM_ARITHMETIC_CASE_AS(DOCTEST_ANONYMOUS(implicit_case_), name)
#define GANMM_ARITHMETIC_CASE_AS(body, name)                                                       \
  template <class T>                                                                               \
  static void body(ganmm::Context& ctx);                                                           \
  TEST_CASE(name ", fp32" * doctest::test_suite("gpu")) {                                          \
    on_cuda_in(MathMode::fp32, body<float>);                                                       \
  }                                                                                                \
  TEST_CASE(name ", tf32" * doctest::test_suite("gpu")) {                                          \
    on_cuda_in(MathMode::tf32, body<float>);                                                       \
  }                                                                                                \
  TEST_CASE(name ", bf16" * doctest::test_suite("gpu")) {                                          \
    on_cuda_in(MathMode::fp32, body<BFloat16>);                                                    \
  }                                                                                                \
  template <class T>                                                                               \
  static void body([[maybe_unused]] ganmm::Context& ctx)

namespace ganmm::kernels::cuda {
namespace {

using namespace ganmm::test;

void on_cuda_in(MathMode math, void (*body)(Context&)) {
  if (!cuda_available()) {
    MESSAGE("not run, no CUDA device: ", cuda_status().reason);
    return;
  }
  Context ctx(Device{DeviceKind::cuda, 0}, math);
  body(ctx);
}

struct Case {
  ConvGeometry geometry;
  Index groups, batch;
};

std::string name(const Case& c) {
  const ConvGeometry& g = c.geometry;
  return message(c.groups, " x ", c.batch, " x ", to_string(g.input()), " -> ",
                 to_string(g.output()), ", kernel ", g.kernel, ", stride ", g.stride, ", pads ",
                 g.pad_top, " ", g.pad_left);
}

std::vector<Case> cases() {
  return {
      // Channels that are no whole packs.
      {same_padding(5, 7, 1, 2, 3, 1), 7, 2},
      {same_padding(9, 4, 3, 5, 5, 2), 2, 3},
      {same_padding(4, 5, 37, 6, 3, 2), 1, 1},
      {same_padding(4, 4, 12, 4, 5, 2), 2, 3},  // packs of four, not of eight
      // Whole packs: several taps in a step, one, and chunks of a tap over several steps.
      {same_padding(7, 7, 8, 16, 5, 2), 7, 2},
      {same_padding(5, 6, 24, 40, 3, 2), 2, 1},
      {same_padding(3, 4, 64, 72, 2, 1), 1, 2},
      // No padding and a last column unused; another padding before each axis; an image smaller
      // than the kernel.
      {{7, 6, 8, 3, 2, 8, 3, 2, 0, 0}, 2, 2},
      {{6, 6, 8, 4, 3, 8, 3, 2, 2, 1}, 2, 2},
      {same_padding(1, 2, 8, 8, 5, 2), 2, 3},
      // Parities without taps, stride 3, and a single tap.
      {same_padding(11, 10, 8, 8, 5, 3), 1, 2},
      {same_padding(7, 7, 8, 8, 2, 3), 2, 2},
      {same_padding(5, 4, 16, 8, 1, 1), 2, 3},
      {same_padding(3, 2, 8, 8, 3, 5), 1, 1},
  };
}

// Products of more than one tile of every shape, with tails.
std::vector<Case> tiled_cases() {
  return {
      {same_padding(5, 5, 16, 136, 3, 2), 1, 16},   // forward 144 x 136, weights as well
      {same_padding(5, 5, 8, 40, 3, 2), 1, 16},     // forward 144 x 40, weights 72 x 40
      {same_padding(10, 10, 136, 16, 2, 2), 1, 6},  // backward data 4 times 150 x 136
      {same_padding(3, 3, 24, 72, 2, 1), 2, 11},    // forward 99 x 72, backward data 99 x 24
  };
}

// Small integers: every partial sum is exact in single precision. Only the filter has both signs,
// so that no sum is zero by the smallness of its case.
struct Data {
  explicit Data(const Case& c) {
    const ConvGeometry& g = c.geometry;
    RandomData random(static_cast<std::uint64_t>(g.in_h * 100 + g.in_w * 10 + g.out_c));
    x = random.integers(c.groups * c.batch * g.input().count(), 1, 3);
    d_y = random.integers(c.groups * c.batch * g.output().count(), 1, 3);
    filter = random.integers(c.groups * g.filter().count(), -3, 3);
  }
  Values x, d_y, filter;
};

template <class T>
Values rounded(Values values) {
  for (double& value : values) value = static_cast<double>(static_cast<T>(value));
  return values;
}

template <class T>
Values forward(Context& ctx, const Case& c, const Values& x, const Values& filter, Layout layout) {
  const Batch<T> x_batch(ctx, c.groups, c.batch, c.geometry.input(), x, layout);
  const Param<T> filters(ctx, c.groups, c.geometry.filter(), filter,
                         layout == Layout::shared ? Layout::packed : layout);
  Batch<T> y(ctx, c.groups, c.batch, c.geometry.output(),
             layout == Layout::shared ? Layout::packed : layout);
  conv_forward_implicit<T>(ctx, y.view(), x_batch.input(), filters.input(), c.geometry, {});
  return y.get();
}

template <class T>
Values backward_data(Context& ctx, const Case& c, const Values& d_y, const Values& filter,
                     Layout layout) {
  const Batch<T> d_y_batch(ctx, c.groups, c.batch, c.geometry.output(), d_y, layout);
  const Param<T> filters(ctx, c.groups, c.geometry.filter(), filter, layout);
  Batch<T> d_x(ctx, c.groups, c.batch, c.geometry.input(), layout);
  conv_backward_data_implicit<T>(ctx, d_x.view(), d_y_batch.input(), filters.input(), c.geometry,
                                 {});
  return d_x.get();
}

// `start` empty: overwrite.
template <class T>
Values backward_weights(Context& ctx, const Case& c, const Values& x, const Values& d_y,
                        Layout layout, const Values& start = {}) {
  const Batch<T> x_batch(ctx, c.groups, c.batch, c.geometry.input(), x, layout);
  const Batch<T> d_y_batch(ctx, c.groups, c.batch, c.geometry.output(), d_y,
                           layout == Layout::shared ? Layout::packed : layout);
  Param<Master<T>> d_filter(ctx, c.groups, c.geometry.filter(),
                            layout == Layout::shared ? Layout::packed : layout);
  if (!start.empty()) d_filter.set(start);
  conv_backward_weights_implicit<T>(ctx, d_filter.view(), x_batch.input(), d_y_batch.input(),
                                    c.geometry,
                                    start.empty() ? Write::overwrite : Write::accumulate);
  return d_filter.get();
}

template <class T>
void check_exact(Context& ctx, const Case& c, Layout layout) {
  CAPTURE(name(c));
  const ConvGeometry& g = c.geometry;
  for (const ConvOp op : kConvOps) REQUIRE(implicit_supports<T>(ctx.math(), op, g));
  const Data data(c);
  check_equal(forward<T>(ctx, c, data.x, data.filter, layout),
              rounded<T>(reference::conv_forward(g, c.groups, c.batch, data.x, data.filter).value));
  check_equal(
      backward_data<T>(ctx, c, data.d_y, data.filter, layout),
      rounded<T>(reference::conv_backward_data(g, c.groups, c.batch, data.d_y, data.filter).value));
  const Values weights =
      reference::conv_backward_weights(g, c.groups, c.batch, data.x, data.d_y).value;
  check_equal(backward_weights<T>(ctx, c, data.x, data.d_y, layout), weights);
  check_equal(backward_weights<T>(ctx, c, data.x, data.d_y, layout, data.filter),
              data.filter + weights);
}

// Largest relative error of an operand as it is multiplied; products are exact.
template <class T>
double operand_roundoff(const Context& ctx) {
  return std::is_same_v<T, float> && ctx.math() == MathMode::tf32 ? 0x1p-11 : 0;
}
// Of a sum of k products as it is stored in Out, relative to the sum of absolute products. Operands
// come rounded to T. An instruction of the tensor core may cut its partial sums where a single
// precision addition would round, hence twice the roundoff.
template <class T, class Out>
double sum_rtol(const Context& ctx, Index k) {
  return 2 * operand_roundoff<T>(ctx) * 1.001 + 4 * reduction_rtol<float>(k) +
         (std::is_same_v<Out, float> ? 0 : 0x1p-8);
}

}  // namespace

GANMM_ARITHMETIC_CASE("conv implicit: exact on small integers for every geometry") {
  for (const Case& c : cases()) check_exact<T>(ctx, c, Layout::packed);
}

GANMM_ARITHMETIC_CASE("conv implicit: exact on products of several tiles") {
  for (const Case& c : tiled_cases()) check_exact<T>(ctx, c, Layout::packed);
}

GANMM_ARITHMETIC_CASE("conv implicit: gaps between groups are kept") {
  check_exact<T>(ctx, {same_padding(7, 7, 8, 16, 5, 2), 3, 2}, Layout::group_gaps);
}

GANMM_ARITHMETIC_CASE("conv implicit: an input with group stride 0 serves every group") {
  const Case c{same_padding(9, 4, 8, 8, 5, 2), 3, 2};
  const Data data(c);
  const Values one(data.x.begin(), data.x.begin() + c.batch * c.geometry.input().count());
  const Values all = repeated(one, c.groups);
  check_equal(
      forward<T>(ctx, c, one, data.filter, Layout::shared),
      rounded<T>(reference::conv_forward(c.geometry, c.groups, c.batch, all, data.filter).value));
  check_equal(backward_weights<T>(ctx, c, one, data.d_y, Layout::shared),
              reference::conv_backward_weights(c.geometry, c.groups, c.batch, all, data.d_y).value);
}

GANMM_ARITHMETIC_CASE("conv implicit: random values stay within the rounding of the arithmetic") {
  for (const Case& c :
       {Case{same_padding(10, 9, 16, 32, 5, 2), 2, 1}, Case{same_padding(4, 5, 32, 64, 5, 2), 1, 2},
        Case{same_padding(6, 5, 5, 7, 3, 1), 2, 3}}) {
    CAPTURE(name(c));
    const ConvGeometry& g = c.geometry;
    RandomData random(5);
    const Values x = rounded<T>(random.reals<float>(c.groups * c.batch * g.input().count(), -2, 2));
    const Values d_y =
        rounded<T>(random.reals<float>(c.groups * c.batch * g.output().count(), -2, 2));
    const Values filter = rounded<T>(random.reals<float>(c.groups * g.filter().count(), -1, 1));

    const auto y = reference::conv_forward(g, c.groups, c.batch, x, filter);
    check_within(forward<T>(ctx, c, x, filter, Layout::packed), y.value,
                 scaled(y.scale, sum_rtol<T, T>(ctx, g.kernel * g.kernel * g.in_c)));
    const auto d_x = reference::conv_backward_data(g, c.groups, c.batch, d_y, filter);
    check_within(backward_data<T>(ctx, c, d_y, filter, Layout::packed), d_x.value,
                 scaled(d_x.scale, sum_rtol<T, T>(ctx, g.kernel * g.kernel * g.out_c)));
    const auto d_filter = reference::conv_backward_weights(g, c.groups, c.batch, x, d_y);
    check_within(backward_weights<T>(ctx, c, x, d_y, Layout::packed), d_filter.value,
                 scaled(d_filter.scale, sum_rtol<T, Master<T>>(ctx, c.batch * g.out_h * g.out_w)));
  }
}

GANMM_ARITHMETIC_CASE("conv implicit: the epilogue adds a bias and activates") {
  for (const Case& c :
       {Case{same_padding(5, 6, 8, 8, 5, 2), 2, 2}, Case{same_padding(5, 6, 3, 5, 5, 2), 2, 2}}) {
    for (const ActivationKind kind :
         {ActivationKind::identity, ActivationKind::relu, ActivationKind::leaky_relu,
          ActivationKind::tanh, ActivationKind::sigmoid}) {
      for (const bool transposed : {false, true}) {
        CAPTURE(name(c));
        CAPTURE(static_cast<int>(kind));
        CAPTURE(transposed);
        const ConvGeometry& g = c.geometry;
        const Shape from = transposed ? g.output() : g.input();
        const Shape to = transposed ? g.input() : g.output();
        RandomData random(6);
        // Multiples of 1/8 up to 1 make exact sums in every arithmetic.
        const Values in = scaled(random.integers(c.groups * c.batch * from.count(), -8, 8), 0.125);
        const Values filter = scaled(random.integers(c.groups * g.filter().count(), -4, 4), 0.125);
        const Values bias = scaled(random.integers(c.groups * to.back(), -8, 8), 0.125);
        auto sums = transposed ? reference::conv_backward_data(g, c.groups, c.batch, in, filter)
                               : reference::conv_forward(g, c.groups, c.batch, in, filter);
        const Index per_group = c.batch * to.count();
        for (Index i = 0; i < c.groups * per_group; ++i) {
          sums.add(i, bias[reference::at(i / per_group * to.back() + i % to.back())]);
        }
        const Activation activation{kind, 0.25};
        const Values expected = reference::activate(activation, sums.value);
        const double rtol = 8 * unit_roundoff<float>() + (std::is_same_v<T, float> ? 0 : 0x1p-8);
        Values allowed = expected;
        for (double& value : allowed) value = rtol * std::abs(value);

        const Batch<T> input(ctx, c.groups, c.batch, from, in);
        const Param<T> filters(ctx, c.groups, g.filter(), filter);
        const Param<Master<T>> biases(ctx, c.groups, {to.back()}, bias);
        const Epilogue<T> epilogue{biases.input(), activation};
        Batch<T> output(ctx, c.groups, c.batch, to);
        if (transposed) {
          conv_backward_data_implicit<T>(ctx, output.view(), input.input(), filters.input(), g,
                                         epilogue);
        } else {
          conv_forward_implicit<T>(ctx, output.view(), input.input(), filters.input(), g, epilogue);
        }
        check_within(output.get(), expected, allowed);
      }
    }
  }
}

GANMM_ARITHMETIC_CASE("conv implicit: a group computes alone what it computes among others") {
  const Case c{same_padding(7, 5, 8, 24, 5, 2), 3, 3};
  const ConvGeometry& g = c.geometry;
  RandomData random(7);
  const Values x = random.reals<float>(c.groups * c.batch * g.input().count(), -2, 2);
  const Values d_y = random.reals<float>(c.groups * c.batch * g.output().count(), -2, 2);
  const Values filter = random.reals<float>(c.groups * g.filter().count(), -1, 1);
  const Values y = forward<T>(ctx, c, x, filter, Layout::packed);
  const Values d_x = backward_data<T>(ctx, c, d_y, filter, Layout::packed);
  const Values d_filter = backward_weights<T>(ctx, c, x, d_y, Layout::packed);
  const auto part = [&](const Values& values, Index n) {
    const auto size = values.size() / static_cast<std::size_t>(c.groups);
    const auto first = values.begin() + n * static_cast<Index>(size);
    return Values(first, first + static_cast<Index>(size));
  };
  const Case one{g, 1, c.batch};
  for (const Index n : {Index{0}, c.groups - 1}) {
    const Values x_n = part(x, n);
    const Values d_y_n = part(d_y, n);
    const Values filter_n = part(filter, n);
    check_equal(forward<T>(ctx, one, x_n, filter_n, Layout::packed), part(y, n));
    check_equal(backward_data<T>(ctx, one, d_y_n, filter_n, Layout::packed), part(d_x, n));
    check_equal(backward_weights<T>(ctx, one, x_n, d_y_n, Layout::packed), part(d_filter, n));
  }
}

// A truncated operand would be too small by up to 2^-10, always in the same direction: 1.5 steps of
// tf32 above a power of two must become 2 steps, not 1.
TEST_CASE("conv implicit: tf32 rounds operands to nearest" * doctest::test_suite("gpu")) {
  on_cuda_in(MathMode::tf32, [](Context& ctx) {
    for (const Index channels : {Index{1}, Index{8}}) {
      const Case c{same_padding(2, 2, channels, channels, 1, 1), 1, 1};
      const Values x(reference::at(4 * channels), 1 + 1.5 * 0x1p-10);
      const Values filter(reference::at(channels * channels), 1.0);
      const Values expected(reference::at(4 * channels),
                            static_cast<double>(channels) * (1 + 2 * 0x1p-10));
      check_equal(forward<float>(ctx, c, x, filter, Layout::packed), expected);
      check_equal(backward_data<float>(ctx, c, x, filter, Layout::packed), expected);
      const Values ones(x.size(), 1.0);
      check_equal(backward_weights<float>(ctx, c, x, ones, Layout::packed),
                  Values(filter.size(), 4 * (1 + 2 * 0x1p-10)));
      check_equal(backward_weights<float>(ctx, c, ones, x, Layout::packed),
                  Values(filter.size(), 4 * (1 + 2 * 0x1p-10)));
    }
  });
}

TEST_CASE("conv implicit: geometries beyond its tables are left to other paths") {
  CHECK_FALSE(
      implicit_supports<float>(MathMode::tf32, ConvOp::forward, same_padding(32, 32, 8, 8, 16, 1)));
  CHECK_FALSE(
      implicit_supports<float>(MathMode::tf32, ConvOp::forward, same_padding(8, 8, 1021, 8, 5, 1)));
  CHECK(implicit_supports<float>(MathMode::tf32, ConvOp::backward_weights,
                                 same_padding(8, 8, 1021, 8, 5, 1)));
  CHECK_FALSE(implicit_supports<BFloat16>(MathMode::fp32, ConvOp::backward_data,
                                          same_padding(300, 300, 8, 8, 3, 300)));
}

}  // namespace ganmm::kernels::cuda
