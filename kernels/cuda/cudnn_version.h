// The cuDNN in use. kernels/no_cudnn/ stands in where the build has none.
#pragma once

#include <string>

namespace ganmm::kernels::cuda {

std::string cudnn_version();  // "9.19.0"; empty where there is none

// Why there is none under this name and what to do; empty where there is one.
inline constexpr const char* kCudnnName = "libcudnn_graph.so.9";
std::string cudnn_missing_reason(const char* name = kCudnnName);

}  // namespace ganmm::kernels::cuda
