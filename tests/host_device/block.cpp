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

enum class Wait { none, warp, block, cluster };

struct RunningBlock;

// A stack on which threads of a block run one after the other until one of them has to wait.
struct Fibre {
  ucontext_t context{};
  void* stack = nullptr;
  RunningBlock* block = nullptr;
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

// A block of the cluster that is being run.
struct RunningBlock {
  Block place;
  std::vector<Fibre*> waiting;
  std::vector<int> order;  // threads of the block, not yet started from `next` on
  std::size_t next = 0;
  std::vector<int> warp_live, warp_waiting;
  int live = 0, block_waiting = 0, cluster_waiting = 0;
  std::unordered_map<const void*, std::unique_ptr<unsigned char[]>> shared;
  std::unordered_map<const void*, std::size_t> shared_bytes;
  std::vector<unsigned char> slots, dynamic;
  std::vector<CopyGroups> copies;  // per thread
};

struct Runner {
  const std::function<void()>* body = nullptr;
  std::vector<std::unique_ptr<RunningBlock>> cluster;
  RunningBlock* active = nullptr;
  Thread now;
  ucontext_t scheduler{};
  void* scheduler_fake_stack = nullptr;
  const void* scheduler_stack = nullptr;
  std::size_t scheduler_stack_bytes = 0;
  std::vector<std::unique_ptr<Fibre>> pool;  // grows to the number of waiting threads
  std::vector<Fibre*> idle;
  Fibre* running = nullptr;
  std::exception_ptr failure;
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
  runner.active = fibre.block;
  runner.now = {&fibre.block->place, fibre.thread};
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
    RunningBlock& block = *self.block;
    while (block.next < block.order.size() && runner.failure == nullptr) {
      self.thread = block.order[block.next++];
      runner.now.thread = self.thread;
      try {
        (*runner.body)();
      } catch (...) {
        if (runner.failure == nullptr) runner.failure = std::current_exception();
      }
      --block.live;
      --block.warp_live[static_cast<std::size_t>(self.thread / kWarpSize)];
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
  RunningBlock& block = *self.block;
  self.wait = kind;
  block.waiting.push_back(&self);
  if (kind == Wait::block) {
    ++block.block_waiting;
  } else if (kind == Wait::cluster) {
    ++block.cluster_waiting;
  } else {
    ++block.warp_waiting[static_cast<std::size_t>(self.thread / kWarpSize)];
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

Fibre& take_fibre(RunningBlock& block) {
  if (runner.idle.empty()) {
    runner.pool.push_back(std::make_unique<Fibre>());
    prepare(*runner.pool.back());
    runner.idle.push_back(runner.pool.back().get());
  }
  Fibre& fibre = *runner.idle.back();
  runner.idle.pop_back();
  fibre.block = &block;
  return fibre;
}

// Removes from `waiting` those that `due` accepts and resumes them in shuffled order.
template <class Due>
void release(RunningBlock& block, const Due& due) {
  std::vector<Fibre*> ready;
  std::erase_if(block.waiting, [&](Fibre* fibre) {
    if (!due(*fibre)) return false;
    ready.push_back(fibre);
    return true;
  });
  std::shuffle(ready.begin(), ready.end(), runner.random);
  for (Fibre* fibre : ready) resume(*fibre);
}

void start_block(RunningBlock& block) {
  const auto threads = static_cast<std::size_t>(block.place.threads);
  const std::size_t warps = (threads + kWarpSize - 1) / kWarpSize;
  block.order.resize(threads);
  std::iota(block.order.begin(), block.order.end(), 0);
  std::shuffle(block.order.begin(), block.order.end(), runner.random);
  block.next = 0;
  block.live = block.place.threads;
  block.block_waiting = block.cluster_waiting = 0;
  block.warp_live.assign(warps, kWarpSize);
  block.warp_live.back() = block.place.threads - static_cast<int>(warps - 1) * kWarpSize;
  block.warp_waiting.assign(warps, 0);
  block.slots.assign(warps * kWarpSize * kSlotBytes, kPoison);
  block.copies.assign(threads, CopyGroups(1));
  std::fill(block.dynamic.begin(), block.dynamic.end(), kPoison);
  for (auto& [place, memory] : block.shared) {
    std::fill_n(memory.get(), block.shared_bytes[place], kPoison);
  }
}

// Runs a block as far as it gets alone: to its end or to a barrier of its cluster.
void run_block(const char* name, RunningBlock& block) {
  while (block.live > 0 && runner.failure == nullptr) {
    if (block.next < block.order.size()) {
      resume(take_fibre(block));
      continue;
    }
    bool moved = false;
    for (std::size_t w = 0; w < block.warp_live.size(); ++w) {
      if (block.warp_waiting[w] == 0 || block.warp_waiting[w] < block.warp_live[w]) continue;
      moved = true;
      block.warp_waiting[w] = 0;
      release(block, [&](const Fibre& fibre) {
        return fibre.wait == Wait::warp && static_cast<std::size_t>(fibre.thread) / kWarpSize == w;
      });
    }
    if (!moved && block.block_waiting > 0 && block.block_waiting == block.live) {
      moved = true;
      block.block_waiting = 0;
      release(block, [](const Fibre& fibre) { return fibre.wait == Wait::block; });
    }
    if (!moved && block.live > 0) {
      if (block.cluster_waiting == block.live) return;
      runner.failure = std::make_exception_ptr(CudaError(message(
          "kernel ", name, ": the threads of a block do not meet at their barriers: ", block.live,
          " running, ", block.block_waiting, " wait for the block, ", block.cluster_waiting,
          " for the cluster")));
    }
  }
}

// A block whose threads have all returned counts as waiting at every barrier of its cluster.
void run_cluster(const char* name) {
  auto& cluster = runner.cluster;
  for (const auto& block : cluster) start_block(*block);
  std::vector<RunningBlock*> order;
  for (const auto& block : cluster) order.push_back(block.get());
  const auto live = [](const auto& block) { return block->live > 0; };
  while (runner.failure == nullptr && std::ranges::any_of(cluster, live)) {
    std::shuffle(order.begin(), order.end(), runner.random);
    // All have met at the cluster's barrier, or none has begun.
    for (RunningBlock* block : order) {
      block->cluster_waiting = 0;
      release(*block, [](const Fibre& fibre) { return fibre.wait == Wait::cluster; });
      if (runner.failure == nullptr) run_block(name, *block);
    }
  }
  if (runner.failure != nullptr) {
    // Threads that still wait cannot be unwound; their stacks are given up.
    for (auto& fibre : runner.pool) (void)fibre.release();
    runner.pool.clear();
    runner.idle.clear();
    for (const auto& block : cluster) block->waiting.clear();
    std::rethrow_exception(std::exchange(runner.failure, nullptr));
  }
}

}  // namespace

const Thread& current() { return runner.now; }

void block_barrier() { wait(Wait::block); }
void warp_barrier() { wait(Wait::warp); }
void cluster_barrier() { wait(Wait::cluster); }

void* warp_slot(int lane) {
  const auto warp = static_cast<std::size_t>(runner.now.thread / kWarpSize);
  return runner.active->slots.data() +
         (warp * kWarpSize + static_cast<std::size_t>(lane)) * kSlotBytes;
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
    runner.active->copies[static_cast<std::size_t>(runner.now.thread)].back().push_back(copy);
  }
}

void async_commit() {
  runner.active->copies[static_cast<std::size_t>(runner.now.thread)].emplace_back();
}

void async_wait(int newest) {
  CopyGroups& groups = runner.active->copies[static_cast<std::size_t>(runner.now.thread)];
  while (groups.size() > static_cast<std::size_t>(newest) + 1) {
    for (const Copy& copy : groups.front()) copy.run();
    groups.pop_front();
  }
}

void* shared_array_of(const void* place, std::size_t bytes, std::size_t alignment) {
  (void)alignment;  // operator new[] aligns to 16, as much as a kernel may expect
  auto& memory = runner.active->shared[place];
  if (memory == nullptr) {
    memory.reset(new unsigned char[bytes]);
    std::fill_n(memory.get(), bytes, kPoison);
    runner.active->shared_bytes[place] = bytes;
  }
  return memory.get();
}

void set_order_seed(std::uint64_t seed) { runner.random.seed(seed); }

void run_grid(const char* name, const Grid& grid, const std::function<void()>& body) {
  runner.body = &body;
  runner.cluster.clear();
  for (int rank = 0; rank < grid.cluster; ++rank) {
    auto& block = *runner.cluster.emplace_back(std::make_unique<RunningBlock>());
    // Exactly as large as asked for, so that the address sanitizer sees what lies outside.
    block.dynamic.resize(grid.shared_bytes);
    block.place.grid_x = static_cast<int>(grid.x);
    block.place.grid_y = static_cast<int>(grid.y);
    block.place.grid_z = static_cast<int>(grid.z);
    block.place.cluster_rank = rank;
    block.place.threads = grid.threads;
    block.place.dynamic_shared = block.dynamic.data();
  }
  const std::int64_t clusters_x = grid.x / grid.cluster;
  std::vector<std::int64_t> clusters(static_cast<std::size_t>(clusters_x * grid.y * grid.z));
  std::iota(clusters.begin(), clusters.end(), 0);
  std::shuffle(clusters.begin(), clusters.end(), runner.random);
  for (const std::int64_t c : clusters) {
    for (const auto& block : runner.cluster) {
      block->place.x = static_cast<int>(c % clusters_x) * grid.cluster + block->place.cluster_rank;
      block->place.y = static_cast<int>(c / clusters_x % grid.y);
      block->place.z = static_cast<int>(c / clusters_x / grid.y);
    }
    run_cluster(name);
  }
}

}  // namespace ganmm::host_device
