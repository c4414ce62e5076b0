#include "ganmm/hungarian.h"
#include "ganmm/metrics.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

using namespace ganmm;

namespace {

using Ids = std::vector<std::int32_t>;
using Table = std::vector<std::vector<Index>>;

struct Expected {
  std::string name;
  Table table;  // [cluster][label]
  double purity, ari, nmi, nmi_arithmetic, accuracy;
};

// Printed by metrics_expected.py with scikit-learn.
const std::vector<Expected> kExpected = {
    {"perfect", {{3, 0}, {0, 5}}, 1, 1, 1, 1, 1},
    {"swapped names", {{0, 5}, {3, 0}}, 1, 1, 1, 1, 1},
    {"one cluster, one label", {{7}}, 1, 1, 1, 1, 1},
    {"one point", {{1}}, 1, 1, 1, 1, 1},
    {"one cluster, several labels", {{4, 2, 1}}, 0.5714285714285714, 0, 0, 0, 0.5714285714285714},
    {"several clusters, one label", {{4}, {2}, {1}}, 1, 0, 0, 0, 0.5714285714285714},
    {"all singletons", {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}, 1, 1, 1, 1, 1},
    {"singleton clusters, two labels",
     {{1, 0}, {1, 0}, {0, 1}, {0, 1}},
     1,
     0,
     0.70710678118654746,
     0.66666666666666663,
     0.5},
    {"independent", {{4, 4}, {4, 4}}, 0.5, -0.071428571428571425, 0, 0, 0.5},
    {"below chance", {{1, 1}, {1, 1}}, 0.5, -0.5, 0, 0, 0.5},
    {"unbalanced",
     {{900, 30, 5}, {60, 40, 1}, {3, 2, 20}},
     0.92365692742695571,
     0.47202489447819773,
     0.31555727263074168,
     0.31456554633977624,
     0.90480678605089537},
    {"many-to-one",
     {{50, 3, 1}, {40, 2, 2}, {5, 45, 45}},
     0.69948186528497414,
     0.34373102412085965,
     0.43196975050847869,
     0.43196943004731875,
     0.50259067357512954},
    {"more clusters than labels",
     {{10, 2}, {8, 1}, {3, 12}, {0, 9}, {1, 1}},
     0.85106382978723405,
     0.22098101260353895,
     0.31643397342258373,
     0.29478934556785735,
     0.46808510638297873},
    {"more labels than clusters",
     {{10, 8, 3, 0, 1}, {2, 1, 12, 9, 1}},
     0.46808510638297873,
     0.22098101260353895,
     0.31643397342258373,
     0.29478934556785735,
     0.46808510638297873},
    {"greedy choice is not the best",
     {{10, 9}, {9, 0}},
     0.6785714285714286,
     0.038901601830663615,
     0.25246297279184077,
     0.25246297279184077,
     0.6428571428571429},
    {"ten by ten",
     {{0, 3, 12, 64, 2, 6, 16, 9, 8, 13},
      {67, 11, 21, 14, 13, 18, 6, 0, 0, 6},
      {14, 19, 7, 1, 1, 7, 19, 74, 15, 22},
      {21, 4, 16, 11, 72, 19, 9, 5, 7, 15},
      {5, 72, 2, 21, 0, 8, 22, 19, 22, 8},
      {12, 20, 11, 8, 11, 20, 12, 10, 74, 1},
      {19, 5, 20, 18, 22, 69, 2, 1, 6, 17},
      {3, 13, 66, 5, 10, 21, 15, 15, 21, 10},
      {10, 21, 15, 15, 21, 10, 5, 6, 13, 63},
      {17, 6, 1, 2, 9, 22, 78, 20, 5, 19}},
     0.40615920976176639,
     0.12609103560776455,
     0.19525862852213657,
     0.19525861737002512,
     0.40615920976176639},
};

struct Points {
  Ids clusters;
  Ids labels;
};

Points points_of(const Table& table) {
  Points points;
  for (std::size_t r = 0; r < table.size(); ++r) {
    for (std::size_t c = 0; c < table[r].size(); ++c) {
      const auto count = static_cast<std::size_t>(table[r][c]);
      points.clusters.insert(points.clusters.end(), count, static_cast<std::int32_t>(r));
      points.labels.insert(points.labels.end(), count, static_cast<std::int32_t>(c));
    }
  }
  return points;
}

// Sums of up to a hundred terms of order one: 1e-12 leaves three digits above their rounding.
doctest::Approx near(double value) { return doctest::Approx(value).epsilon(1e-12).scale(1); }

void check_scores(const Scores& scores, const Expected& expected) {
  CHECK(scores.purity == near(expected.purity));
  CHECK(scores.ari == near(expected.ari));
  CHECK(scores.nmi == near(expected.nmi));
  CHECK(scores.nmi_arithmetic == near(expected.nmi_arithmetic));
  CHECK(scores.accuracy == near(expected.accuracy));
}

// The best total over all ways to pair rows with columns, by trying them all.
Index best_total_by_trial(const std::vector<Index>& weights, std::size_t rows,
                          std::size_t columns) {
  const std::size_t side = std::max(rows, columns);
  std::vector<std::size_t> order(side);
  std::iota(order.begin(), order.end(), std::size_t{0});
  Index best = std::numeric_limits<Index>::min();
  do {
    Index total = 0;
    for (std::size_t r = 0; r < rows; ++r) {
      if (order[r] < columns) total += weights[r * columns + order[r]];
    }
    best = std::max(best, total);
  } while (std::next_permutation(order.begin(), order.end()));
  return best;
}

}  // namespace

TEST_CASE("metrics: every score equals scikit-learn's") {
  for (const Expected& expected : kExpected) {
    CAPTURE(expected.name);
    const Points points = points_of(expected.table);
    check_scores(score(points.clusters, points.labels), expected);
  }
}

TEST_CASE("metrics: names of clusters and labels and the order of points do not matter") {
  std::mt19937 random(1);
  for (const Expected& expected : kExpected) {
    CAPTURE(expected.name);
    const Points points = points_of(expected.table);
    std::vector<std::size_t> order(points.labels.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::shuffle(order.begin(), order.end(), random);
    Ids cluster_names(expected.table.size());
    Ids label_names(expected.table[0].size());
    std::iota(cluster_names.begin(), cluster_names.end(), 1000);
    std::iota(label_names.begin(), label_names.end(), 5);
    std::shuffle(cluster_names.begin(), cluster_names.end(), random);
    std::shuffle(label_names.begin(), label_names.end(), random);
    Points renamed;
    for (const std::size_t i : order) {
      renamed.clusters.push_back(cluster_names[static_cast<std::size_t>(points.clusters[i])]);
      renamed.labels.push_back(label_names[static_cast<std::size_t>(points.labels[i])]);
    }
    check_scores(score(renamed.clusters, renamed.labels), expected);
  }
}

TEST_CASE("metrics: clusters and the table are listed by ascending id, empty ones left out") {
  const std::int32_t last = std::numeric_limits<std::int32_t>::max();
  const Ids clusters = {7, 0, 7, 7, last, 0};
  const Ids labels = {3, last, 3, 9, last, 9};
  const Scores scores = score(clusters, labels);
  CHECK(scores.cluster_ids == Ids{0, 7, last});
  CHECK(scores.label_ids == Ids{3, 9, last});
  CHECK(scores.confusion == Table{{0, 1, 1}, {2, 1, 0}, {0, 0, 1}});
  REQUIRE(scores.per_cluster.size() == 3);
  CHECK(scores.per_cluster[0].cluster == 0);
  CHECK(scores.per_cluster[0].size == 2);
  CHECK(scores.per_cluster[0].majority_label == 9);  // the smaller of two equal ones
  CHECK(scores.per_cluster[0].purity == 0.5);
  CHECK(scores.per_cluster[1].cluster == 7);
  CHECK(scores.per_cluster[1].size == 3);
  CHECK(scores.per_cluster[1].majority_label == 3);
  CHECK(scores.per_cluster[1].purity == near(2.0 / 3));
  CHECK(scores.per_cluster[2].cluster == last);
  CHECK(scores.per_cluster[2].majority_label == last);
}

TEST_CASE("metrics: the adjusted Rand index of a billion points does not overflow") {
  const std::vector<Index> table = {400000000, 100000001, 99999999, 400000000};
  CHECK(adjusted_rand_index(table, 2, 2) == near(0.35999999936));
}

TEST_CASE("metrics: the adjusted Rand index skips empty rows and columns") {
  const std::vector<Index> table = {5, 0, 1, 0, 0, 0, 2, 0, 6};
  const std::vector<Index> compact = {5, 1, 2, 6};
  CHECK(adjusted_rand_index(table, 3, 3) == adjusted_rand_index(compact, 2, 2));
  CHECK_THROWS_AS(adjusted_rand_index(table, 3, 2), ShapeError);
}

TEST_CASE("metrics: the assignment is the best of all assignments, on any shape of table") {
  std::mt19937 random(2);
  for (std::size_t rows = 1; rows <= 5; ++rows) {
    for (std::size_t columns = 1; columns <= 6; ++columns) {
      for (int trial = 0; trial < 10; ++trial) {
        CAPTURE(rows);
        CAPTURE(columns);
        CAPTURE(trial);
        std::vector<Index> weights(rows * columns);
        for (Index& weight : weights) weight = static_cast<Index>(random() % 21) - 5;
        const std::vector<Index> column_of =
            best_assignment(weights, static_cast<Index>(rows), static_cast<Index>(columns));
        REQUIRE(column_of.size() == rows);
        std::vector<int> used(columns, 0);
        Index total = 0;
        for (std::size_t r = 0; r < rows; ++r) {
          if (column_of[r] < 0) continue;
          const auto column = static_cast<std::size_t>(column_of[r]);
          REQUIRE(column < columns);
          ++used[column];
          total += weights[r * columns + column];
        }
        CHECK(*std::max_element(used.begin(), used.end()) == 1);
        CHECK(std::accumulate(used.begin(), used.end(), std::size_t{0}) == std::min(rows, columns));
        CHECK(total == best_total_by_trial(weights, rows, columns));
      }
    }
  }
}

TEST_CASE("metrics: the assignment refuses a table that is not rows x columns") {
  const std::vector<Index> weights(6, 1);
  CHECK_THROWS_AS(best_assignment(weights, 2, 2), ShapeError);
  CHECK_THROWS_AS(best_assignment(weights, 0, 3), ShapeError);
}

TEST_CASE("metrics: unusable input is refused with the reason") {
  CHECK_THROWS_WITH_AS(score(Ids{0, 1}, Ids{0}), doctest::Contains("2 assignments and 1 labels"),
                       InputError);
  CHECK_THROWS_AS(score(Ids{}, Ids{}), InputError);
  CHECK_THROWS_WITH_AS(score(Ids{0, 1}, Ids{0, -4}), doctest::Contains("found -4 at row 1"),
                       InputError);
  CHECK_THROWS_AS(score(Ids{-1, 1}, Ids{0, 0}), InputError);
}

TEST_CASE("metrics: row numbers passed as labels are refused instead of filling the memory") {
  Ids numbers(5000);
  std::iota(numbers.begin(), numbers.end(), 0);
  CHECK_THROWS_WITH_AS(score(numbers, numbers), doctest::Contains("row numbers"), InputError);
  const Scores scores = score(Ids(numbers.size(), 0), numbers);
  CHECK(scores.ari == 0);
  CHECK(scores.accuracy == near(1.0 / 5000));
}
