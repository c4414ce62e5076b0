// Named ranges for a profiler (NVTX), in builds with GANMM_NVTX=ON; nothing otherwise. Every op
// opens one by its name, phases of training open theirs around them. A replayed graph shows none:
// profile the first iterations, which run directly (kernels/core/graph.h).
#pragma once

namespace ganmm {

#if GANMM_NVTX
class TraceRange {
 public:
  explicit TraceRange(const char* name);
  ~TraceRange();
  TraceRange(const TraceRange&) = delete;
  TraceRange& operator=(const TraceRange&) = delete;
};
#else
class TraceRange {
 public:
  explicit TraceRange(const char*) {}
};
#endif

}  // namespace ganmm
