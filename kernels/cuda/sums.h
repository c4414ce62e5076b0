// Sums whose order depends on the shape alone: not on strides, alignment or the number of groups,
// so that a group gives the same bits alone and among others.
#pragma once

#include "kernels/cuda/elements.h"

namespace ganmm::kernels::cuda {

// A row is summed by 1, 2, 4, ... or 32 neighbouring threads, each of which takes chunks of this
// many elements in turn.
inline constexpr unsigned kRowChunk = 4;

inline int threads_per_row(Index features) {
  int threads = 1;
  while (threads < 32 && threads * Index{kRowChunk} < features) threads *= 2;
  return threads;
}

// Threads of a block for the rows of a group, no more than there are rows for: a power of two, at
// most `limit`.
inline int threads_for_rows(Index rows, int lanes, int limit) {
  int threads = device::kWarpSize;
  while (threads < limit && threads < rows * lanes) threads *= 2;
  return threads;
}

// The row as a pointer: rows without elements may have no memory, which a reference must not bind.
template <class T>
GANMM_DEVICE T* row_at(const Rows<T>& view, Index group, Index row) {
  return view.data + group * view.group_stride + row * view.row_stride;
}

// What thread `lane` of the `lanes` threads adds to the sum of term(x) over a row, in double.
// `packed`: chunks may be loaded as packs, packs_fit<kRowChunk>.
template <class T, class Term>
GANMM_DEVICE double row_part(const T* row, Index features, int lane, int lanes, bool packed,
                             Term term) {
  double part[kRowChunk] = {};
  const Index step = Index{kRowChunk} * lanes;
  Index i = Index{kRowChunk} * lane;
  if (packed) {
    for (; i < features; i += step) {
      const auto chunk = *reinterpret_cast<const Pack<T, kRowChunk>*>(row + i);
      for (unsigned j = 0; j < kRowChunk; ++j) {
        part[j] += term(static_cast<double>(static_cast<float>(chunk.value[j])));
      }
    }
  } else {
    for (; i < features; i += step) {
      for (unsigned j = 0; j < kRowChunk; ++j) {
        if (i + j < features) part[j] += term(static_cast<double>(static_cast<float>(row[i + j])));
      }
    }
  }
  return (part[0] + part[2]) + (part[1] + part[3]);
}

// The sum over `lanes` neighbouring threads, a power of two up to 32, for each of them. All threads
// of the warp must get here.
template <class T>
GANMM_DEVICE T lanes_sum(T value, int lanes) {
  for (int mask = lanes / 2; mask > 0; mask /= 2) value += device::shuffle_xor(value, mask);
  return value;
}

// The sum over the threads of a block, whole warps, for thread 0. `scratch`: shared, 32 numbers.
GANMM_DEVICE double block_sum(double value, double* scratch) {
  const int thread = device::thread_index_x();
  value = lanes_sum(value, device::kWarpSize);
  if (thread % device::kWarpSize == 0) scratch[thread / device::kWarpSize] = value;
  device::sync_threads();
  if (thread >= device::kWarpSize) return 0.0;
  const bool used = thread < device::block_size_x() / device::kWarpSize;
  return lanes_sum(used ? scratch[thread] : 0.0, device::kWarpSize);
}

struct Identity {
  GANMM_DEVICE double operator()(double x) const { return x; }
};
struct Square {
  GANMM_DEVICE double operator()(double x) const { return x * x; }
};

}  // namespace ganmm::kernels::cuda
