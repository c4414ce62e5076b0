// Sums over the elements of grouped rows: per group, and per item.
//
// Sums are computed in double, in an order that depends on the shape alone. Inputs may share their
// rows by group stride 0. Aliasing: none. Throws ShapeError.
#pragma once

#include "kernels/core/context.h"
#include "kernels/core/view.h"

namespace ganmm::kernels {

// out[n] = the mean of all elements of group n, 0 where it has none.
// Shapes x [N][B][item], out [N][1].
template <class T>
void group_mean(Context& ctx, ParamView<Master<T>> out, GroupView<const T> x);

// out[n,b] = sum_i x[n,b,i]. Shapes x [N][B][item], out [N][B][1].
template <class T>
void row_sums(Context& ctx, GroupView<Master<T>> out, GroupView<const T> x);

// out[n,b] = sum_i x[n,b,i]^2. Shapes x [N][B][item], out [N][B][1].
template <class T>
void row_squared_norms(Context& ctx, GroupView<Master<T>> out, GroupView<const T> x);

}  // namespace ganmm::kernels
