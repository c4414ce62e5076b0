// Internal: single precision convolutions of one group by oneDNN primitives. Compiled when
// GANMM_HAVE_ONEDNN is 1; no other file sees that library.
//
// A primitive is made once per geometry, kept for the life of the process and shared by all
// threads; its temporary memory comes from the caller's scratch. It runs on the calling thread.
//
// Forward and backward data run one item at a time: the same item then gives the same bits at any
// place in any batch, which the library itself does not promise. Measured cost of that: 0 to 6 %,
// 18 % for the smallest layer (28x28x1 to 14x14x16).
#pragma once

#include "kernels/activation.h"
#include "kernels/conv.h"
#include "kernels/core/arena.h"

#include <functional>

namespace ganmm::kernels::cpu::onednn {

// What a primitive computes. `bias` and `activation` (piecewise linear) for `forward` only.
enum class ConvOp { forward, backward_data, backward_weights };

struct ConvCase {
  ConvOp op{};
  ConvGeometry geometry;
  Index batch = 1;  // items per call of the primitive
  bool bias = false;
  Activation activation;
};

// False when the library has nothing but its slow reference code for this case.
bool conv_available(const ConvCase& which);

// Scratch bytes of the case; 0 when it is not available.
Index conv_workspace(const ConvCase& which);

// y = act(conv(x) + bias), bias may be null.
void conv_forward(Scratch& scratch, float* y, const float* x, const float* filter,
                  const float* bias, Activation activation, Index batch,
                  const ConvGeometry& geometry);

// d_x = conv^T(d_y). Calls `item_done(b)` while item b is still in cache.
void conv_backward_data(Scratch& scratch, float* d_x, const float* d_y, const float* filter,
                        Index batch, const ConvGeometry& geometry,
                        const std::function<void(Index)>& item_done);

void conv_backward_weights(Scratch& scratch, float* d_filter, const float* x, const float* d_y,
                           Index batch, const ConvGeometry& geometry, Write write);

}  // namespace ganmm::kernels::cpu::onednn
