// Runs the threads of one block of a kernel as fibres on the host.
//
// A fibre runs until it waits at a barrier; then the next thread runs. Threads are started and
// resumed in an order that differs from block to block, and blocks run in shuffled order, so that a
// kernel whose result depends on either gives wrong results sooner or later. Shared memory is
// filled with a pattern (NaN as a float) before every block: what a block before left there must
// not help. A barrier that only some threads of a block reach is reported as an error.
//
// The blocks of a cluster run in turns, each from one barrier of the cluster to the next, in an
// order that is shuffled every time: what a block reads of another without such a barrier between
// them is sooner or later not there yet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace ganmm::host_device {

inline constexpr std::size_t kSlotBytes = 32;

// What the running thread may ask about its block.
struct Block {
  int x = 0, y = 0, z = 0;
  int grid_x = 1, grid_y = 1, grid_z = 1;
  int cluster_rank = 0;
  int threads = 0;
  unsigned char* dynamic_shared = nullptr;
};

struct Thread {
  const Block* block = nullptr;
  int thread = 0;
};

const Thread& current();

void block_barrier();
void warp_barrier();
void cluster_barrier();
// The exchange slot of a lane in the current thread's warp.
void* warp_slot(int lane);

// Copies of the current thread, in groups; aligned to `bytes`, zeros where not valid.
void async_copy(void* target, const void* source, bool valid, std::size_t bytes);
void async_commit();
void async_wait(int newest);

// Memory of a `GANMM_SHARED` array: one per block and place in the source; `place` is a lambda
// whose type names that place.
void* shared_array_of(const void* place, std::size_t bytes, std::size_t alignment);
template <class Place>
const void* key_of() {
  static const char key = 0;
  return &key;
}
template <class Place>
void* shared_array(Place, std::size_t bytes, std::size_t alignment) {
  return shared_array_of(key_of<Place>(), bytes, alignment);
}

struct Grid {
  std::int64_t x = 1, y = 1, z = 1;
  int cluster = 1;  // neighbouring blocks along x; divides x
  int threads = 0;
  std::size_t shared_bytes = 0;
};

// Calls `body` once for every thread of every block. Throws CudaError when the threads of a block
// do not meet at their barriers; the first exception of a thread is passed on.
void run_grid(const char* name, const Grid& grid, const std::function<void()>& body);

// The seed of the order of blocks and threads; changes with every launch.
void set_order_seed(std::uint64_t seed);

}  // namespace ganmm::host_device
