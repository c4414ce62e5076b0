// The vector loops of every instruction set this machine has, not only of the best one.
#include "kernels/cpu/gemm_loops.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/random_loops.h"
#include "tests/reference/activation.h"
#include "tests/reference/gemm.h"
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
  const Batch<float> a(ctx, 1, ta ? size.l : size.m, {ta ? size.m : size.l}, a_values);
  const Batch<float> b(ctx, 1, tb ? size.k : size.l, {tb ? size.l : size.k}, b_values);
  const Param<float> bias(ctx, 1, {size.k}, bias_values);
  Batch<float> c(ctx, 1, size.m, {size.k}, Layout::gaps);
  Product call{};
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
  call.slope = 0.25f;
  multiply_loops(isa)(call);
  check_equal(c.get(), activated);
  c.set(start);
  call.accumulate = true;
  call.bias = nullptr;
  call.finish = Finish::none;
  multiply_loops(isa)(call);
  check_equal(c.get(), start + product);
}

}  // namespace

TEST_CASE("isa: products of small integers are exact in every instruction set and width") {
  for (const Isa isa : instruction_sets()) {
    for (const bool ta : {false, true}) {
      for (const bool tb : {false, true}) {

        for (const Index width : kWidths) {
          check_product(isa, {1, 3, width, 5}, ta, tb);
          check_product(isa, {1, width, 3, 4}, ta, tb);
          check_product(isa, {1, 4, 3, width}, ta, tb);
        }
        for (const Index width : {1, 15, 17, 33}) check_product(isa, {1, 5, 1, width}, ta, tb);
        check_product(isa, {1, 50, 64, 19}, ta, tb);
        check_product(isa, {1, 37, 203, 700}, ta, tb);
        check_product(isa, {1, 300, 5, 7}, ta, tb);
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

}  // namespace ganmm::kernels::cpu
