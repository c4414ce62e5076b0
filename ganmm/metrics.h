// How well a partition agrees with known labels: purity, adjusted Rand, normalised mutual
// information and one-to-one accuracy. Labels only score a result, they never train anything.
#pragma once

#include "kernels/core/shape.h"

#include <cstdint>
#include <span>
#include <vector>

namespace ganmm {

struct ClusterScore {
  std::int32_t cluster = 0;
  Index size = 0;
  std::int32_t majority_label = 0;  // the smallest label among equals
  double purity = 0;                // share of the cluster that has the majority label
};

struct Scores {
  double purity = 0;          // many-to-one: every cluster counts its majority label
  double ari = 0;             // adjusted Rand index
  double nmi = 0;             // I / sqrt(H_clusters * H_labels)
  double nmi_arithmetic = 0;  // I / ((H_clusters + H_labels) / 2)
  double accuracy = 0;        // best one-to-one map of clusters to labels
  std::vector<ClusterScore> per_cluster;
  std::vector<std::int32_t> cluster_ids;      // rows of the table, ascending, none empty
  std::vector<std::int32_t> label_ids;        // columns of the table, ascending, none empty
  std::vector<std::vector<Index>> confusion;  // [cluster][label] counts
};

// The largest clusters x labels table that is scored. 2^24 cells are 4096 x 4096; whoever has more
// has most likely passed row numbers or measurements as labels.
inline constexpr Index kMaxConfusionCells = Index{1} << 24;

// Scores a partition. Ids may be any numbers >= 0, with gaps; memory grows with the number of
// distinct ids, not with their size.
//
// Shapes: assignments [n], labels [n], n >= 1.
// Ranges: n up to 3e9 (the squared counts stay within 63 bits). Degenerate cases as scikit-learn
// has them: a single cluster with a single label scores 1 everywhere; a single cluster with
// several labels, or the reverse, has ARI 0 and NMI 0.
// Throws: InputError on unequal lengths, no points, a negative id, or a table above
// kMaxConfusionCells.
// Source: L. Hubert and P. Arabie, Comparing partitions, 1985 (ARI); A. Strehl and J. Ghosh,
// Cluster ensembles, 2002 (NMI, geometric); best_assignment (accuracy).
Scores score(std::span<const std::int32_t> assignments, std::span<const std::int32_t> labels);

// Adjusted Rand index of two partitions, from their contingency table of counts.
// Shapes: table [rows][columns], row-major; rows and columns without points are allowed.
// Throws: ShapeError when the span does not hold rows * columns counts.
double adjusted_rand_index(std::span<const Index> table, Index rows, Index columns);

}  // namespace ganmm
