#include "tests/host_device/block.h"

#include "kernels/core/error.h"

#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <exception>
#include <memory>
#include <numeric>
#include <random>
#include <unordered_map>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define GANMM_ASAN 1
#else
#define GANMM_ASAN 0
#endif

namespace ganmm::host_device {
namespace {

constexpr std::size_t kStackBytes = std::size_t{256} << 10;
constexpr int kWarpSize = 32;
constexpr unsigned char kPoison = 0xff;  // NaN as a float, -1 as an integer

enum class Wait { none, warp, block };

// A stack on which threads run one after the other until one of them has to wait.
struct Fibre {
  ucontext_t context{};
  void* stack = nullptr;
  int thread = -1;
  Wait wait = Wait::none;
  void* fake_stack = nullptr;  // of the address sanitizer
  Fibre() {
    stack = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack == MAP_FAILED) throw std::bad_alloc();
  }
  ~Fibre() { munmap(stack, kStackBytes); }
  Fibre(const Fibre&) = delete;
  Fibre& operator=(const Fibre&) = delete;
};

struct Copy {
  void* target;
  const void* source;  // or null for zeros
  std::size_t bytes;

  void run() const {
    source != nullptr ? std::memcpy(target, source, bytes) : std::memset(target, 0, bytes);
  }
};

// The copies of one thread that have not happened yet; the last group is open.
using CopyGroups = std::deque<std::vector<Copy>>;

struct Runner {
  const std::function<void()>* body = nullptr;
  Block block;
  Thread now;
  ucontext_t scheduler{};
  void* scheduler_fake_stack = nullptr;
  const void* scheduler_stack = nullptr;
  std::size_t scheduler_stack_bytes = 0;
  std::vector<std::unique_ptr<Fibre>> pool;  // grows to the number of waiting threads
  std::vector<Fibre*> idle, waiting;
  Fibre* running = nullptr;
  std::vector<int> order;  // threads of the block, not yet started from `next` on
  std::size_t next = 0;
  std::vector<int> warp_live, warp_waiting;
  int live = 0, block_waiting = 0;
  std::exception_ptr failure;
  std::unordered_map<const void*, std::unique_ptr<unsigned char[]>> shared;
  std::unordered_map<const void*, std::size_t> shared_bytes;
  std::vector<unsigned char> slots, dynamic;
  std::vector<CopyGroups> copies;  // per thread
  std::mt19937_64 random{1};
};

thread_local Runner runner;

void switch_to_scheduler(Fibre& fibre, bool last) {
#if GANMM_ASAN
  __sanitizer_start_switch_fiber(last ? nullptr : &fibre.fake_stack, runner.scheduler_stack,
                                 runner.scheduler_stack_bytes);
#else
  (void)last;
#endif
  swapcontext(&fibre.context, &runner.scheduler);
#if GANMM_ASAN
  __sanitizer_finish_switch_fiber(fibre.fake_stack, &runner.scheduler_stack,
                                  &runner.scheduler_stack_bytes);
#endif
}

void resume(Fibre& fibre) {
  runner.running = &fibre;
  runner.now.thread = fibre.thread;
#if GANMM_ASAN
  __sanitizer_start_switch_fiber(&runner.scheduler_fake_stack, fibre.stack, kStackBytes);
#endif
  swapcontext(&runner.scheduler, &fibre.context);
#if GANMM_ASAN
  __sanitizer_finish_switch_fiber(runner.scheduler_fake_stack, nullptr, nullptr);
#endif
}

// Runs threads that have not started yet, until one of them waits; then this stack belongs to it
// and the scheduler goes on with another.
void fibre_main() {
#if GANMM_ASAN
  __sanitizer_finish_switch_fiber(nullptr, &runner.scheduler_stack, &runner.scheduler_stack_bytes);
#endif
  Fibre& self = *runner.running;
  for (;;) {
    while (runner.next < runner.order.size() && runner.failure == nullptr) {
      self.thread = runner.order[runner.next++];
      runner.now.thread = self.thread;
      try {
        (*runner.body)();
      } catch (...) {
        if (runner.failure == nullptr) runner.failure = std::current_exception();
      }
      --runner.live;
      --runner.warp_live[static_cast<std::size_t>(self.thread / kWarpSize)];
      // After a wait others may be due first; leave the choice to the scheduler.
      if (self.wait != Wait::none) break;
    }
    self.wait = Wait::none;
    self.thread = -1;
    runner.idle.push_back(&self);
    switch_to_scheduler(self, false);
  }
}

void wait(Wait kind) {
  Fibre& self = *runner.running;
  self.wait = kind;
  runner.waiting.push_back(&self);
  if (kind == Wait::block) {
    ++runner.block_waiting;
  } else {
    ++runner.warp_waiting[static_cast<std::size_t>(self.thread / kWarpSize)];
  }
  switch_to_scheduler(self, false);
}

void prepare(Fibre& fibre) {
  getcontext(&fibre.context);
  fibre.context.uc_stack.ss_sp = fibre.stack;
  fibre.context.uc_stack.ss_size = kStackBytes;
  fibre.context.uc_link = nullptr;
  makecontext(&fibre.context, fibre_main, 0);
}

Fibre& take_fibre() {
  if (runner.idle.empty()) {
    runner.pool.push_back(std::make_unique<Fibre>());
    prepare(*runner.pool.back());
    return *runner.pool.back();
  }
  Fibre& fibre = *runner.idle.back();
  runner.idle.pop_back();
  return fibre;
}

// Removes from `waiting` those that `due` accepts and resumes them in shuffled order.
template <class Due>
void release(const Due& due) {
  std::vector<Fibre*> ready;
  std::erase_if(runner.waiting, [&](Fibre* fibre) {
    if (!due(*fibre)) return false;
    ready.push_back(fibre);
    return true;
  });
  std::shuffle(ready.begin(), ready.end(), runner.random);
  for (Fibre* fibre : ready) resume(*fibre);
}

void run_block(const char* name) {
  const auto threads = static_cast<std::size_t>(runner.block.threads);
  const std::size_t warps = (threads + kWarpSize - 1) / kWarpSize;
  runner.order.resize(threads);
  std::iota(runner.order.begin(), runner.order.end(), 0);
  std::shuffle(runner.order.begin(), runner.order.end(), runner.random);
  runner.next = 0;
  runner.live = runner.block.threads;
  runner.block_waiting = 0;
  runner.warp_live.assign(warps, kWarpSize);
  runner.warp_live.back() = runner.block.threads - static_cast<int>(warps - 1) * kWarpSize;
  runner.warp_waiting.assign(warps, 0);
  runner.slots.assign(warps * kWarpSize * kSlotBytes, kPoison);
  runner.copies.assign(threads, CopyGroups(1));
  std::fill(runner.dynamic.begin(), runner.dynamic.end(), kPoison);
  for (auto& [place, memory] : runner.shared) {
    std::fill_n(memory.get(), runner.shared_bytes[place], kPoison);
  }

  while (runner.live > 0 && runner.failure == nullptr) {
    if (runner.next < runner.order.size()) {
      resume(take_fibre());
      continue;
    }
    bool moved = false;
    for (std::size_t w = 0; w < warps; ++w) {
      if (runner.warp_waiting[w] == 0 || runner.warp_waiting[w] < runner.warp_live[w]) continue;
      moved = true;
      runner.warp_waiting[w] = 0;
      release([&](const Fibre& fibre) {
        return fibre.wait == Wait::warp && static_cast<std::size_t>(fibre.thread) / kWarpSize == w;
      });
    }
    if (!moved && runner.block_waiting > 0 && runner.block_waiting == runner.live) {
      moved = true;
      runner.block_waiting = 0;
      release([](const Fibre& fibre) { return fibre.wait == Wait::block; });
    }
    if (!moved && runner.live > 0) {
      runner.failure = std::make_exception_ptr(CudaError(message(
          "kernel ", name, ": the threads of a block do not meet at their barriers: ", runner.live,
          " running, ", runner.block_waiting, " wait for the block")));
    }
  }
  if (runner.failure != nullptr) {
    // Threads that still wait cannot be unwound; their stacks are given up.
    for (auto& fibre : runner.pool) (void)fibre.release();
    runner.pool.clear();
    runner.idle.clear();
    runner.waiting.clear();
    std::rethrow_exception(std::exchange(runner.failure, nullptr));
  }
}

}  // namespace

const Thread& current() { return runner.now; }

void block_barrier() { wait(Wait::block); }
void warp_barrier() { wait(Wait::warp); }

void* warp_slot(int lane) {
  const auto warp = static_cast<std::size_t>(runner.now.thread / kWarpSize);
  return runner.slots.data() + (warp * kWarpSize + static_cast<std::size_t>(lane)) * kSlotBytes;
}

void async_copy(void* target, const void* source, bool valid, std::size_t bytes) {
  const auto misaligned = [&](const void* p) {
    return reinterpret_cast<std::uintptr_t>(p) % bytes != 0;
  };
  if (misaligned(target) || (valid && misaligned(source))) {
    throw CudaError(message("an asynchronous copy of ", bytes, " bytes that is not aligned"));
  }
  const Copy copy{target, valid ? source : nullptr, bytes};
  if (runner.random() % 2 == 0) {
    copy.run();
  } else {
    runner.copies[static_cast<std::size_t>(runner.now.thread)].back().push_back(copy);
  }
}

void async_commit() { runner.copies[static_cast<std::size_t>(runner.now.thread)].emplace_back(); }

void async_wait(int newest) {
  CopyGroups& groups = runner.copies[static_cast<std::size_t>(runner.now.thread)];
  while (groups.size() > static_cast<std::size_t>(newest) + 1) {
    for (const Copy& copy : groups.front()) copy.run();
    groups.pop_front();
  }
}

void* shared_array_of(const void* place, std::size_t bytes, std::size_t alignment) {
  (void)alignment;  // operator new[] aligns to 16, as much as a kernel may expect
  auto& memory = runner.shared[place];
  if (memory == nullptr) {
    memory.reset(new unsigned char[bytes]);
    std::fill_n(memory.get(), bytes, kPoison);
    runner.shared_bytes[place] = bytes;
  }
  return memory.get();
}

void set_order_seed(std::uint64_t seed) { runner.random.seed(seed); }

void run_grid(const char* name, const Grid& grid, const std::function<void()>& body) {
  runner.body = &body;
  runner.shared.clear();
  runner.shared_bytes.clear();
  // Exactly as large as asked for, so that the address sanitizer sees what lies outside.
  std::vector<unsigned char>(grid.shared_bytes).swap(runner.dynamic);
  runner.block = {0,
                  0,
                  0,
                  static_cast<int>(grid.x),
                  static_cast<int>(grid.y),
                  static_cast<int>(grid.z),
                  grid.threads,
                  runner.dynamic.data()};
  runner.now.block = &runner.block;
  std::vector<std::int64_t> blocks(static_cast<std::size_t>(grid.x * grid.y * grid.z));
  std::iota(blocks.begin(), blocks.end(), 0);
  std::shuffle(blocks.begin(), blocks.end(), runner.random);
  for (const std::int64_t b : blocks) {
    runner.block.x = static_cast<int>(b % grid.x);
    runner.block.y = static_cast<int>(b / grid.x % grid.y);
    runner.block.z = static_cast<int>(b / grid.x / grid.y);
    run_block(name);
  }
}

}  // namespace ganmm::host_device
