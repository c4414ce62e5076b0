// Counts over labels: what a check of a run needs to know of an assignment, and how two partitions
// overlap. Counts are integers and exact; the sums of confidences have a fixed order.
#pragma once

#include "kernels/core/context.h"
#include "kernels/select.h"

#include <cstdint>

namespace ganmm::kernels {

struct AssignmentCounts {
  std::int32_t* changed = nullptr;  // [R] points whose component is another than before
  std::int32_t* size = nullptr;     // [R][N] points per component
  double* confidence = nullptr;     // [R] sum over points of the largest posterior
};

// Takes over the labels of pool rows [skip, P) as the components of data rows [first_row + skip,
// first_row + P), and adds to the counts what they say.
// Shapes  assigned [R][rows], read as "before" (-1: no component yet, counts as changed) and
//         overwritten. Accumulates into `counts`.
// Throws  ShapeError.
void count_assignments(Context& ctx, const AssignmentCounts& counts, std::int32_t* assigned,
                       Index rows, const PoolView& pool, Index first_row, Index skip);

// overlap[i][j] = points with label a = i and label b = j. Labels must be in [0, a_count) and
// [0, b_count). Shapes overlap int32 [a_count][b_count], overwritten; a, b [rows].
void contingency(Context& ctx, std::int32_t* overlap, Index a_count, Index b_count,
                 const std::int32_t* a, const std::int32_t* b, Index rows);

// The label that most of R partitions give a point, after label k of partition r was renamed to
// match[r][k]. A tie goes to partition `anchor`'s choice if that is among them, otherwise to the
// smallest label.
// Shapes winner [rows], overwritten; partition [R][rows], labels in [0, clusters); match
// [R][clusters].
void vote(Context& ctx, std::int32_t* winner, const std::int32_t* partition,
          const std::int32_t* match, Index partitions, Index clusters, Index anchor, Index rows);

}  // namespace ganmm::kernels
