#include "ganmm/neighbours.h"
#include "kernels/core/error.h"
#include "tests/support/blobs.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace ganmm {
namespace {

Lanes host(int threads) { return Lanes({}, MathMode::fp32, threads); }

std::vector<Index> all(Index rows) {
  std::vector<Index> numbers(static_cast<std::size_t>(rows));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

}  // namespace

TEST_CASE("neighbours: blobs in their own clusters agree fully, random labels by chance") {
  const auto data = test::blobs(600, 3, 4);
  Lanes lanes = host(2);
  const Neighbours neighbours(data.values, 3, all(data.rows), lanes);
  CHECK(neighbours.agreement(data.labels) == 1.0);
  std::vector<std::int32_t> random(600);
  for (std::size_t i = 0; i < random.size(); ++i) {
    random[i] =
        static_cast<std::int32_t>(philox(1, static_cast<std::uint32_t>(i), 0, 0, 0).word[0] % 4);
  }
  // 6000 pairs: five standard errors of a share of 1/4, and of the correction.
  CHECK(std::abs(neighbours.agreement(random)) < 5 * std::sqrt(0.25 * 0.75 / 600) / 0.75);
  // Two blobs in one cluster, one blob cut in two: neighbours are apart in that one alone.
  std::vector<std::int32_t> wrong = data.labels;
  for (std::size_t i = 0; i < wrong.size(); ++i) {
    if (wrong[i] == 1) wrong[i] = 0;
    if (data.labels[i] == 2) wrong[i] = static_cast<std::int32_t>(1 + i % 8 / 4);
  }
  const double cut = neighbours.agreement(wrong);
  CHECK(cut > 0.5);
  CHECK(cut < 0.9);
}

TEST_CASE("neighbours: a point's are its nearest, counted by hand") {
  // On a line, the first eleven close together, then one far away.
  std::vector<float> line(12);
  std::iota(line.begin(), line.end(), 0.0f);
  line[11] = 100;
  Lanes lanes = host(1);
  const Neighbours neighbours(line, 1, all(12), lanes);
  // Each of eleven has the other ten, the far one rows 1 to 10. Row 11 has a label of its own: none
  // of its ten pairs agree, all 110 others do.
  std::vector<std::int32_t> label(12, 0);
  label[11] = 1;
  const double chance = (11.0 * 11 + 1) / 144;
  CHECK(neighbours.agreement(label) == doctest::Approx((110.0 / 120 - chance) / (1 - chance)));
  CHECK(neighbours.standard_error(0.25) == doctest::Approx(0.125));
  CHECK(neighbours.standard_error(-0.1) == 0.0);
  // The same of the data's rows 12 to 23, behind others.
  std::vector<float> behind(12, -1.0f);
  behind.insert(behind.end(), line.begin(), line.end());
  std::vector<Index> rows = all(12);
  for (Index& row : rows) row += 12;
  CHECK(Neighbours(behind, 1, rows, lanes).agreement(label) == neighbours.agreement(label));
}

TEST_CASE("neighbours: one cluster, or one row, says nothing; lanes do not matter") {
  const auto data = test::blobs(300, 2, 3);
  Lanes one = host(1), three = host(3);
  const Neighbours a(data.values, 2, all(300), one), b(data.values, 2, all(300), three);
  CHECK(a.agreement(std::vector<std::int32_t>(300, 0)) == 0.0);
  std::vector<std::int32_t> label(300);
  for (std::size_t i = 0; i < label.size(); ++i) label[i] = static_cast<std::int32_t>(i % 7);
  CHECK(a.agreement(label) == b.agreement(label));
  const std::vector<float> row{1, 2};
  CHECK(Neighbours(row, 2, all(1), one).agreement(std::vector<std::int32_t>{0}) == 0.0);
  CHECK_THROWS_AS((void)a.agreement(std::vector<std::int32_t>(299, 0)), ShapeError);
  CHECK_THROWS_AS(Neighbours(row, 2, all(2), one), ShapeError);
}

}  // namespace ganmm
