// Nearest centres and centre sums: the two halves of a Lloyd iteration of k-means.
#pragma once

#include "kernels/core/context.h"
#include "kernels/core/view.h"

namespace ganmm::kernels {

// For every row the nearest centre (lowest index on ties) and its squared distance, computed as
// sum (x - c)^2, which does not cancel.
// Shapes label [R][B] (stride label_stride), distance [R][B] (same stride, may be null),
//        data [R or 1 shared][B][D], centre [R][k][D].
template <class T>
void nearest_centre(Context& ctx, std::int32_t* label, T* distance, Index label_stride,
                    GroupView<const T> data, GroupView<const T> centre);

// Adds every row to the sum of its centre: sum [R][k][D] and count [R][k] in double, accumulated.
// In row order on the CPU, in slices of the rows on a GPU: rounding beyond double's 53 bits
// differs.
template <class T>
void centre_sums(Context& ctx, double* sum, double* count, Index centres, const std::int32_t* label,
                 Index label_stride, GroupView<const T> data);

}  // namespace ganmm::kernels
