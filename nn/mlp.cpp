#include "nn/mlp.h"

#include "kernels/core/error.h"

namespace ganmm::nn {

std::string describe_mlp(const NetworkSpec& spec, kernels::Mlp& mlp) {
  mlp = kernels::Mlp();
  if (spec.layers.size() > static_cast<std::size_t>(kernels::kMlpMaxLayers)) {
    return message("the ", spec.name, " has ", spec.layers.size(), " layers, expected at most ",
                   kernels::kMlpMaxLayers);
  }
  mlp.input = spec.input.count();
  for (const LayerSpec& layer : spec.layers) {
    if (layer.kind != LayerKind::dense || !layer.bias) {
      return message("layer ", mlp.layers, " of the ", spec.name, " is not dense with a bias");
    }
    mlp.width[mlp.layers] = layer.output.count();
    mlp.activation[mlp.layers] = layer.activation;
    ++mlp.layers;
  }
  return {};
}

}  // namespace ganmm::nn
