// What the CUDA side of this process can say about itself.
#pragma once

#include <cuda_runtime_api.h>

#include <string>

namespace ganmm::kernels::cuda {

// Why no device can be used and what to do, for the error with which the runtime answered.
std::string unavailable_reason(cudaError_t error);

// The architectures with code in this binary, "75-real 90-virtual", as CMake was told.
std::string built_architectures();

}  // namespace ganmm::kernels::cuda
