// Turns failures of the CUDA libraries into exceptions that name the call, the place and the cause.
//
// Throws  OutOfMemoryError where the device has no memory left, UnsupportedError where no driver or
//         no device is usable, otherwise CudaError or CublasError.
// The runtime's error state is cleared, so that the next call does not report this failure again.
// Where the device context itself is lost the message says that the process must be restarted.
#pragma once

#include <cublas_v2.h>
#include <cuda_runtime_api.h>

#include <cstddef>
#include <string>
#include <string_view>

#define GANMM_CHECK_CUDA(call) ::ganmm::kernels::cuda::check_cuda((call), #call, __FILE__, __LINE__)
#define GANMM_CHECK_CUBLAS(call)                                                                   \
  ::ganmm::kernels::cuda::check_cublas((call), #call, __FILE__, __LINE__)

// For destructors, which have nobody to tell: a device that fails here fails the next checked call.
#define GANMM_CHECK_CUDA_NOEXCEPT(call) ::ganmm::kernels::cuda::ignore_failure(call)
#define GANMM_CHECK_CUBLAS_NOEXCEPT(call) ::ganmm::kernels::cuda::ignore_failure(call)

namespace ganmm::kernels::cuda {

// "kernels/cuda/gemm.cpp:40", whatever folder the project was built in.
std::string place(std::string_view file, int line);

[[noreturn]] void throw_cuda_error(cudaError_t error, const std::string& call, const char* file,
                                   int line);
[[noreturn]] void throw_cublas_error(cublasStatus_t status, const char* call, const char* file,
                                     int line);
// requested_bytes = 0: not known, a library allocated.
[[noreturn]] void throw_out_of_memory(std::size_t requested_bytes, const std::string& attempt);

inline void check_cuda(cudaError_t error, const char* call, const char* file, int line) {
  if (error != cudaSuccess) throw_cuda_error(error, call, file, line);
}
inline void check_cublas(cublasStatus_t status, const char* call, const char* file, int line) {
  if (status != CUBLAS_STATUS_SUCCESS) throw_cublas_error(status, call, file, line);
}

inline void ignore_failure(cudaError_t error) noexcept {
  if (error != cudaSuccess) static_cast<void>(cudaGetLastError());
}
inline void ignore_failure(cublasStatus_t status) noexcept {
  if (status != CUBLAS_STATUS_SUCCESS) static_cast<void>(cudaGetLastError());
}

}  // namespace ganmm::kernels::cuda
