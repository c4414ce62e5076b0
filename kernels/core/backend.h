// Internal: what each backend provides for the core (memory, streams). Signatures are identical;
// a build without CUDA links kernels/no_cuda/ instead, whose functions throw UnsupportedError.
// The op families declare theirs in kernels/backend.h.
#pragma once

#include "kernels/core/device.h"
#include "kernels/core/math_mode.h"

#include <cstddef>
#include <memory>

namespace ganmm {

// What a Context holds for its backend: streams and library handles. Defined by the backend.
class BackendState {
 public:
  virtual ~BackendState() = default;
  virtual void synchronize() = 0;
};

namespace kernels::cpu {
void* allocate(std::size_t bytes);  // 256-byte aligned, not cleared; throws OutOfMemoryError
void release(void* memory) noexcept;
}  // namespace kernels::cpu

namespace kernels::cuda {
CudaStatus status();
std::unique_ptr<BackendState> make_state(Device device, MathMode math);
void* allocate(Device device, std::size_t bytes);
void release(Device device, void* memory) noexcept;
// Ordered on the state's stream; to_host returns when the copy has arrived.
void copy_to_device(BackendState& state, void* target, const void* source, std::size_t bytes);
void copy_to_host(BackendState& state, void* target, const void* source, std::size_t bytes);
void copy_on_device(BackendState& state, void* target, const void* source, std::size_t bytes);
void clear(BackendState& state, void* target, std::size_t bytes);
void clear_now(Device device, void* target, std::size_t bytes);  // waits until it is done
}  // namespace kernels::cuda

}  // namespace ganmm
