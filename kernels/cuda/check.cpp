#include "kernels/cuda/check.h"

#include "kernels/core/error.h"
#include "kernels/cuda/cublas_library.h"
#include "kernels/cuda/status.h"

namespace ganmm::kernels::cuda {

namespace {

bool context_lost(cudaError_t error) {
  switch (error) {
  case cudaErrorECCUncorrectable:
  case cudaErrorIllegalAddress:
  case cudaErrorLaunchTimeout:
  case cudaErrorAssert:
  case cudaErrorHardwareStackError:
  case cudaErrorIllegalInstruction:
  case cudaErrorMisalignedAddress:
  case cudaErrorInvalidAddressSpace:
  case cudaErrorInvalidPc:
  case cudaErrorLaunchFailure: return true;
  default: return false;
  }
}

bool no_code_for_device(cudaError_t error) {
  return error == cudaErrorNoKernelImageForDevice || error == cudaErrorInvalidDeviceFunction ||
         error == cudaErrorUnsupportedPtxVersion;
}

bool no_device(cudaError_t error) {
  return error == cudaErrorInsufficientDriver || error == cudaErrorNoDevice;
}

// "sm_90", or "an unknown architecture" where the device no longer answers.
std::string current_architecture() {
  int device = 0;
  int major = 0;
  int minor = 0;
  if (cudaGetDevice(&device) != cudaSuccess ||
      cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) != cudaSuccess ||
      cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device) != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    return "an unknown architecture";
  }
  return message("sm_", major, minor);
}

}  // namespace

std::string place(std::string_view file, int line) {
  const auto start = file.rfind("kernels/");
  return message(start == std::string_view::npos ? file : file.substr(start), ":", line);
}

void throw_cuda_error(cudaError_t error, const std::string& call, const char* file, int line) {
  static_cast<void>(cudaGetLastError());
  const std::string attempt = message(call, " (", place(file, line), ")");
  if (error == cudaErrorMemoryAllocation) throw_out_of_memory(0, attempt);
  const std::string failure =
      message(attempt, " failed: ", cudaGetErrorName(error), ", ", cudaGetErrorString(error));
  if (no_device(error)) throw UnsupportedError(message(failure, "; ", unavailable_reason(error)));
  if (no_code_for_device(error)) {
    throw CudaError(message(failure, "; this binary has code for the architectures ",
                            built_architectures(), ", the device is ", current_architecture(),
                            "; configure with CMAKE_CUDA_ARCHITECTURES set to the device's "
                            "architecture, or update the NVIDIA driver if it is listed"));
  }
  if (context_lost(error)) {
    throw CudaError(message(failure, "; the work on this device is lost, restart the process "
                                     "(a build with GANMM_SYNC_LAUNCHES=ON names the kernel)"));
  }
  throw CudaError(failure);
}

void throw_cublas_error(cublasStatus_t status, const char* call, const char* file, int line) {
  static_cast<void>(cudaGetLastError());
  const std::string attempt = message(call, " (", place(file, line), ")");
  if (status == CUBLAS_STATUS_ALLOC_FAILED) throw_out_of_memory(0, attempt);
  const std::string failure =
      message(attempt, " failed: ", find_cublas().cublasGetStatusName(status), ", ",
              find_cublas().cublasGetStatusString(status));
  if (status == CUBLAS_STATUS_ARCH_MISMATCH) {
    throw CublasError(message(failure, "; the device is ", current_architecture(),
                              ", which this cuBLAS does not serve; build with a CUDA Toolkit that "
                              "supports the device, or choose the CPU backend"));
  }
  throw CublasError(failure);
}

void throw_out_of_memory(std::size_t requested_bytes, const std::string& attempt) {
  static_cast<void>(cudaGetLastError());
  std::size_t free_bytes = 0;
  std::size_t total_bytes = 0;
  const bool known = cudaMemGetInfo(&free_bytes, &total_bytes) == cudaSuccess;
  if (!known) static_cast<void>(cudaGetLastError());
  throw OutOfMemoryError(message(
      "device memory: ", attempt, ": ",
      requested_bytes == 0 ? std::string("an unknown number of") : std::to_string(requested_bytes),
      " bytes requested, ",
      known ? message(free_bytes, " of ", total_bytes, " free") : std::string("free bytes unknown"),
      "; use a smaller batch, fewer networks or fewer restarts, or free the device of other work"));
}

}  // namespace ganmm::kernels::cuda
