// Internal: what the CPU convolution tells its dispatcher besides the ops in kernels/backend.h.
#pragma once

#include "kernels/conv.h"

namespace ganmm::kernels::cpu {

// Scratch bytes for any of the three ops with up to `batch` items per group. Groups are computed
// one after the other and share it.
template <class T>
Index conv_workspace(Index batch, const ConvGeometry& geometry);

}  // namespace ganmm::kernels::cpu
