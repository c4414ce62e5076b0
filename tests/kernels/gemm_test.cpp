#include "kernels/gemm.h"
#include "tests/reference/activation.h"
#include "tests/reference/gemm.h"
#include "tests/support/devices.h"
#include "tests/support/guard_buffer.h"
#include "tests/support/random_data.h"

namespace ganmm::kernels {
namespace {

using namespace ganmm::test;
using reference::GemmSize;

const std::vector<ActivationKind> kKinds = {ActivationKind::identity, ActivationKind::relu,
                                            ActivationKind::leaky_relu, ActivationKind::tanh,
                                            ActivationKind::sigmoid};

// The operands of one product, as guarded matrices.
template <class T>
struct Operands {
  Operands(Context& ctx, const GemmSize& size, bool ta, bool tb, const Values& a_values,
           const Values& b_values, Layout a_layout = Layout::packed,
           Layout b_layout = Layout::packed)
      : transpose_a(ta), transpose_b(tb),
        a(ctx, size.groups, ta ? size.l : size.m, {ta ? size.m : size.l}, a_values, a_layout),
        b(ctx, size.groups, tb ? size.k : size.l, {tb ? size.l : size.k}, b_values, b_layout) {}

  void multiply(Context& ctx, Batch<T>& c, Write write, const Epilogue<T>& epilogue = {}) const {
    gemm<T>(ctx, matrix(c.view()), matrix(a.input()), transpose_a ? Transpose::yes : Transpose::no,
            matrix(b.input()), transpose_b ? Transpose::yes : Transpose::no, write, epilogue);
  }

  bool transpose_a, transpose_b;
  Batch<T> a, b;
};

template <class T>
void check_exact(Context& ctx, const GemmSize& size, Layout layout = Layout::packed) {
  CAPTURE(size.groups);
  CAPTURE(size.m);
  CAPTURE(size.k);
  CAPTURE(size.l);
  // |sum| <= 16 l < 2^24: every partial sum is an integer that float holds exactly.
  RandomData random(static_cast<std::uint64_t>(size.m * 10000 + size.k * 100 + size.l));
  const Values a = random.integers(size.groups * size.m * size.l, -4, 4);
  const Values b = random.integers(size.groups * size.l * size.k, 1, 4);
  const Values start = random.integers(size.groups * size.m * size.k, 100, 200);
  for (const bool ta : {false, true}) {
    for (const bool tb : {false, true}) {
      CAPTURE(ta);
      CAPTURE(tb);
      const Values product = reference::gemm(size, a, ta, b, tb).value;
      const Operands<T> operands(ctx, size, ta, tb, a, b, layout, layout);
      Batch<T> c(ctx, size.groups, size.m, {size.k}, layout);
      operands.multiply(ctx, c, Write::overwrite);
      CHECK(describe_mismatch(c.get(), product, Values(product.size(), 0.0)) == "");
      c.set(start);
      operands.multiply(ctx, c, Write::accumulate);
      check_equal(c.get(), start + product);
    }
  }
}

}  // namespace

GANMM_DEVICE_CASE("gemm: small integers multiply exactly in every width and transposition") {
  for (const Index width : kWidths) {
    check_exact<T>(ctx, {2, 3, width, 5});
    check_exact<T>(ctx, {2, width, 3, 4});
    check_exact<T>(ctx, {2, 4, 3, width});
    check_exact<T>(ctx, {2, 5, 1, width});
  }
  for (const Index groups : kGroupCounts) check_exact<T>(ctx, {groups, 6, 10, 7});
  check_exact<T>(ctx, {3, 65, 33, 129});
  // Beyond the blocks and panels that an implementation may cut its matrices into.
  check_exact<T>(ctx, {1, 40, 150, 9});
  check_exact<T>(ctx, {1, 37, 203, 700});
  check_exact<T>(ctx, {1, 300, 5, 7});
}

GANMM_DEVICE_CASE("gemm: rows and groups further apart than needed keep their gaps") {
  check_exact<T>(ctx, {3, 5, 9, 17}, Layout::gaps);
  check_exact<T>(ctx, {2, 33, 31, 8}, Layout::gaps);
  check_exact<T>(ctx, {7, 1, 1, 1}, Layout::gaps);
}

GANMM_DEVICE_CASE("gemm: an input with group stride 0 serves every group") {
  const GemmSize size{3, 4, 6, 5};
  RandomData random(1);
  const Values a = random.integers(size.m * size.l, -4, 4);
  const Values b = random.integers(size.l * size.k, 1, 4);
  const Values all_a = random.integers(size.groups * size.m * size.l, -4, 4);
  const Values all_b = random.integers(size.groups * size.l * size.k, 1, 4);
  Batch<T> c(ctx, size.groups, size.m, {size.k});
  Operands<T>(ctx, size, false, false, a, all_b, Layout::shared).multiply(ctx, c, Write::overwrite);
  check_equal(c.get(), reference::gemm(size, repeated(a, 3), false, all_b, false).value);
  Operands<T>(ctx, size, false, true, all_a, b, Layout::packed, Layout::shared)
      .multiply(ctx, c, Write::overwrite);
  check_equal(c.get(), reference::gemm(size, all_a, false, repeated(b, 3), true).value);
}

GANMM_DEVICE_CASE("gemm: network shapes stay within the rounding of their sums") {
  struct Case {
    GemmSize size;
    bool ta, tb;
  };
  // Forward, backward-data and backward-weights of the dense networks, and a long sum.
  const std::vector<Case> cases = {
      {{7, 150, 64, 19}, false, false}, {{7, 150, 19, 64}, false, true},
      {{7, 64, 19, 50}, true, false},   {{2, 19, 64, 150}, true, false},
      {{1, 50, 1, 64}, false, false},   {{1, 13, 7, 1600}, false, false}};
  for (const Case& c : cases) {
    CAPTURE(c.size.m);
    CAPTURE(c.size.k);
    CAPTURE(c.size.l);
    RandomData random(2);
    const Values a = random.reals<T>(c.size.groups * c.size.m * c.size.l, -2, 2);
    const Values b = random.reals<T>(c.size.groups * c.size.l * c.size.k, -2, 2);
    const auto expected = reference::gemm(c.size, a, c.ta, b, c.tb);
    Batch<T> result(ctx, c.size.groups, c.size.m, {c.size.k});
    Operands<T>(ctx, c.size, c.ta, c.tb, a, b).multiply(ctx, result, Write::overwrite);
    // The double reference rounds as well: twice the bound covers both.
    check_within(result.get(), expected.value,
                 scaled(expected.scale, 2 * reduction_rtol<T>(c.size.l)));
  }
}

GANMM_DEVICE_CASE("gemm: the epilogue adds a bias per column and activates") {
  for (const ActivationKind kind : kKinds) {
    for (const bool with_bias : {false, true}) {
      for (const Index width : {1, 7, 16, 33}) {
        CAPTURE(static_cast<int>(kind));
        CAPTURE(with_bias);
        CAPTURE(width);
        const GemmSize size{2, 5, width, 9};
        RandomData random(3);
        const Values a = random.reals<T>(size.groups * size.m * size.l, -1, 1);
        const Values b = random.reals<T>(size.groups * size.l * size.k, -1, 1);
        const Values bias = random.reals<T>(size.groups * size.k, -1, 1);
        auto expected = reference::gemm(size, a, false, b, false);
        for (Index i = 0; with_bias && i < size.groups * size.m * size.k; ++i) {
          expected.add(i, bias[reference::at(i / (size.m * size.k) * size.k + i % size.k)]);
        }
        const Activation activation{kind, 0.25};
        const Values y = reference::activate(activation, expected.value);
        // Slopes are at most 1, so the sum's allowance carries over; the activation adds a few
        // roundings of a value of at most its own size.
        Values allowed = scaled(expected.scale, 2 * reduction_rtol<T>(size.l + 1));
        for (std::size_t i = 0; i < y.size(); ++i) {
          allowed[i] += 8 * unit_roundoff<T>() * std::abs(y[i]);
        }
        const Param<T> bias_param(ctx, size.groups, {size.k}, bias);
        Epilogue<T> epilogue;
        if (with_bias) epilogue.bias = bias_param.input();
        epilogue.activation = activation;
        Batch<T> c(ctx, size.groups, size.m, {size.k}, Layout::gaps);
        Operands<T>(ctx, size, false, false, a, b).multiply(ctx, c, Write::overwrite, epilogue);
        check_within(c.get(), y, allowed);
      }
    }
  }
}

GANMM_DEVICE_CASE("gemm: an empty sum gives zeros, or the activated bias") {
  const GemmSize size{2, 3, 5, 0};
  const Operands<T> operands(ctx, size, false, false, {}, {});
  Batch<T> c(ctx, size.groups, size.m, {size.k});
  operands.multiply(ctx, c, Write::overwrite);
  check_zero(c.get());

  const Values bias = {-1, 2, -3, 4, -5, 6, -7, 8, -9, 10};
  const Param<T> bias_param(ctx, size.groups, {size.k}, bias);
  operands.multiply(ctx, c, Write::overwrite, {bias_param.input(), {ActivationKind::relu}});
  const Values rectified = {0, 2, 0, 4, 0, 6, 0, 8, 0, 10};
  Values expected;
  for (Index i = 0; i < size.groups * size.m * size.k; ++i) {
    expected.push_back(rectified[reference::at(i / (size.m * size.k) * size.k + i % size.k)]);
  }
  check_equal(c.get(), expected);

  const Values start(expected.size(), 3);
  c.set(start);
  operands.multiply(ctx, c, Write::accumulate);
  check_equal(c.get(), start);
}

GANMM_DEVICE_CASE("gemm: a product without rows, columns or groups writes nothing") {
  for (const GemmSize& size : {GemmSize{2, 0, 5, 3}, GemmSize{2, 4, 0, 3}, GemmSize{0, 4, 5, 3}}) {
    const Operands<T> operands(ctx, size, false, false,
                               Values(reference::at(size.groups * size.m * size.l), 1.0),
                               Values(reference::at(size.groups * size.l * size.k), 1.0));
    Batch<T> c(ctx, size.groups, size.m, {size.k}, Layout::gaps);
    CHECK_NOTHROW(operands.multiply(ctx, c, Write::overwrite));
    CHECK(c.get().empty());
  }
}

TEST_CASE("gemm: shapes that do not fit are refused") {
  Context ctx;
  const Batch<float> a(ctx, 2, 3, {4}, Values(24, 1));
  const Batch<float> b(ctx, 2, 4, {5}, Values(40, 1));
  const Batch<float> other(ctx, 2, 5, {5}, Values(50, 1));
  const Batch<float> three_groups(ctx, 3, 4, {5}, Values(60, 1));
  const Param<float> short_bias(ctx, 2, {4}, Values(8, 1));
  Batch<float> c(ctx, 2, 3, {5});
  Batch<float> narrow(ctx, 2, 3, {4});
  const auto call = [&](const Batch<float>& to, const Batch<float>& right) {
    gemm<float>(ctx, matrix(to.view()), matrix(a.input()), Transpose::no, matrix(right.input()),
                Transpose::no, Write::overwrite);
  };
  CHECK_THROWS_AS(call(c, other), ShapeError);
  CHECK_THROWS_AS(call(c, three_groups), ShapeError);
  CHECK_THROWS_AS(call(narrow, b), ShapeError);
  CHECK_THROWS_AS(gemm<float>(ctx, matrix(c.view()), matrix(a.input()), Transpose::no,
                              matrix(b.input()), Transpose::no, Write::overwrite,
                              {short_bias.input(), {}}),
                  ShapeError);
  MatrixView<float> shared = matrix(c.view());
  shared.group_stride = 0;
  CHECK_THROWS_AS(gemm<float>(ctx, shared, matrix(a.input()), Transpose::no, matrix(b.input()),
                              Transpose::no, Write::overwrite),
                  ShapeError);
}

}  // namespace ganmm::kernels
