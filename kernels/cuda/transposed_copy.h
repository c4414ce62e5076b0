// Filters between our layout and that of libraries.
#pragma once

#include "kernels/gemm.h"

namespace ganmm::kernels::cuda {

// y[n] (=|+=) x[n]^T. Shapes x m x k, y k x m, equal groups.
// To, From: float and float, BFloat16 and BFloat16, float and BFloat16.
template <class To, class From>
void transposed_copy(Context& ctx, MatrixView<To> y, MatrixView<const From> x, Write write);

}  // namespace ganmm::kernels::cuda
