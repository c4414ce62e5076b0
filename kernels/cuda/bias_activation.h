// The epilogue of a product where the library offers none for it.
#pragma once

#include "kernels/gemm.h"

namespace ganmm::kernels::cuda {

// c = act(c + bias) in place, one bias value per column; either part may be absent.
template <class C>
void bias_activation(Context& ctx, MatrixView<C> c, ParamView<const float> bias,
                     Activation activation);

}  // namespace ganmm::kernels::cuda
