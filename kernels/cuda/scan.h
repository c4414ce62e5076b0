// Prefix sums over the threads of a block: shuffles within warps, then over the sums of the warps.
// The order of additions is fixed, so sums of floating point numbers are the same in every run.
#pragma once

#include "kernels/cuda/kernel.h"

namespace ganmm::kernels::cuda {

template <class V>
GANMM_DEVICE V warp_inclusive_sum(V value) {
  const int lane = device::thread_index_x() % device::kWarpSize;
  for (int distance = 1; distance < device::kWarpSize; distance *= 2) {
    const V before = device::shuffle(value, lane >= distance ? lane - distance : lane);
    if (lane >= distance) value += before;
  }
  return value;
}

template <class V>
struct PrefixSums {
  V before;  // of the threads before this one
  V total;   // of all threads
};

// All threads of the block must take part; the block has whole warps. `shared` has kWarpSize
// elements; it is free for others when this returns.
template <class V>
GANMM_DEVICE PrefixSums<V> block_prefix_sums(V value, V* shared) {
  const int lane = device::thread_index_x() % device::kWarpSize;
  const int warp = device::thread_index_x() / device::kWarpSize;
  const int warps = device::block_size_x() / device::kWarpSize;
  const V inclusive = warp_inclusive_sum(value);
  // The exclusive sum comes from the neighbour, not from inclusive - value, which rounds.
  const V from_left = device::shuffle(inclusive, lane > 0 ? lane - 1 : 0);
  if (lane == device::kWarpSize - 1) shared[warp] = inclusive;
  device::sync_threads();
  if (warp == 0) {
    const V up_to_warp = warp_inclusive_sum(lane < warps ? shared[lane] : V{0});
    device::sync_warp();
    shared[lane] = up_to_warp;
  }
  device::sync_threads();
  const V of_warps = warp > 0 ? shared[warp - 1] : V{0};
  const PrefixSums<V> sums{lane > 0 ? of_warps + from_left : of_warps, shared[warps - 1]};
  device::sync_threads();
  return sums;
}

}  // namespace ganmm::kernels::cuda
