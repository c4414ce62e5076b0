// Work that is recorded once and run many times: one CUDA graph per EM iteration instead of one
// launch per kernel. On the CPU the work itself is kept and called again.
//
// What changes from run to run must be read from device memory (kernels/clock.h). While recording,
// nothing may wait for the device, copy to or from the host, or allocate.
#pragma once

#include "kernels/core/context.h"

#include <functional>
#include <memory>

namespace ganmm {

class Graph {
 public:
  // Records what `work` hands to `ctx` and to contexts that are made to wait for it (Event,
  // Stream::wait) and that it waits for again before it ends. Does not run it. Replaces what was
  // recorded before. `work` must stay callable until the last run on the CPU.
  void record(Context& ctx, std::function<void()> work);
  bool recorded() const { return work_ != nullptr || graph_ != nullptr; }
  void clear();

  // Runs what was recorded, ordered on the context's stream. Throws ShapeError before `record`.
  void run(Context& ctx);

  // Kernels, copies and memsets of one run; 0 on the CPU, where they are not counted.
  std::size_t nodes() const;

 private:
  std::function<void()> work_;           // CPU
  std::unique_ptr<BackendGraph> graph_;  // CUDA
};

}  // namespace ganmm
