#include "kernels/core/view.h"

#include <doctest/doctest.h>

#include <limits>
#include <numeric>
#include <vector>

namespace ganmm {

TEST_CASE("view: shapes count, compare and print") {
  const Shape image{28, 14, 3};
  CHECK(image.rank() == 3);
  CHECK(image.count() == 28 * 14 * 3);
  CHECK(image.back() == 3);
  CHECK(to_string(image) == "28x14x3");
  CHECK(image == Shape{28, 14, 3});
  CHECK(image != Shape{28, 14});
  CHECK(Shape{}.count() == 1);
  CHECK(Shape{5, 0}.count() == 0);
}

TEST_CASE("view: shapes of rank five, negative extents and overflow are refused") {
  CHECK_THROWS_AS((Shape{1, 2, 3, 4, 5}), ShapeError);
  CHECK_THROWS_AS((Shape{2, -1}), ShapeError);
  const Index large = Index{1} << 32;
  CHECK_THROWS_AS((Shape{large, large}.count()), ShapeError);
  CHECK(checked_multiply(large, large / 4) == std::numeric_limits<Index>::max() / 2 + 1);
  CHECK_THROWS_AS(checked_multiply(-1, 1), ShapeError);
}

TEST_CASE("view: rows, slices and items address the elements of the whole") {
  std::vector<float> memory(3 * 40);
  std::iota(memory.begin(), memory.end(), 0.0f);
  // 3 groups of 4 items of 2x3, rows 8 apart, groups 40 apart.
  const GroupView<float> view(memory.data(), 3, 4, {2, 3}, 40, 8);
  CHECK(view.features() == 6);
  CHECK(*view.row(2, 3) == 2 * 40 + 3 * 8);
  CHECK_FALSE(view.rows_contiguous());
  const auto rows = view.rows(1, 2);
  CHECK(rows.batch == 2);
  CHECK(*rows.row(1, 1) == 40 + 2 * 8);
  const auto groups = view.slice(1, 2);
  CHECK(groups.groups == 2);
  CHECK(*groups.row(1, 0) == 80);
  CHECK(view.reshaped({6}).item == Shape{6});
  CHECK_THROWS_AS(view.rows(3, 2), ShapeError);
  CHECK_THROWS_AS(view.rows(-1, 2), ShapeError);
  CHECK_THROWS_AS(view.slice(2, 2), ShapeError);
  CHECK_THROWS_AS(view.reshaped({7}), ShapeError);
  CHECK(view.rows(4, 0).batch == 0);
}

TEST_CASE("view: joining groups concatenates their batches") {
  std::vector<float> memory(6 * 4 * 3);
  std::iota(memory.begin(), memory.end(), 0.0f);
  const GroupView<float> view(memory.data(), 6, 4, {3});
  CHECK(view.rows_contiguous());
  const auto joined = view.joined(2);
  CHECK(joined.groups == 2);
  CHECK(joined.batch == 12);
  for (Index group = 0; group < 6; ++group) {
    for (Index b = 0; b < 4; ++b) {
      CHECK(joined.row(group / 3, group % 3 * 4 + b) == view.row(group, b));
    }
  }
  CHECK_THROWS_AS(view.joined(4), ShapeError);
  CHECK_THROWS_AS(view.joined(0), ShapeError);
  CHECK_THROWS_AS(view.rows(0, 2).joined(2), ShapeError);  // groups no longer adjoin
}

TEST_CASE("view: a view converts to one of constants") {
  std::vector<double> memory(12, 1.0);
  const GroupView<double> view(memory.data(), 2, 3, {2});
  const GroupView<const double> constant = view;
  CHECK(constant.data == memory.data());
  CHECK(constant.group_stride == 6);
  const ParamView<double> param(memory.data(), 2, {2, 3});
  const ParamView<const double> constant_param = param;
  CHECK(constant_param.group(1) == memory.data() + 6);
  CHECK(param.slice(1, 1).data == memory.data() + 6);
  CHECK(param.count() == 6);
}

}  // namespace ganmm
