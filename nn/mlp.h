// Networks that are plain chains of dense layers, for the ops that run a whole one
// (kernels/mlp_step.h).
#pragma once

#include "kernels/mlp_step.h"
#include "nn/network_spec.h"

#include <string>

namespace ganmm::nn {

// Describes `spec` in `mlp`. Returns why it is not such a chain; empty when it is.
std::string describe_mlp(const NetworkSpec& spec, kernels::Mlp& mlp);

}  // namespace ganmm::nn
