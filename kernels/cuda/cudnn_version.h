// The cuDNN in use. kernels/no_cudnn/ stands in where the build has none.
#pragma once

#include <string>

namespace ganmm::kernels::cuda {

std::string cudnn_version();  // "9.19.0"; empty in a build without cuDNN

}  // namespace ganmm::kernels::cuda
