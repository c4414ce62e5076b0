// What the ops on whole chains of dense layers ask of them.
#pragma once

#include "kernels/core/error.h"
#include "kernels/mlp_step.h"

#include <algorithm>
#include <string>

namespace ganmm::kernels {

// What is wrong with a network on every device; empty when nothing is.
inline std::string mlp_refusal(const char* name, const Mlp& net) {
  if (net.layers < 1 || net.layers > kMlpMaxLayers) {
    return message("the ", name, " has ", net.layers, " layers, expected 1 to ", kMlpMaxLayers);
  }
  for (int l = 0; l < net.layers; ++l) {
    const Index widest = std::max(net.in(l), net.width[l]);
    if (std::min(net.in(l), net.width[l]) < 1 || widest > kMlpMaxWidth) {
      return message("layer ", l, " of the ", name, " is ", net.in(l), " x ", net.width[l],
                     ", expected widths of 1 to ", kMlpMaxWidth);
    }
  }
  if (!net.activation[net.layers - 1].identity()) {
    return message("the last layer of the ", name, " is not linear");
  }
  return {};
}

inline void check_mlp_slabs(const char* op, const char* name, const Mlp& net,
                            const ParamSlabs<float>& slabs, OptimizerKind optimizer) {
  const auto tensors = static_cast<std::size_t>(2 * net.layers);
  require<ShapeError>(slabs.slots != nullptr && slabs.slots->size() == tensors, op, ": expected ",
                      tensors, " tensors of the ", name, ", a weight and a bias per layer, found ",
                      slabs.slots == nullptr ? 0 : slabs.slots->size());
  for (std::size_t t = 0; t < tensors; ++t) {
    const auto layer = static_cast<int>(t / 2);
    const Index count = net.width[layer] * (t % 2 == 0 ? net.in(layer) : 1);
    require<ShapeError>((*slabs.slots)[t].count == count, op, ": expected ", count,
                        " elements in tensor ", t, " of the ", name, ", found ",
                        (*slabs.slots)[t].count);
  }
  require<ShapeError>(slabs.value != nullptr && slabs.grad != nullptr && slabs.state1 != nullptr &&
                          slabs.step != nullptr &&
                          (optimizer == OptimizerKind::rmsprop || slabs.state2 != nullptr),
                      op, ": expected value, gradient, state and step slabs of the ", name,
                      ", found a null one; plan the store with optimiser state");
}

inline NetworkMacs macs_of(const Mlp& net) {
  NetworkMacs macs;
  for (int l = 0; l < net.layers; ++l) {
    macs.all += static_cast<double>(net.in(l)*net.width[l]);
  }
  macs.first = static_cast<double>(net.in(0) * net.width[0]);
  return macs;
}

}  // namespace ganmm::kernels
