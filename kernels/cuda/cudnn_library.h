// cuDNN, loaded when it is first asked for: a program built with cuDNN starts and computes without
// it.
//
// cuDNN finds its other parts beside the one that is loaded here (kernels/cuda/dynamic_library.h):
// that is libcudnn_graph, the part with the graph interface, and not libcudnn, which only passes
// calls on and ends the process where that part is missing.
#pragma once

#include <cudnn_graph.h>

#include <string>

// Throws CudnnError, or OutOfMemoryError where cuDNN found no device memory.
#define GANMM_CHECK_CUDNN(call)                                                                    \
  ::ganmm::kernels::cuda::check_cudnn((call), #call, __FILE__, __LINE__)
#define GANMM_CHECK_CUDNN_NOEXCEPT(call) static_cast<void>(call)

#define GANMM_FOR_EACH_CUDNN_FUNCTION(X)                                                           \
  X(cudnnGetVersion)                                                                               \
  X(cudnnGetErrorString)                                                                           \
  X(cudnnGetLastErrorString)                                                                       \
  X(cudnnCreate)                                                                                   \
  X(cudnnDestroy)                                                                                  \
  X(cudnnSetStream)                                                                                \
  X(cudnnBackendCreateDescriptor)                                                                  \
  X(cudnnBackendDestroyDescriptor)                                                                 \
  X(cudnnBackendSetAttribute)                                                                      \
  X(cudnnBackendGetAttribute)                                                                      \
  X(cudnnBackendFinalize)                                                                          \
  X(cudnnBackendExecute)

namespace ganmm::kernels::cuda {

struct CudnnLibrary {
#define GANMM_DECLARE(function) decltype(&::function) function = nullptr;
  GANMM_FOR_EACH_CUDNN_FUNCTION(GANMM_DECLARE)
#undef GANMM_DECLARE
  std::string missing;  // why it cannot be used and what to do; empty when it can
};

// Loads the shared library of this name, for the rest of the process' life.
CudnnLibrary load_cudnn(const char* name);

// The one in use, loaded by the first call.
const CudnnLibrary& find_cudnn();  // `missing` may say why there is none
const CudnnLibrary& cudnn();       // throws UnsupportedError instead

[[noreturn]] void throw_cudnn_error(cudnnStatus_t status, const char* call, const char* file,
                                    int line);

inline void check_cudnn(cudnnStatus_t status, const char* call, const char* file, int line) {
  if (status != CUDNN_STATUS_SUCCESS) throw_cudnn_error(status, call, file, line);
}

}  // namespace ganmm::kernels::cuda
