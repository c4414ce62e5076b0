#include "kernels/reduce.h"
#include "tests/reference/reduce.h"
#include "tests/support/devices.h"
#include "tests/support/guard_buffer.h"
#include "tests/support/random_data.h"

namespace ganmm::kernels {
namespace {

using namespace ganmm::test;
using reference::Sums;

// Sums are made in double: only the conversion of the result rounds in T.
template <class T>
void check_sums(const Values& result, const Sums& expected, Index terms) {
  const double in_double = 2 * reduction_rtol<double>(terms + 1);
  Values allowed = scaled(expected.scale, in_double);
  for (std::size_t i = 0; i < allowed.size(); ++i) {
    allowed[i] += 2 * unit_roundoff<T>() * std::abs(expected.value[i]);
  }
  check_within(result, expected.value, allowed);
}

}  // namespace

GANMM_ELEMENT_CASE("reduce: sums, squared norms and means follow the definition in every layout") {
  for (const Index groups : kGroupCounts) {
    for (const Index features : kWidths) {
      for (const Layout layout : kInputLayouts) {
        CAPTURE(groups);
        CAPTURE(features);
        CAPTURE(static_cast<int>(layout));
        const Index batch = 5, stored = layout == Layout::shared ? 1 : groups;
        RandomData random(static_cast<std::uint64_t>(features));
        const Values values = random.reals<T>(stored * batch * features, -10, 10);
        const Values all = layout == Layout::shared ? repeated(values, groups) : values;
        const Batch<T> x(ctx, groups, batch, {features}, values, layout);
        Batch<Master<T>> sums(ctx, groups, batch, {1}, Layout::gaps);
        Batch<Master<T>> norms(ctx, groups, batch, {1}, Layout::gaps);
        Param<Master<T>> mean(ctx, groups, {1}, Layout::gaps);
        row_sums<T>(ctx, sums.view(), x.input());
        row_squared_norms<T>(ctx, norms.view(), x.input());
        group_mean<T>(ctx, mean.view(), x.input());
        check_sums<Master<T>>(sums.get(), reference::row_sums(all, groups * batch, features),
                              features);
        check_sums<Master<T>>(
            norms.get(), reference::row_squared_norms(all, groups * batch, features), features);
        check_sums<Master<T>>(mean.get(), reference::group_mean(all, groups, batch * features),
                              batch * features);
      }
    }
  }
}

GANMM_ELEMENT_CASE("reduce: small integers give exact results, items of any rank") {
  RandomData random(1);
  const Values values = random.integers(3 * 4 * 32, 1, 99);
  const Batch<T> x(ctx, 3, 4, {4, 4, 2}, values);
  Batch<Master<T>> rows(ctx, 3, 4, {1});
  Param<Master<T>> mean(ctx, 3, {1});
  row_sums<T>(ctx, rows.view(), x.input());
  check_equal(rows.get(), reference::row_sums(values, 12, 32).value);
  row_squared_norms<T>(ctx, rows.view(), x.input());
  check_equal(rows.get(), reference::row_squared_norms(values, 12, 32).value);
  group_mean<T>(ctx, mean.view(), x.input());  // 128 terms: the division is exact too
  check_equal(mean.get(), reference::group_mean(values, 3, 128).value);
}

GANMM_ELEMENT_CASE("reduce: sums are accumulated in double") {
  // In single precision 2^24 + 1 is 2^24, and 2^-30 would vanish beside 1.
  const Batch<T> x(ctx, 1, 2, {4}, {0x1p24, 1, 1, 0, 1, 0x1p-30, -1, 0});
  Batch<Master<T>> rows(ctx, 1, 2, {1});
  row_sums<T>(ctx, rows.view(), x.input());
  check_equal(rows.get(), {0x1p24 + 2, 0x1p-30});
}

GANMM_ELEMENT_CASE("reduce: the bits of a row do not depend on its place or its neighbours") {
  RandomData random(3);
  const Values row = random.reals<T>(37, -1, 1);
  Values many = random.reals<T>(6 * 37, -5, 5);
  std::copy(row.begin(), row.end(), many.begin() + 3 * 37);
  const Batch<T> alone(ctx, 1, 1, {37}, row);
  const Batch<T> among(ctx, 2, 3, {37}, many, Layout::gaps);
  Batch<Master<T>> one(ctx, 1, 1, {1}), all(ctx, 2, 3, {1});
  row_sums<T>(ctx, one.view(), alone.input());
  row_sums<T>(ctx, all.view(), among.input());
  check_equal({all.get()[3]}, one.get());
  row_squared_norms<T>(ctx, one.view(), alone.input());
  row_squared_norms<T>(ctx, all.view(), among.input());
  check_equal({all.get()[3]}, one.get());
}

GANMM_ELEMENT_CASE("reduce: empty batches and empty items give zeros, no groups are no work") {
  const Batch<T> no_rows(ctx, 2, 0, {3}, Values{});
  Batch<Master<T>> nothing(ctx, 2, 0, {1});
  Param<Master<T>> mean(ctx, 2, {1});
  CHECK_NOTHROW(row_sums<T>(ctx, nothing.view(), no_rows.input()));
  CHECK_NOTHROW(row_squared_norms<T>(ctx, nothing.view(), no_rows.input()));
  group_mean<T>(ctx, mean.view(), no_rows.input());
  check_zero(mean.get());

  const GroupView<const T> no_elements(nullptr, 2, 3, {0});
  Batch<Master<T>> rows(ctx, 2, 3, {1});
  row_sums<T>(ctx, rows.view(), no_elements);
  check_zero(rows.get());
  rows.set(Values(6, 1.0));
  row_squared_norms<T>(ctx, rows.view(), no_elements);
  check_zero(rows.get());
  mean.set({1, 1});
  group_mean<T>(ctx, mean.view(), no_elements);
  check_zero(mean.get());

  CHECK_NOTHROW(row_sums<T>(ctx, rows.view().slice(0, 0), no_elements.slice(0, 0)));
  CHECK_NOTHROW(group_mean<T>(ctx, mean.view().slice(0, 0), no_elements.slice(0, 0)));
}

TEST_CASE("reduce: outputs of another shape are refused") {
  Context ctx;
  const Batch<float> x(ctx, 2, 3, {4}, Values(24, 1.0));
  Batch<float> wide(ctx, 2, 3, {2}), few(ctx, 2, 2, {1});
  Param<float> one_group(ctx, 1, {1}), pairs(ctx, 2, {2});
  CHECK_THROWS_AS(row_sums<float>(ctx, wide.view(), x.input()), ShapeError);
  CHECK_THROWS_AS(row_sums<float>(ctx, few.view(), x.input()), ShapeError);
  CHECK_THROWS_AS(row_squared_norms<float>(ctx, few.view(), x.input()), ShapeError);
  CHECK_THROWS_AS(group_mean<float>(ctx, one_group.view(), x.input()), ShapeError);
  CHECK_THROWS_AS(group_mean<float>(ctx, pairs.view(), x.input()), ShapeError);
}

}  // namespace ganmm::kernels
