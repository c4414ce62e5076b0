#include "ganmm/metrics.h"

#include "ganmm/hungarian.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace ganmm {

namespace {

// The distinct values of a column of ids in ascending order, and where each of them stands.
struct Ids {
  std::vector<std::int32_t> values;
  std::unordered_map<std::int32_t, std::size_t> position;
};

Ids collect_ids(std::span<const std::int32_t> column, std::string_view name) {
  Ids ids;
  for (std::size_t i = 0; i < column.size(); ++i) {
    require<InputError>(column[i] >= 0, "score: expected ", name, " of at least 0, found ",
                        column[i], " at row ", i, "; number them from 0");
    if (ids.position.try_emplace(column[i], 0).second) ids.values.push_back(column[i]);
  }
  std::sort(ids.values.begin(), ids.values.end());
  for (std::size_t k = 0; k < ids.values.size(); ++k) ids.position[ids.values[k]] = k;
  return ids;
}

struct Marginals {
  std::vector<Index> rows;
  std::vector<Index> columns;
  Index total = 0;
};

Marginals sum_table(std::span<const Index> table, std::size_t rows, std::size_t columns) {
  Marginals sums{std::vector<Index>(rows, 0), std::vector<Index>(columns, 0), 0};
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) {
      sums.rows[r] += table[r * columns + c];
      sums.columns[c] += table[r * columns + c];
    }
    sums.total += sums.rows[r];
  }
  return sums;
}

Index sum_of_squares(std::span<const Index> counts) {
  return std::inner_product(counts.begin(), counts.end(), counts.begin(), Index{0});
}

double entropy(std::span<const Index> counts, Index total) {
  double sum = 0;
  for (const Index count : counts) {
    if (count == 0) continue;
    const double share = static_cast<double>(count) / static_cast<double>(total);
    sum -= share * std::log(share);
  }
  return sum;
}

double mutual_information(std::span<const Index> table, const Marginals& sums) {
  const std::size_t columns = sums.columns.size();
  const auto total = static_cast<double>(sums.total);
  double sum = 0;
  for (std::size_t r = 0; r < sums.rows.size(); ++r) {
    for (std::size_t c = 0; c < columns; ++c) {
      const auto joint = static_cast<double>(table[r * columns + c]);
      if (joint == 0) continue;
      const double independent =
          static_cast<double>(sums.rows[r]) * static_cast<double>(sums.columns[c]);
      sum += joint / total * std::log(joint * total / independent);
    }
  }
  // Independent partitions leave rounding noise; divided by a small entropy it would show.
  return sum > std::numeric_limits<double>::epsilon() ? sum : 0;
}

void score_information(std::span<const Index> table, const Marginals& sums, Scores& scores) {
  if (sums.rows.size() == 1 && sums.columns.size() == 1) {
    scores.nmi = scores.nmi_arithmetic = 1;
    return;
  }
  const double information = mutual_information(table, sums);
  if (information == 0) return;
  const double h_rows = entropy(sums.rows, sums.total);
  const double h_columns = entropy(sums.columns, sums.total);
  scores.nmi = std::min(1.0, information / std::sqrt(h_rows * h_columns));
  scores.nmi_arithmetic = std::min(1.0, information / ((h_rows + h_columns) / 2));
}

void score_clusters(std::span<const Index> table, const Marginals& sums, Scores& scores) {
  const std::size_t columns = sums.columns.size();
  Index majority_total = 0;
  for (std::size_t r = 0; r < sums.rows.size(); ++r) {
    const auto row = table.subspan(r * columns, columns);
    const auto majority = std::max_element(row.begin(), row.end());
    majority_total += *majority;
    scores.per_cluster.push_back(
        {scores.cluster_ids[r], sums.rows[r],
         scores.label_ids[static_cast<std::size_t>(majority - row.begin())],
         static_cast<double>(*majority) / static_cast<double>(sums.rows[r])});
    scores.confusion.emplace_back(row.begin(), row.end());
  }
  scores.purity = static_cast<double>(majority_total) / static_cast<double>(sums.total);
}

double one_to_one_accuracy(std::span<const Index> table, const Marginals& sums) {
  const auto label_of = best_assignment(table, std::ssize(sums.rows), std::ssize(sums.columns));
  Index matched = 0;
  for (std::size_t r = 0; r < label_of.size(); ++r) {
    if (label_of[r] < 0) continue;
    matched += table[r * sums.columns.size() + static_cast<std::size_t>(label_of[r])];
  }
  return static_cast<double>(matched) / static_cast<double>(sums.total);
}

}  // namespace

double adjusted_rand_index(std::span<const Index> table, Index rows, Index columns) {
  require<ShapeError>(rows >= 0 && columns >= 0 &&
                          checked_multiply(rows, columns) == std::ssize(table),
                      "adjusted_rand_index: expected rows * columns counts, found ", table.size(),
                      " counts for ", rows, " x ", columns, "; pass the whole row-major table");
  const Marginals sums =
      sum_table(table, static_cast<std::size_t>(rows), static_cast<std::size_t>(columns));
  // Ordered pairs of points: together in both partitions, in one of them only, in neither. The
  // counts are exact; only their products, which pass 2^63 from n = 60,000 on, are floating.
  const Index squares = sum_of_squares(table);
  const Index row_squares = sum_of_squares(sums.rows);
  const Index column_squares = sum_of_squares(sums.columns);
  const Index both = squares - sums.total;
  const Index rows_only = row_squares - squares;
  const Index columns_only = column_squares - squares;
  if (rows_only == 0 && columns_only == 0) return 1;
  const Index neither = sums.total * sums.total - squares - rows_only - columns_only;
  const auto tp = static_cast<double>(both);
  const auto fp = static_cast<double>(rows_only);
  const auto fn = static_cast<double>(columns_only);
  const auto tn = static_cast<double>(neither);
  return 2 * (tp * tn - fn * fp) / ((tp + fn) * (fn + tn) + (tp + fp) * (fp + tn));
}

Scores score(std::span<const std::int32_t> assignments, std::span<const std::int32_t> labels) {
  require<InputError>(assignments.size() == labels.size() && !labels.empty(),
                      "score: expected one label per assignment and at least one, found ",
                      assignments.size(), " assignments and ", labels.size(),
                      " labels; pass the labels of the clustered rows, in the same order");
  Ids clusters = collect_ids(assignments, "assignments");
  Ids classes = collect_ids(labels, "labels");
  const std::size_t columns = classes.values.size();
  require<InputError>(
      checked_multiply(std::ssize(clusters.values), std::ssize(classes.values)) <=
          kMaxConfusionCells,
      "score: expected a table of at most ", kMaxConfusionCells, " cells, found ",
      clusters.values.size(), " distinct assignments x ", columns,
      " distinct labels; check that the labels are classes and not row numbers or measurements");

  std::vector<Index> table(clusters.values.size() * columns, 0);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const std::size_t row = clusters.position.find(assignments[i])->second;
    ++table[row * columns + classes.position.find(labels[i])->second];
  }

  Scores scores;
  scores.cluster_ids = std::move(clusters.values);
  scores.label_ids = std::move(classes.values);
  const Marginals sums = sum_table(table, scores.cluster_ids.size(), columns);
  score_clusters(table, sums, scores);
  score_information(table, sums, scores);
  scores.ari = adjusted_rand_index(table, std::ssize(sums.rows), std::ssize(sums.columns));
  scores.accuracy = one_to_one_accuracy(table, sums);
  return scores;
}

}  // namespace ganmm
