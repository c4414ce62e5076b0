#include "kernels/core/lanes.h"

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif

namespace ganmm {

namespace {

// Some 20 us, about the serial work between two rounds of an EM iteration; after that a thread
// gives its core away. Two lanes on two cores with some ten other runnable threads, 250 iterations
// of 16 x 7 small GANs, means of five interleaved runs: 5.7 s of CPU time, between OpenMP's
// barriers 9.9 s; no spins at all 5.7 s, 10000 spins 5.9 s. On an idle machine the difference to
// OpenMP is within the scatter of the few runs made, and the best number of spins there is not
// established.
constexpr int kSpins = 2000;

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Returns when `value` is not `old` any more.
template <class T>
void await_change(const std::atomic<T>& value, T old) {
  for (int spin = 0; spin < kSpins; ++spin) {
    if (value.load(std::memory_order_acquire) != old) return;
    relax();
  }
  value.wait(old, std::memory_order_acquire);
}

}  // namespace

int hardware_threads() {
#if defined(__linux__)
  cpu_set_t allowed;  // what a container or taskset leaves to this process
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) return CPU_COUNT(&allowed);
#endif
  const unsigned count = std::thread::hardware_concurrency();
  return count == 0 ? 1 : static_cast<int>(count);
}

// The threads of all lanes but the first, which is the caller's.
class Lanes::Team {
 public:
  explicit Team(int lanes) {
    try {
      for (int lane = 1; lane < lanes; ++lane) {
        threads_.emplace_back([this, lane] { serve(lane); });
      }
    } catch (...) {
      dismiss();
      throw;
    }
  }
  ~Team() { dismiss(); }
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  // Calls work(lane) on every lane, which must not throw; returns when all have returned.
  void run(const std::function<void(int)>& work) {
    work_ = &work;
    busy_.store(static_cast<int>(threads_.size()), std::memory_order_relaxed);
    start_round();
    work(0);
    for (int busy = busy_; busy != 0; busy = busy_) await_change(busy_, busy);
  }

 private:
  void start_round() {
    round_.fetch_add(1, std::memory_order_release);
    round_.notify_all();
  }

  void serve(int lane) {
    // No round starts before every lane has finished the one before it, so none is missed.
    for (std::uint32_t round = 0;; ++round) {
      await_change(round_, round);
      if (work_ == nullptr) return;
      (*work_)(lane);
      if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1) busy_.notify_one();
    }
  }

  void dismiss() {
    work_ = nullptr;
    start_round();
    for (std::thread& thread : threads_) thread.join();
  }

  std::vector<std::thread> threads_;
  const std::function<void(int)>* work_ = nullptr;  // null: the end
  std::atomic<std::uint32_t> round_{0};
  std::atomic<int> busy_{0};
};

Lanes::Lanes(Device device, MathMode math, int threads, ConvPath conv_path) {
  require<ConfigError>(threads >= 0 && threads <= 4096,
                       "threads: expected 1 to 4096, or 0 (all), found ", threads);
  int count = threads == 0 ? hardware_threads() : threads;
  if (device.kind == DeviceKind::cuda) count = 1;
  for (int lane = 0; lane < count; ++lane) {
    contexts_.push_back(std::make_unique<Context>(device, math));
    contexts_.back()->set_conv_path(conv_path);
  }
  team_ = std::make_unique<Team>(count);
}

Lanes::~Lanes() = default;

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
  if (tasks > 1) {
    team_->run(work);
  } else {
    work(0);
  }
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
