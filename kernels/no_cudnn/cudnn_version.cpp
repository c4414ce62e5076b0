#include "kernels/cuda/cudnn_version.h"

namespace ganmm::kernels::cuda {

std::string cudnn_version() { return {}; }
std::string cudnn_missing_reason(const char*) { return "not built in (GANMM_CUDNN)"; }

}  // namespace ganmm::kernels::cuda
