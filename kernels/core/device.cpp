#include "kernels/core/device.h"

#include "kernels/core/backend.h"

#include <array>

namespace ganmm {

std::string to_string(Device device) {
  return device.kind == DeviceKind::cpu ? "cpu" : "cuda:" + std::to_string(device.index);
}

std::string cpu_instruction_set() {
  constexpr std::array kNames{"baseline", "AVX2", "AVX-512"};  // in the order of kernels::cpu::Isa
  return kNames.at(static_cast<std::size_t>(kernels::cpu::best_isa()));
}

CudaStatus cuda_status() { return kernels::cuda::status(); }

bool cuda_available() { return !cuda_status().devices.empty(); }

}  // namespace ganmm
