#include "kernels/cuda/cudnn_version.h"

namespace ganmm::kernels::cuda {

std::string cudnn_version() { return {}; }

}  // namespace ganmm::kernels::cuda
