// What a Context holds on a CUDA device: one stream and one cuBLAS handle bound to it.
#pragma once

#include "kernels/core/backend.h"
#include "kernels/core/context.h"

#include <cublas_v2.h>
#include <cuda_runtime_api.h>

#include <memory>
#include <new>

namespace ganmm::kernels::cuda {

// Makes a device the current one of the calling thread for a scope. An application that embeds the
// library finds its own choice unchanged.
class DeviceGuard {
 public:
  explicit DeviceGuard(int device);                  // throws CudaError, UnsupportedError
  DeviceGuard(int device, std::nothrow_t) noexcept;  // for destructors
  ~DeviceGuard();
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;

 private:
  int device_;
  int previous_ = 0;
};

struct DestroyStream {
  void operator()(cudaStream_t stream) const noexcept;
};
struct DestroyCublas {
  void operator()(cublasHandle_t handle) const noexcept;
};
struct FreeMemory {
  void operator()(void* memory) const noexcept;
};

// What a part of the backend that is not always built keeps with a context.
class LibraryState {
 public:
  virtual ~LibraryState() = default;
};

class CudaState final : public BackendState {
 public:
  CudaState(int device, MathMode math);
  ~CudaState() override;

  void synchronize() override;

  int device() const { return device_; }
  int multiprocessors() const { return multiprocessors_; }
  cudaStream_t stream() const { return stream_.get(); }
  cublasHandle_t cublas() const { return cublas_.get(); }
  // Of kernels/cuda/conv_library.cpp; empty until it is used.
  std::unique_ptr<LibraryState>& library() { return library_; }

 private:
  int device_;
  int multiprocessors_ = 0;
  std::unique_ptr<CUstream_st, DestroyStream> stream_;
  std::unique_ptr<void, FreeMemory> workspace_;  // of cuBLAS
  std::unique_ptr<cublasContext, DestroyCublas> cublas_;
  std::unique_ptr<LibraryState> library_;
};

inline CudaState& cuda_state(BackendState& state) { return static_cast<CudaState&>(state); }
inline CudaState& cuda_state(const Context& ctx) { return cuda_state(ctx.backend()); }

}  // namespace ganmm::kernels::cuda
