// cuBLAS, loaded with the first context on a CUDA device. It brings its large tables of kernels
// with it, some 150 MB of address space and 0.1 s, which a program that computes on the CPU does
// not pay.
#pragma once

#include <cublas_v2.h>

#include <string>

#define GANMM_FOR_EACH_CUBLAS_FUNCTION(X)                                                          \
  X(cublasCreate_v2)                                                                               \
  X(cublasDestroy_v2)                                                                              \
  X(cublasSetStream_v2)                                                                            \
  X(cublasSetWorkspace_v2)                                                                         \
  X(cublasSetMathMode)                                                                             \
  X(cublasGetProperty)                                                                             \
  X(cublasGetStatusName)                                                                           \
  X(cublasGetStatusString)                                                                         \
  X(cublasGemmStridedBatchedEx_64)

namespace ganmm::kernels::cuda {

struct CublasLibrary {
#define GANMM_DECLARE(function) decltype(&::function) function = nullptr;
  GANMM_FOR_EACH_CUBLAS_FUNCTION(GANMM_DECLARE)
#undef GANMM_DECLARE
  std::string missing;  // why it cannot be used and what to do; empty when it can
};

// Loaded by the first call.
const CublasLibrary& find_cublas();  // `missing` may say why there is none
const CublasLibrary& cublas();       // throws UnsupportedError instead

}  // namespace ganmm::kernels::cuda
