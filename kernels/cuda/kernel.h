// All that a kernel may use beside plain C++: its place in the grid, shared memory, barriers, warp
// shuffles and atomics.
//
// Kernel sources (*.cu) include this header and kernels/cuda/launch.h and nothing else of CUDA. So
// a host compiler can build the same sources against a folder that comes first on the include path
// and has its own kernels/cuda/kernel.h and launch.h, where the threads of a block are fibres.
#pragma once

#include "kernels/core/shape.h"

#include <cuda_runtime.h>

#include <cmath>

// GANMM_KERNEL name_kernel(parameters by value) { ... }
#define GANMM_KERNEL __global__ void
// The same for blocks of at most `threads` threads, which decides how many registers each may use.
#define GANMM_BLOCK_KERNEL(threads) __global__ void __launch_bounds__(threads)
// A function that kernels call.
#define GANMM_DEVICE __device__ inline
// An array that the threads of a block share, uninitialised; `count` is a constant.
#define GANMM_SHARED(type, name, count) __shared__ type name[count]
// Before a loop with a constant number of turns whose body indexes arrays that live in registers.
#define GANMM_UNROLL _Pragma("unroll")

namespace ganmm::kernels::cuda::device {

inline constexpr int kWarpSize = 32;
inline constexpr unsigned kWholeWarp = 0xffffffffu;

GANMM_DEVICE int thread_index_x() { return static_cast<int>(threadIdx.x); }
GANMM_DEVICE int block_size_x() { return static_cast<int>(blockDim.x); }
GANMM_DEVICE int block_index_x() { return static_cast<int>(blockIdx.x); }
GANMM_DEVICE int block_index_y() { return static_cast<int>(blockIdx.y); }
GANMM_DEVICE int block_index_z() { return static_cast<int>(blockIdx.z); }
GANMM_DEVICE int grid_size_x() { return static_cast<int>(gridDim.x); }
GANMM_DEVICE int grid_size_y() { return static_cast<int>(gridDim.y); }
GANMM_DEVICE int grid_size_z() { return static_cast<int>(gridDim.z); }

// Clusters of blocks (LaunchShape::cluster) exist from compute capability 9.0 on; elsewhere no
// kernel that asks for them is launched.
GANMM_DEVICE int cluster_rank() {
#if __CUDA_ARCH__ >= 900
  unsigned rank;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return static_cast<int>(rank);
#else
  return 0;
#endif
}

// The shared memory that the launch asked for, 16-byte aligned, uninitialised.
template <class T>
GANMM_DEVICE T* dynamic_shared() {
  extern __shared__ __align__(16) unsigned char ganmm_dynamic_shared[];
  return reinterpret_cast<T*>(ganmm_dynamic_shared);
}

// All threads of the block must get here; what they wrote to memory before is seen after.
GANMM_DEVICE void sync_threads() { __syncthreads(); }
// The same for the threads of one warp.
GANMM_DEVICE void sync_warp() { __syncwarp(kWholeWarp); }
// The same for all threads of a cluster's blocks: what they wrote to global memory before is seen
// after, by plain loads too.
GANMM_DEVICE void sync_cluster() {
#if __CUDA_ARCH__ >= 900
  asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
  asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
#endif
}

// Starts copying 16 bytes from global to shared memory, both aligned, or fills with zeros where
// `valid` is false (then `source` is not read and may lie anywhere). The bytes are there after an
// async_wait of the same thread; for other threads after a barrier too. `reused`: neighbours read
// the same bytes soon, so they go through the first-level cache.
GANMM_DEVICE void async_copy16(void* target, const void* source, bool valid, bool reused) {
#if __CUDA_ARCH__ >= 800
  const auto shared = static_cast<unsigned>(__cvta_generic_to_shared(target));
  const int bytes = valid ? 16 : 0;
  if (reused) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 16, %2;" ::"r"(shared), "l"(source),
                 "r"(bytes));
  } else {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared), "l"(source),
                 "r"(bytes));
  }
#else  // at once
  (void)reused;
  *static_cast<uint4*>(target) =
      valid ? *static_cast<const uint4*>(source) : make_uint4(0u, 0u, 0u, 0u);
#endif
}
// Ends a group of copies; it may be empty.
GANMM_DEVICE void async_commit() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
// Waits for all groups of this thread but the `newest` last ones.
template <int newest>
GANMM_DEVICE void async_wait() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(newest) : "memory");
#endif
}

// The value of the thread `delta` further in the warp, or the own value beyond the last. All 32
// threads must take part.
template <class T>
GANMM_DEVICE T shuffle_down(T value, int delta) {
  return __shfl_down_sync(kWholeWarp, value, static_cast<unsigned>(delta));
}

// The value of the thread `lane` of the warp. All 32 threads must take part.
template <class T>
GANMM_DEVICE T shuffle(T value, int lane) {
  return __shfl_sync(kWholeWarp, value, lane);
}
// The value of the thread whose number in the warp differs in the bits of `mask`.
template <class T>
GANMM_DEVICE T shuffle_xor(T value, int mask) {
  return __shfl_xor_sync(kWholeWarp, value, mask);
}
// Bit l is set where thread l of the warp says true. All 32 threads must take part.
GANMM_DEVICE unsigned ballot(bool predicate) { return __ballot_sync(kWholeWarp, predicate); }
GANMM_DEVICE int count_bits(unsigned bits) { return __popc(bits); }

// Returns the value before. Integers only: sums of floats would depend on the order of arrival.
GANMM_DEVICE int atomic_add(int* target, int value) { return atomicAdd(target, value); }

}  // namespace ganmm::kernels::cuda::device
