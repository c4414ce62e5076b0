// The device header of kernels/cuda/ for the host compiler: the same names, on fibres. This folder
// comes first on the include path of the host device, so that the kernel sources need no change.
#pragma once

#include "kernels/core/shape.h"
#include "tests/host_device/block.h"

#include <cmath>
#include <cstdint>
#include <cstring>

#define GANMM_KERNEL void
#define GANMM_BLOCK_KERNEL(threads) void
#define GANMM_DEVICE inline
#define GANMM_UNROLL
// Every array of a block is poisoned before the block runs (block.h).
#define GANMM_SHARED(type, name, count)                                                            \
  type* const name = static_cast<type*>(::ganmm::host_device::shared_array(                        \
      [] {}, sizeof(type) * static_cast<std::size_t>(count), alignof(type)))

namespace ganmm::kernels::cuda::device {

inline constexpr int kWarpSize = 32;
inline constexpr unsigned kWholeWarp = 0xffffffffu;

inline int thread_index_x() { return host_device::current().thread; }
inline int block_size_x() { return host_device::current().block->threads; }
inline int block_index_x() { return host_device::current().block->x; }
inline int block_index_y() { return host_device::current().block->y; }
inline int block_index_z() { return host_device::current().block->z; }
inline int grid_size_x() { return host_device::current().block->grid_x; }
inline int grid_size_y() { return host_device::current().block->grid_y; }
inline int grid_size_z() { return host_device::current().block->grid_z; }
inline int cluster_rank() { return host_device::current().block->cluster_rank; }

template <class T>
T* dynamic_shared() {
  return reinterpret_cast<T*>(host_device::current().block->dynamic_shared);
}

inline void sync_threads() { host_device::block_barrier(); }
inline void sync_warp() { host_device::warp_barrier(); }
inline void sync_cluster() { host_device::cluster_barrier(); }

// A copy happens at once or as late as it may, at random: a kernel that reads too early or
// overwrites too early is found out.
inline void async_copy16(void* target, const void* source, bool valid, bool /*reused*/) {
  host_device::async_copy(target, source, valid, 16);
}
inline void async_commit() { host_device::async_commit(); }
template <int newest>
void async_wait() {
  host_device::async_wait(newest);
}

// Everyone leaves a value, everyone waits, everyone reads: two barriers, since the slots are used
// again by the next exchange.
template <class T>
T exchange(T value, int lane) {
  static_assert(sizeof(T) <= host_device::kSlotBytes);
  std::memcpy(host_device::warp_slot(host_device::current().thread % kWarpSize), &value, sizeof(T));
  host_device::warp_barrier();
  T result;
  std::memcpy(&result, host_device::warp_slot(lane), sizeof(T));
  host_device::warp_barrier();
  return result;
}

template <class T>
T shuffle_down(T value, int delta) {
  const int lane = host_device::current().thread % kWarpSize;
  return exchange(value, lane + delta < kWarpSize ? lane + delta : lane);
}
template <class T>
T shuffle(T value, int lane) {
  return exchange(value, lane);
}
template <class T>
T shuffle_xor(T value, int mask) {
  return exchange(value, (host_device::current().thread % kWarpSize) ^ mask);
}
inline unsigned ballot(bool predicate) {
  unsigned bits = 0;
  std::uint32_t mine = predicate ? 1u : 0u;
  std::memcpy(host_device::warp_slot(host_device::current().thread % kWarpSize), &mine,
              sizeof mine);
  host_device::warp_barrier();
  for (int lane = 0; lane < kWarpSize; ++lane) {
    std::uint32_t theirs = 0;
    std::memcpy(&theirs, host_device::warp_slot(lane), sizeof theirs);
    bits |= theirs << lane;
  }
  host_device::warp_barrier();
  return bits;
}
inline int count_bits(unsigned bits) { return __builtin_popcount(bits); }

// One thread runs at a time.
inline int atomic_add(int* target, int value) {
  const int before = *target;
  *target = before + value;
  return before;
}

}  // namespace ganmm::kernels::cuda::device
