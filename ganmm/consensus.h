// One partition out of many: what R restarts of a clustering agree on, found without labels.
#pragma once

#include "kernels/core/shape.h"

#include <cstdint>
#include <span>
#include <vector>

namespace ganmm {

// The largest table of means, R * clusters^2 numbers of 8 bytes: 1 GiB.
inline constexpr Index kMaxConsensusCells = Index{1} << 27;

// The consensus of R partitions of n points into at most `clusters` clusters each: a label per
// point, numbered by descending cluster size, equal sizes by their first point. Fewer clusters
// result where fewer lists of labels differ.
//
// A point is the list of its R labels, written as R indicator vectors; the consensus is the
// clustering of these lists with the least sum of squared distances from the clusters' means, found
// by Lloyd's iteration from each of the R partitions and from R sets of points drawn as k-means++
// does; the best result counts, the first among equals. That maximises the category utility, how
// much better the consensus predicts the partitions' labels than their frequencies do. No
// correspondence between the clusters of the partitions is needed: a cluster that a partition lacks
// still stands out where the others have it. (Partitions are good starts as long as they are near
// to each other, drawn points where they are not.)
//
// Shapes: partitions [R][n], row-major, R and n >= 1. The result has n entries.
// Ranges: labels in [0, clusters); the table as above.
// Memory: O(n) beyond the input, and 8 R clusters^2 bytes: the indicators, R clusters numbers per
// point, which the k-means of ganmm/kmeans.h would need, are never written.
// Time: O(n R clusters) per step of each of the 2 R starts.
// Determinism: the result depends on the arguments alone.
// Throws: ConfigError on counts out of range, ShapeError when partitions does not hold R full rows,
// InputError on a label out of range.
//
// Source: A. Topchy, A. K. Jain and W. Punch, Combining multiple weak clusterings, 2003; B. Mirkin,
// Reinterpreting the category utility function, 2001; D. Arthur and S. Vassilvitskii, 2007.
std::vector<std::int32_t> consensus(std::span<const std::int32_t> partitions, Index restarts,
                                    Index clusters);

}  // namespace ganmm
