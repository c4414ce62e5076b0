// Counts over labels: what a check of a run needs to know of an assignment. Counts are integers and
// exact; the sums of confidences have a fixed order.
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

}  // namespace ganmm::kernels
