// The vector loops of every instruction set this machine has, not only of the best one.
#include "kernels/core/rng.h"
#include "kernels/cpu/gemm_loops.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/random_loops.h"
#include "kernels/cpu/softmax_loops.h"
#include "tests/reference/activation.h"
#include "tests/reference/gemm.h"
#include "tests/reference/select.h"
#include "tests/support/devices.h"
#include "tests/support/guard_buffer.h"
#include "tests/support/random_data.h"

namespace ganmm::kernels::cpu {
namespace {

using namespace ganmm::test;

std::vector<Isa> instruction_sets() {
  std::vector<Isa> all = {Isa::baseline};
  if (best_isa() != Isa::baseline) all.push_back(Isa::avx2);
  if (best_isa() == Isa::avx512) all.push_back(Isa::avx512);
  return all;
}

template <class T>
void check_product(Isa isa, const reference::GemmSize& size, bool ta, bool tb) {
  CAPTURE(static_cast<int>(isa));
  CAPTURE(size.m);
  CAPTURE(size.k);
  CAPTURE(size.l);
  CAPTURE(ta);
  CAPTURE(tb);
  Context ctx;
  RandomData random(static_cast<std::uint64_t>(size.m * 10000 + size.k * 100 + size.l));
  const Values a_values = random.integers(size.m * size.l, -4, 4);
  const Values b_values = random.integers(size.l * size.k, 1, 4);
  const Values bias_values = random.integers(size.k, 1, 9);
  const Values start = random.integers(size.m * size.k, 100, 200);
  const Values product = reference::gemm(size, a_values, ta, b_values, tb).value;
  Values activated(product.size());
  for (std::size_t i = 0; i < product.size(); ++i) {
    activated[i] =
        reference::activate({ActivationKind::leaky_relu, 0.25},
                            product[i] + bias_values[i % static_cast<std::size_t>(size.k)]);
  }
  const Batch<T> a(ctx, 1, ta ? size.l : size.m, {ta ? size.m : size.l}, a_values);
  const Batch<T> b(ctx, 1, tb ? size.k : size.l, {tb ? size.l : size.k}, b_values);
  const Param<T> bias(ctx, 1, {size.k}, bias_values);
  Batch<T> c(ctx, 1, size.m, {size.k}, Layout::gaps);
  Product<T> call{};
  call.c = c.view().data;
  call.c_row = c.view().batch_stride;
  call.a = a.input().data;
  call.a_row = ta ? 1 : size.l;
  call.a_col = ta ? size.m : 1;
  call.b = b.input().data;
  call.b_row = tb ? 1 : size.k;
  call.b_col = tb ? size.l : 1;
  call.rows = size.m;
  call.cols = size.k;
  call.inner = size.l;
  call.bias = bias.input().data;
  call.finish = Finish::piecewise;
  call.slope = T{0.25};
  multiply_loops<T>(isa)(call);
  check_equal(c.get(), activated);
  c.set(start);
  call.accumulate = true;
  call.bias = nullptr;
  call.finish = Finish::none;
  multiply_loops<T>(isa)(call);
  check_equal(c.get(), start + product);
}

}  // namespace

TEST_CASE_TEMPLATE("isa: products of small integers are exact in every instruction set and width",
                   T, float, double) {
  for (const Isa isa : instruction_sets()) {
    for (const bool ta : {false, true}) {
      for (const bool tb : {false, true}) {

        for (const Index width : kWidths) {
          check_product<T>(isa, {1, 3, width, 5}, ta, tb);
          check_product<T>(isa, {1, width, 3, 4}, ta, tb);
          check_product<T>(isa, {1, 4, 3, width}, ta, tb);
        }
        for (const Index width : {1, 15, 17, 33}) check_product<T>(isa, {1, 5, 1, width}, ta, tb);
        check_product<T>(isa, {1, 50, 64, 19}, ta, tb);
        check_product<T>(isa, {1, 37, 203, 1100}, ta, tb);  // several blocks of the inner axis
        check_product<T>(isa, {1, 300, 5, 7}, ta, tb);
      }
    }
  }
}

TEST_CASE("isa: random fills have the same bits in every instruction set and length") {
  const QuadRun run{0x123456789abcdefULL, 5, 3, 4, 2};
  for (const std::int64_t quads : {1, 31, 32, 33, 100}) {
    for (const bool normal : {false, true}) {
      std::vector<float> expected;
      for (const Isa isa : instruction_sets()) {
        std::vector<float> values(static_cast<std::size_t>(4 * quads));
        const RandomLoops& loops = random_loops(isa);
        (normal ? loops.normal : loops.uniform)(values.data(), quads, run, 0.25f, 1.5f);
        if (expected.empty()) expected = values;  // the baseline
        CHECK(values == expected);
      }
      CHECK(expected.front() != expected.back());
    }
  }
}

TEST_CASE("isa: random words are those of the generator in every instruction set and length") {
  const QuadRun run{0x123456789abcdefULL, 5, 3, 4, 2};
  for (const std::int64_t quads : {1, 15, 16, 17, 50}) {
    for (const Isa isa : instruction_sets()) {
      CAPTURE(quads);
      CAPTURE(static_cast<int>(isa));
      constexpr std::uint32_t kUntouched = 77;
      std::vector<std::uint32_t> words(static_cast<std::size_t>(4 * quads + 1), kUntouched);
      random_loops(isa).words(words.data(), quads, run);
      std::vector<std::uint32_t> expected;
      for (std::uint32_t q = 0; q < static_cast<std::uint32_t>(quads); ++q) {
        const Philox quad = philox(run.key, run.first_quad + q, 3, 4, 2);
        expected.insert(expected.end(), quad.word, quad.word + 4);
      }
      expected.push_back(kUntouched);
      CHECK(words == expected);
    }
  }
}

// Rows [0, rows) of random logits with ties, in gaps, against the reference.
void check_softmax(Isa isa, Index rows, Index classes, double spread, bool in_place) {
  CAPTURE(static_cast<int>(isa));
  CAPTURE(rows);
  CAPTURE(classes);
  CAPTURE(spread);
  CAPTURE(in_place);
  Context ctx;
  RandomData random(static_cast<std::uint64_t>(100 * rows + classes));
  Values logits;
  for (Index i = 0; i < rows * classes; ++i) {
    logits.push_back(spread * static_cast<double>(random.integer(-8, 8)));
  }
  constexpr double kTemperature = 0.5;
  Batch<float> z(ctx, 1, rows, {classes}, Layout::gaps), p(ctx, 1, rows, {classes}, Layout::gaps);
  z.set(logits);
  const GroupView<float> from = z.view(), to = in_place ? z.view() : p.view();
  GuardBuffer<std::int32_t> label(ctx, rows);
  softmax_loops(isa)({nullptr, 0, label.data(), from.data, from.batch_stride, rows, classes, 2.0f});
  const auto labels_alone = label.get();
  softmax_loops(isa)({to.data, to.batch_stride, label.data(), from.data, from.batch_stride, rows,
                      classes, static_cast<float>(1 / kTemperature)});
  CHECK(label.get() == labels_alone);
  const Values found = (in_place ? z : p).get();
  for (Index b = 0; b < rows; ++b) {
    const Values row(logits.begin() + b * classes, logits.begin() + (b + 1) * classes);
    CHECK(label.get()[static_cast<std::size_t>(b)] == reference::argmax(row));
    const Values expected = reference::softmax(row, kTemperature);
    for (Index c = 0; c < classes; ++c) {
      const double e = expected[static_cast<std::size_t>(c)];
      // The argument is exact here. 2 roundings of exp in numerator and sum, 1 of the quotient, and
      // of the additions at most one per class; below the smallest normal number 0 is as good.
      const double bound = e * 0x1p-24 * static_cast<double>(8 + classes) + 0x1p-125;
      CHECK(std::abs(found[static_cast<std::size_t>(b * classes + c)] - e) <= bound);
    }
  }
}

TEST_CASE("isa: softmax and argmax agree with the reference in every instruction set and width") {
  for (const Isa isa : instruction_sets()) {
    for (const Index classes : {1, 2, 7, 8, 16, 17, 33, 64}) {
      for (const Index rows : {1, 15, 16, 35}) {
        for (const double spread : {0.0625, 0.75, 16.0}) {
          check_softmax(isa, rows, classes, spread, rows == 15);
        }
      }
    }
  }
}

TEST_CASE("isa: a row of softmax has the same bits wherever it stands") {
  constexpr Index kRows = 33, kClasses = 7;
  RandomData random(5);
  std::vector<float> z;
  for (const double value : random.reals<float>(kRows * kClasses, -3, 3)) {
    z.push_back(static_cast<float>(value));
  }
  for (const Isa isa : instruction_sets()) {
    std::vector<float> together(z.size()), alone(z.size());
    std::vector<std::int32_t> label(kRows);
    softmax_loops(isa)(
        {together.data(), kClasses, label.data(), z.data(), kClasses, kRows, kClasses, 1.0f});
    for (Index b = 0; b < kRows; ++b) {
      softmax_loops(isa)({alone.data() + b * kClasses, kClasses, label.data(),
                          z.data() + b * kClasses, kClasses, 1, kClasses, 1.0f});
    }
    CHECK(together == alone);
  }
}

TEST_CASE("isa: softmax of what is not a number is not a number") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  for (const Isa isa : instruction_sets()) {
    const std::vector<float> z = {1, nan, 2, nan, 1, 2, -infinity, 0, 0};
    std::vector<float> p(9);
    std::vector<std::int32_t> label(3);
    softmax_loops(isa)({p.data(), 3, label.data(), z.data(), 3, 3, 3, 1.0f});
    for (std::size_t i = 0; i < 6; ++i) CHECK(std::isnan(p[i]));
    CHECK(std::vector<float>(p.begin() + 6, p.end()) == std::vector<float>{0, 0.5f, 0.5f});
  }
}

}  // namespace ganmm::kernels::cpu
