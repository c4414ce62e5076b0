// Small elementwise ops on grouped views and their adjoints.
#pragma once

#include "kernels/core/context.h"
#include "kernels/core/view.h"

namespace ganmm::kernels {

// y = value everywhere.
template <class T>
void fill(Context& ctx, GroupView<T> y, double value);

// y = x, rounded where To is bfloat16. Shapes equal. x may have group stride 0.
template <class To, class From>
void copy(Context& ctx, GroupView<To> y, GroupView<const From> x);

// y = a x + b y. Shapes equal; with b = 0, y is not read. x may have group stride 0.
template <class T>
void axpby(Context& ctx, GroupView<T> y, double a, GroupView<const T> x, double b);

// x[n,b,...,c] += bias[n,c], c the last axis.
// Shapes x [N][B][...][C], bias [N][C].
template <class T>
void add_bias(Context& ctx, GroupView<T> x, ParamView<const Master<T>> bias);

// d_bias[n,c] (=|+=) sum over b and positions of d_y[n,b,...,c], in a fixed order.
template <class T>
void bias_grad(Context& ctx, ParamView<Master<T>> d_bias, GroupView<const T> d_y, Write write);

// y = the first rows and columns of x. Shapes x [N][B][H][W][C], y [N][B][h][w][C], h <= H, w <= W.
template <class T>
void crop(Context& ctx, GroupView<T> y, GroupView<const T> x);

// Adjoint of crop: x = y inside, 0 outside.
template <class T>
void crop_backward(Context& ctx, GroupView<T> x, GroupView<const T> y);

}  // namespace ganmm::kernels
