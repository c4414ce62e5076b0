// Internal: single precision convolutions of one group by oneDNN primitives. Compiled when
// GANMM_HAVE_ONEDNN is 1; no other file sees that library.
//
// A primitive is made once per geometry, kept for the life of the process and shared by all
// threads; its temporary memory comes from the caller's scratch. It runs on the calling thread.
// A call makes about 30 small host objects (descriptions of memory, argument lists), and the
// library 6 or 7 more whenever a primitive runs (counted with 2.6): 380 for 50 items forward. Their
// size does not depend on the tensors.
//
// Forward runs one item at a time: the same item then gives the same bits at any place in any
// batch, which the library itself does not promise. Measured cost of that: 0 to 6 %, 18 % for the
// smallest layer (28x28x1 to 14x14x16). Backward data does the same while the filter fits the
// second-level cache; above, the whole batch is 1.4 times faster (7x7x128 to 4x4x256).
#pragma once

#include "kernels/conv.h"
#include "kernels/core/arena.h"

#include <functional>

namespace ganmm::kernels::cpu::onednn {

// False when the library has nothing but its slow reference code for this case.
bool conv_available(ConvOp op, Index batch, const ConvGeometry& geometry);

// Scratch bytes of the case; 0 when it is not available.
Index conv_workspace(ConvOp op, Index batch, const ConvGeometry& geometry);

// Called with b when item b of the output is computed and still in cache.
using ItemDone = std::function<void(Index b)>;

// y = conv(x)
void conv_forward(Scratch& scratch, float* y, const float* x, const float* filter, Index batch,
                  const ConvGeometry& geometry, const ItemDone& item_done);

// d_x = conv^T(d_y)
void conv_backward_data(Scratch& scratch, float* d_x, const float* d_y, const float* filter,
                        Index batch, const ConvGeometry& geometry, const ItemDone& item_done);

// d_filter (=|+=) the adjoint in the filter
void conv_backward_weights(Scratch& scratch, float* d_filter, const float* x, const float* d_y,
                           Index batch, const ConvGeometry& geometry, Write write);

}  // namespace ganmm::kernels::cpu::onednn
