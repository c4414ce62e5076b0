// The epilogue of a product where the library offers none for it.
#pragma once

#include "kernels/gemm.h"

namespace ganmm::kernels::cuda {

// c = act(c + bias) in place, one bias value per column; either part may be absent.
void bias_activation(Context& ctx, MatrixView<float> c, const Epilogue<float>& epilogue);

}  // namespace ganmm::kernels::cuda
