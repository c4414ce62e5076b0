// Networks as data: a list of layers with their sizes. Sequential (nn/sequential.h) builds them.
#pragma once

#include "kernels/activation.h"
#include "kernels/core/shape.h"

#include <string>
#include <vector>

namespace ganmm::nn {

enum class LayerKind {
  dense,       // z = x W + b on the flattened item; output {units}, or `output` if that is set
  conv,        // 2-D convolution, SAME padding
  deconv,      // transposed convolution: the adjoint of a SAME convolution from `output` size
  batch_norm,  // statistics of the batch, always
  layer_norm,  // statistics of the item
  crop,        // first rows and columns, to the size of `output`
};

// Every layer is a map followed by an activation: z = map(x), y = phi(z).
struct LayerSpec {
  LayerKind kind = LayerKind::dense;
  Shape output = {};  // dense: {units} or an image shape of as many units; conv: {0, 0, channels};
                      // deconv, crop: {h, w, channels}; norms: empty, or another shape
                      // under which the next layer reads the same elements
  kernels::Activation activation = {};
  Index kernel = 5;  // conv, deconv
  Index stride = 2;  // conv, deconv
  bool bias = true;  // dense, conv, deconv
  // deconv: size of the image whose SAME padding is used, when the output is a crop of it
  // (28x28 nets: 4x4 -> 8x8, of which 7x7 is kept). Empty: the output itself.
  Shape padded_as = {};
};

struct NetworkSpec {
  std::string name;  // prefix of its tensors' names
  Shape input;
  std::vector<LayerSpec> layers;
};

}  // namespace ganmm::nn
