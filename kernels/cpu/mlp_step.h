// mlp_step with the loops of an instruction set of choice, for tests.
#pragma once

#include "kernels/cpu/mlp_step_loops.h"
#include "kernels/mlp_step.h"

namespace ganmm::kernels::cpu {

void mlp_step_with(const MlpStepLoops& loops, Context& ctx, const ParamSlabs<float>& generator,
                   const ParamSlabs<float>& critic, const MlpStepBatches& batches,
                   const MlpStepLosses& losses, const RandomKey& key, Index steps,
                   const MlpStepSettings& settings);

}  // namespace ganmm::kernels::cpu
