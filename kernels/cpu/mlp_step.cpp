#include "kernels/mlp_step.h"

#include "kernels/backend.h"

namespace ganmm::kernels::cpu {

std::string mlp_step_refusal(const MlpStepSettings&) { return "not written for the CPU yet"; }
void mlp_step(Context&, const ParamSlabs<float>&, const ParamSlabs<float>&, const MlpStepBatches&,
              const MlpStepLosses&, const RandomKey&, Index, const MlpStepSettings&) {}
Index mlp_step_workspace(const MlpStepSettings&) { return 0; }

}  // namespace ganmm::kernels::cpu
