// Internal: what each backend provides for the core (memory, streams). Signatures are identical;
// a build without CUDA links kernels/no_cuda/ instead, whose functions throw UnsupportedError.
// The op families declare theirs in kernels/backend.h.
#pragma once

#include "kernels/core/device.h"
#include "kernels/core/math_mode.h"

#include <cstddef>
#include <functional>
#include <memory>

namespace ganmm {

// What a Context holds for its backend: streams and library handles. Defined by the backend.
class BackendState {
 public:
  virtual ~BackendState() = default;
  virtual void synchronize() = 0;
};

// Work recorded once. Defined by the backend.
class BackendGraph {
 public:
  virtual ~BackendGraph() = default;
};

// What an Event holds for its backend: a mark in a stream. Defined by the backend.
class BackendEvent {
 public:
  virtual ~BackendEvent() = default;
  virtual void synchronize() = 0;
};

namespace kernels::cpu {
enum class Isa;  // kernels/cpu/isa.h
Isa best_isa();
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
std::unique_ptr<BackendEvent> make_event(BackendState& state);   // on the state's device
void record(BackendEvent& event, BackendState& state);           // of the same device
void wait(BackendState& state, BackendEvent& event);             // the stream does, not the host
double elapsed_ms(BackendEvent& start, BackendEvent& end);       // waits for both
// Records what `work` hands to the state's stream, and to streams that wait for it, without running
// it. The states' devices do nothing meanwhile.
std::unique_ptr<BackendGraph> record_graph(BackendState& state, const std::function<void()>& work);
void replay(BackendGraph& graph, BackendState& state);
std::size_t graph_nodes(BackendGraph& graph);
std::size_t free_bytes(Device device);  // memory that can still be allocated
}  // namespace kernels::cuda

}  // namespace ganmm
