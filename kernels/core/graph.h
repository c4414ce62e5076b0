// Work that is handed over again and again: one CUDA graph per EM iteration instead of one launch
// per kernel. On the CPU the work itself is called every time.
//
// What changes from run to run must be read from device memory (kernels/clock.h). The work may not
// wait for the device, copy to or from the host, or allocate.
#pragma once

#include "kernels/core/context.h"

#include <functional>
#include <memory>

namespace ganmm {

class Graph {
 public:
  // Runs `work`, ordered on the context's stream. The first time it is called, so that libraries
  // load their kernels; the second time it is recorded, with what it hands to `ctx` and to contexts
  // that are made to wait for it (Event, Stream::wait) and that it waits for again before it ends;
  // from then on the record is replayed and `work` is not looked at.
  // With a meter on the context the work runs directly every time.
  void run(Context& ctx, const std::function<void()>& work);
  void clear();  // the next run is a first one: other work follows

  bool recorded() const { return graph_ != nullptr; }
  std::size_t nodes() const;  // kernels, copies and memsets of one run; 0 before it is recorded

 private:
  bool called_ = false;
  std::unique_ptr<BackendGraph> graph_;
};

}  // namespace ganmm
