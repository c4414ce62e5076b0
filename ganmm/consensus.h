// One partition out of many: what R restarts of a clustering agree on, found without labels.
#pragma once

#include "kernels/core/context.h"
#include "kernels/core/shape.h"

#include <cstdint>
#include <span>
#include <vector>

namespace ganmm {

enum class ConsensusKind {
  // Average linkage on the share of restarts that put two points together. It needs no
  // correspondence between the restarts' clusters, and their number may differ from the number
  // wanted. Its known weakness: points on which the restarts scatter are similar to nothing, so a
  // handful of them can stay a cluster of their own to the end, while two true clusters that some
  // restarts confuse are merged to make room for it.
  average_linkage,
  // The restarts' clusters are matched one to one and every point goes where most restarts put it.
  // A handful of odd points cannot take a cluster away. Needs clusters_in == clusters_out.
  voting,
};

// Points with the same tuple of R labels are the same point to average linkage. It runs on the
// distinct tuples, weighted by how often they occur, up to this many of the most frequent ones: its
// table of doubles then takes 32 MiB and the linkage a few tenths of a second, whatever n is.
inline constexpr Index kMaxLinkageTuples = 2048;

// The largest working table: R * R * clusters_in^2 counts for voting and medoid,
// clusters_out * R * clusters_in for average linkage. 2^27 entries of 8 bytes are 1 GiB.
inline constexpr Index kMaxConsensusCells = Index{1} << 27;

// The consensus of R partitions of n points: a label per point, numbered by descending cluster
// size, equal sizes by their first point. Fewer than clusters_out clusters result when the
// partitions tell fewer groups of points apart.
//
// average_linkage gives what the same linkage gives on the n x n co-assignment matrix as long as
// there are at most kMaxLinkageTuples distinct tuples and no ties. Ties merge the most frequent
// tuples first, equally frequent ones in lexicographic order. Rarer tuples join the cluster with
// the largest mean similarity, equal ones the cluster of the more frequent tuple.
//
// voting maximises the number of (point, pair of restarts) that carry the same label after the
// match, by coordinate ascent from a match with the medoid. A tie between votes goes to the
// medoid's label if that is among them, otherwise to the smaller one.
//
// Shapes: partitions [R][n], row-major, R and n >= 1. The result has n entries.
// Ranges: labels in [0, clusters_in), clusters_out in [1, kMaxLinkageTuples]; tables as above.
// Memory: O(n) and the tables above, beyond the input.
// Determinism: the result depends on the arguments alone.
// Throws: ConfigError on counts out of range or voting with clusters_in != clusters_out,
// ShapeError when partitions does not hold R full rows, InputError on a label out of range.
// Source: A. Fred and A. K. Jain, Combining multiple clusterings using evidence accumulation, 2005;
// R. R. Sokal and C. D. Michener, 1958 (average linkage); E. Dimitriadou, A. Weingessel and
// K. Hornik, Voting-merging, 2001, whose vote is here repeated until the match is stable.
std::vector<std::int32_t> consensus(std::span<const std::int32_t> partitions, Index restarts,
                                    Index clusters_in, Index clusters_out,
                                    ConsensusKind kind = ConsensusKind::average_linkage);

// consensus(..., voting) of partitions in the memory of the context's device, where the passes over
// the points run. Their labels are not checked. Throws ShapeError from 2^31 points on.
std::vector<std::int32_t> consensus_by_voting(Context& ctx, const std::int32_t* partitions,
                                              Index restarts, Index points, Index clusters);

// The restart with the largest mean adjusted Rand index to all others; the first among equals.
// Shapes, ranges and errors as for consensus.
Index medoid(std::span<const std::int32_t> partitions, Index restarts, Index clusters_in);

}  // namespace ganmm
