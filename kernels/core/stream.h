// The order of work on a Context and the time it takes.
//
// An Event marks a place in a Context's work; a Stream is that work's order. On the CPU work is
// done when the call returns, so there an event is the time of day and waiting for it is nothing.
#pragma once

#include "kernels/core/backend.h"

#include <chrono>
#include <memory>

namespace ganmm {

class Context;

class Event {
 public:
  // Marks what was handed to this context so far; may be called again, for the same context or
  // another one. The others throw ShapeError before the first call.
  void record(Context& ctx);
  void synchronize() const;  // waits until the marked work is done
  // Milliseconds from `start` to this event. Waits for both. Throws ShapeError when the two were
  // recorded on different devices, whose clocks differ.
  double elapsed_ms_since(const Event& start) const;

 private:
  friend class Stream;
  void require_recorded(const char* attempt) const;

  bool recorded_ = false;
  Device device_;
  std::chrono::steady_clock::time_point time_;  // CPU only
  std::unique_ptr<BackendEvent> event_;         // CUDA only
};

// The order in which a Context's work runs. The context owns it.
class Stream {
 public:
  void synchronize();  // waits until all work handed to the context is done
  // Work handed to the context from now on runs after what the event marks, on whatever device.
  // Between streams of CUDA devices the host does not wait.
  void wait(const Event& event);

 private:
  friend class Context;
  BackendState* state_ = nullptr;  // CUDA only
};

}  // namespace ganmm
