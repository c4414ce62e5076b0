#include "kernels/core/lanes.h"

#include <atomic>
#include <exception>
#include <mutex>

#if GANMM_HAVE_OPENMP
#include <omp.h>
#endif

namespace ganmm {

int hardware_threads() {
#if GANMM_HAVE_OPENMP
  return omp_get_num_procs();
#else
  return 1;
#endif
}

Lanes::Lanes(Device device, MathMode math, int threads, ConvPath conv_path) {
  require<ConfigError>(threads >= 0, "threads: expected 0 (all) or more, found ", threads);
  int count = threads == 0 ? hardware_threads() : threads;
#if !GANMM_HAVE_OPENMP
  count = 1;
#endif
  if (device.kind == DeviceKind::cuda) count = 1;
  for (int lane = 0; lane < count; ++lane) {
    contexts_.push_back(std::make_unique<Context>(device, math));
    contexts_.back()->set_conv_path(conv_path);
  }
}

void Lanes::for_each(Index tasks, const std::function<void(int, Index)>& body) {
  std::atomic<Index> next{0};
  std::exception_ptr first_error;
  std::mutex error_mutex;
  const auto work = [&](int lane) {
    try {
      for (Index task = next++; task < tasks; task = next++) body(lane, task);
    } catch (...) {
      next = tasks;
      const std::scoped_lock lock(error_mutex);
      if (!first_error) first_error = std::current_exception();
    }
  };
#if GANMM_HAVE_OPENMP
  const int threads = tasks > 1 ? count() : 1;  // one task does not wait for idle threads
#pragma omp parallel num_threads(threads)
  {
    // Libraries called from a lane (oneDNN) ask OpenMP how many threads they may use; one, or sums
    // would be split differently for different lane counts.
    const int before = omp_get_max_threads();
    omp_set_num_threads(1);
    work(omp_get_thread_num());
    omp_set_num_threads(before);
  }
#else
  work(0);
#endif
  if (first_error) std::rethrow_exception(first_error);
}

void Lanes::plan_scratch() {
  for (auto& context : contexts_) context->scratch().replan();
}

void Lanes::reserve_scratch() {
  for (auto& context : contexts_) context->scratch().reserve();
}

Index Lanes::scratch_bytes() const {
  Index bytes = 0;
  for (const auto& context : contexts_) bytes += context->scratch().bytes();
  return bytes;
}

}  // namespace ganmm
