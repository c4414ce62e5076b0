#include "kernels/cuda/status.h"

#include "kernels/core/backend.h"
#include "kernels/core/error.h"
#include "kernels/cuda/cublas_library.h"
#include "kernels/cuda/cudnn_version.h"

namespace ganmm::kernels::cuda {

namespace {

std::string version_text(int version) {  // 13020 -> "13.2"
  return message(version / 1000, ".", version % 1000 / 10);
}

int runtime_version() {
  int version = 0;
  if (cudaRuntimeGetVersion(&version) != cudaSuccess) static_cast<void>(cudaGetLastError());
  return version;
}

int driver_version() {  // 0: no driver
  int version = 0;
  if (cudaDriverGetVersion(&version) != cudaSuccess) static_cast<void>(cudaGetLastError());
  return version;
}

std::string cublas_version() {
  int major = 0;
  int minor = 0;
  int patch = 0;
  const CublasLibrary& library = find_cublas();
  if (!library.missing.empty()) return {};
  if (library.cublasGetProperty(MAJOR_VERSION, &major) != CUBLAS_STATUS_SUCCESS ||
      library.cublasGetProperty(MINOR_VERSION, &minor) != CUBLAS_STATUS_SUCCESS ||
      library.cublasGetProperty(PATCH_LEVEL, &patch) != CUBLAS_STATUS_SUCCESS) {
    return "unknown";
  }
  return message(major, ".", minor, ".", patch);
}

DeviceProperties properties_of(const cudaDeviceProp& properties) {
  DeviceProperties result;
  result.name = properties.name;
  result.compute_major = properties.major;
  result.compute_minor = properties.minor;
  result.multiprocessors = properties.multiProcessorCount;
  result.memory_bytes = properties.totalGlobalMem;
  return result;
}

}  // namespace

std::string unavailable_reason(cudaError_t error) {
  const int driver = driver_version();
  if (driver == 0) {
    return "no NVIDIA driver was found; install one (nvidia-smi must run), in a container start it "
           "with the GPU passed in, or choose the CPU backend";
  }
  if (error == cudaErrorInsufficientDriver) {
    return message("the NVIDIA driver serves CUDA ", version_text(driver),
                   ", this build was made with ", version_text(runtime_version()),
                   "; update the driver, build with an older CUDA Toolkit, or choose the CPU "
                   "backend");
  }
  if (error == cudaErrorNoDevice) {
    return "the NVIDIA driver sees no device; check nvidia-smi and CUDA_VISIBLE_DEVICES, or choose "
           "the CPU backend";
  }
  return message("the NVIDIA driver did not start: ", cudaGetErrorName(error), ", ",
                 cudaGetErrorString(error), "; check nvidia-smi, or choose the CPU backend");
}

std::string built_architectures() { return GANMM_CUDA_ARCHITECTURES; }

CudaStatus status() {
  CudaStatus result;
  result.built = true;
  result.runtime_version = version_text(runtime_version());
  if (const int driver = driver_version(); driver != 0) {
    result.driver_version = version_text(driver);
  }
  result.cublas_version = cublas_version();
  result.cublas_reason = find_cublas().missing;
  result.cudnn_version = cudnn_version();
  result.cudnn_reason = cudnn_missing_reason();
  result.architectures = built_architectures();

  int count = 0;
  cudaError_t error = cudaGetDeviceCount(&count);
  for (int index = 0; error == cudaSuccess && index < count; ++index) {
    cudaDeviceProp properties{};
    error = cudaGetDeviceProperties(&properties, index);
    if (error == cudaSuccess) result.devices.push_back(properties_of(properties));
  }
  if (error != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    result.devices.clear();  // indices must agree with the runtime's
    result.reason = unavailable_reason(error);
  } else if (count == 0) {
    result.reason = unavailable_reason(cudaErrorNoDevice);
  }
  return result;
}

}  // namespace ganmm::kernels::cuda
