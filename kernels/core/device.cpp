#include "kernels/core/device.h"

#include "kernels/core/backend.h"

namespace ganmm {

std::string to_string(Device device) {
  return device.kind == DeviceKind::cpu ? "cpu" : "cuda:" + std::to_string(device.index);
}

CudaStatus cuda_status() { return kernels::cuda::status(); }

bool cuda_available() { return !cuda_status().devices.empty(); }

}  // namespace ganmm
