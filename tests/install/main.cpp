#include <kernels/core/device.h>

#include <iostream>

int main() {
  const ganmm::CudaStatus cuda = ganmm::cuda_status();
  std::cout << "CUDA built: " << cuda.built << ", devices: " << cuda.devices.size() << '\n';
}
