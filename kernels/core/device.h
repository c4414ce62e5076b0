// Names of the places where work can run. A Device is a value; it owns nothing.
#pragma once

#include <string>
#include <vector>

namespace ganmm {

enum class DeviceKind { cpu, cuda };

struct Device {
  DeviceKind kind = DeviceKind::cpu;
  int index = 0;

  bool operator==(const Device&) const = default;
};

std::string to_string(Device device);  // "cpu", "cuda:0"

// The widest vector instructions that the CPU backend uses here: "baseline", "AVX2" or "AVX-512".
std::string cpu_instruction_set();

// What one CUDA device says of itself.
struct DeviceProperties {
  std::string name;
  int compute_major = 0;
  int compute_minor = 0;
  int multiprocessors = 0;
  std::size_t memory_bytes = 0;
};

// The CUDA side as this build and this machine have it. "None" is an answer, not an error:
// `devices` is empty and `reason` says why (not built, no driver, driver too old, no device).
struct CudaStatus {
  bool built = false;
  std::vector<DeviceProperties> devices;
  std::string reason;
  std::string runtime_version;  // "13.0"; empty when not built
  std::string driver_version;   // empty when there is no driver
  std::string cublas_version;   // empty when it cannot be loaded
  std::string cublas_reason;    // why
  std::string cudnn_version;    // empty when there is no cuDNN
  std::string cudnn_reason;     // why there is none: not built in, or not found at run time
  std::string architectures;    // those with code in this binary
};

CudaStatus cuda_status();
bool cuda_available();  // at least one device answers

}  // namespace ganmm
