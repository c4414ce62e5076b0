// The two halves of a Lloyd iteration, contracts in kernels/distance.h.
//
// nearest_centre: 64 rows by 16 centres a block, 32 features at a time in shared memory; a thread
// has four rows and one centre, and keeps the nearest of the centres it has seen. The rows are
// read once per 16 centres. For ten centres the read of the data and the arithmetic (a subtraction
// and a multiply-add per row, centre and feature) take about as long; bound by arithmetic for more.
// A distance is the sum over blocks of 32 features of their sums, in order: equal centres have
// equal distances.
//
// centre_sums: a block takes one centre and 128 features. Each warp looks through a slice of the
// labels, 32 at a time, and adds the rows of its centre; the slices are added in order. The labels
// are read once per centre and chunk of features, which is little beside a row. Bound by latency
// for few centres, by memory bandwidth for many.
#include "kernels/backend.h"
#include "kernels/cuda/elements.h"

#include <cstdint>

namespace ganmm::kernels::cuda {

namespace {

// ---- nearest centre -----------------------------------------------------------------------------

constexpr int kRows = 64;     // of a block
constexpr int kCentres = 16;  // at a time, threads side by side
constexpr int kDepth = 32;    // features at a time
constexpr int kRowsOfThread = 4;
constexpr int kThreads = kRows / kRowsOfThread * kCentres;
constexpr int kPitch = kDepth + 4;  // rows of a tile: 16-byte aligned, in different banks

using Quad = Pack<float, 4>;

// Rows [first, first + count) and features [depth, depth + kDepth), zero where there are none.
GANMM_DEVICE void load_tile(float* tile, int tile_rows, const Rows<const float>& from, Index group,
                            Index first, Index rows, Index depth, Index features) {
  const int d = device::thread_index_x() % kDepth;
  for (int r = device::thread_index_x() / kDepth; r < tile_rows; r += kThreads / kDepth) {
    const bool inside = first + r < rows && depth + d < features;
    tile[r * kPitch + d] = inside ? at(from, group, first + r, depth + d) : 0.0f;
  }
}

// A distance and the number of its centre in one integer, ordered by distance, then by number: the
// bits of floats that are not negative are ordered as they are. NaN is beyond infinity.
constexpr std::uint64_t kNone = ~std::uint64_t{0};

GANMM_DEVICE std::uint64_t candidate(float distance, Index centre) {
  std::uint32_t bits;
  __builtin_memcpy(&bits, &distance, sizeof bits);
  return std::uint64_t{bits} << 32 | static_cast<std::uint32_t>(centre);
}
GANMM_DEVICE float distance_of(std::uint64_t candidate) {
  const auto bits = static_cast<std::uint32_t>(candidate >> 32);
  float distance;
  __builtin_memcpy(&distance, &bits, sizeof distance);
  return distance;
}
GANMM_DEVICE std::uint64_t lesser(std::uint64_t a, std::uint64_t b) { return b < a ? b : a; }

GANMM_KERNEL nearest_centre_kernel(std::int32_t* label, float* distance, Index label_stride,
                                   Rows<const float> data, Rows<const float> centre, Index rows,
                                   Index centres, Index features) {
  GANMM_SHARED(Quad, data_tile, kRows * kPitch / 4);
  GANMM_SHARED(Quad, centre_tile, kCentres * kPitch / 4);
  const Index group = device::block_index_y();
  const Index first_row = Index{device::block_index_x()} * kRows;
  const int c = device::thread_index_x() % kCentres;
  const int r = device::thread_index_x() / kCentres;  // and every kRows / kRowsOfThread further

  std::uint64_t best[kRowsOfThread];
  for (int i = 0; i < kRowsOfThread; ++i) best[i] = kNone;

  for (Index first_centre = 0; first_centre < centres; first_centre += kCentres) {
    float sum[kRowsOfThread] = {};
    for (Index depth = 0; depth < features; depth += kDepth) {
      device::sync_threads();  // the tiles of the turn before have been read
      load_tile(&data_tile->value[0], kRows, data, group, first_row, rows, depth, features);
      load_tile(&centre_tile->value[0], kCentres, centre, group, first_centre, centres, depth,
                features);
      device::sync_threads();
      float part[kRowsOfThread] = {};
      for (int d = 0; d < kDepth / 4; ++d) {
        const Quad y = centre_tile[c * (kPitch / 4) + d];
        for (int i = 0; i < kRowsOfThread; ++i) {
          const Quad x = data_tile[(r + i * (kRows / kRowsOfThread)) * (kPitch / 4) + d];
          for (int e = 0; e < 4; ++e) {
            const float difference = x.value[e] - y.value[e];
            part[i] += difference * difference;
          }
        }
      }
      for (int i = 0; i < kRowsOfThread; ++i) sum[i] += part[i];
    }
    const Index k = first_centre + c;
    if (k >= centres) continue;
    for (int i = 0; i < kRowsOfThread; ++i) best[i] = lesser(best[i], candidate(sum[i], k));
  }

  for (int i = 0; i < kRowsOfThread; ++i) {
    for (int mask = kCentres / 2; mask > 0; mask /= 2) {  // all threads with the same rows
      best[i] = lesser(best[i], device::shuffle_xor(best[i], mask));
    }
    const Index row = first_row + r + i * (kRows / kRowsOfThread);
    if (c == 0 && row < rows) {
      label[group * label_stride + row] = static_cast<std::int32_t>(best[i] & 0xffffffffu);
      if (distance != nullptr) distance[group * label_stride + row] = distance_of(best[i]);
    }
  }
}

// ---- centre sums --------------------------------------------------------------------------------

constexpr int kSlices = 16;          // of the rows, one per warp
constexpr unsigned kColumns = 4;     // of a thread, a warp apart
constexpr unsigned kRowsAtOnce = 4;  // whose loads are on their way together
constexpr int kChunk = device::kWarpSize * static_cast<int>(kColumns);

// The number of the lowest bit that is set.
GANMM_DEVICE int lowest_bit(unsigned bits) { return device::count_bits((bits & (0u - bits)) - 1u); }

GANMM_KERNEL centre_sums_kernel(double* sum, double* count, Index centres,
                                const std::int32_t* label, Index label_stride,
                                Rows<const float> data, Index rows, Index features, Index chunks) {
  GANMM_SHARED(double, slice_sum, kSlices* kChunk);
  GANMM_SHARED(int, slice_count, kSlices);
  const Index group = device::block_index_y();
  const Index centre = device::block_index_x() / chunks;
  const Index first_column = (device::block_index_x() - centre * chunks) * kChunk;
  const int warp = device::thread_index_x() / device::kWarpSize;
  const int lane = device::thread_index_x() % device::kWarpSize;
  const std::int32_t* labels = label + group * label_stride;

  constexpr Index kSliceUnit = Index{kSlices} * device::kWarpSize;
  const Index slice = (rows + kSliceUnit - 1) / kSliceUnit * device::kWarpSize;
  const Index end = (warp + 1) * slice < rows ? (warp + 1) * slice : rows;
  double total[kColumns] = {};
  int found = 0;
  for (Index first = warp * slice; first < end; first += device::kWarpSize) {
    const bool mine = first + lane < end && labels[first + lane] == centre;
    unsigned members = device::ballot(mine);
    found += device::count_bits(members);
    while (members != 0) {
      float value[kRowsAtOnce][kColumns] = {};
      for (unsigned i = 0; i < kRowsAtOnce; ++i) {
        if (members == 0) break;
        const Index row = first + lowest_bit(members);
        members &= members - 1;
        for (unsigned j = 0; j < kColumns; ++j) {
          const Index column = first_column + lane + Index{j} * device::kWarpSize;
          if (column < features) value[i][j] = at(data, group, row, column);
        }
      }
      for (unsigned i = 0; i < kRowsAtOnce; ++i) {
        for (unsigned j = 0; j < kColumns; ++j) total[j] += static_cast<double>(value[i][j]);
      }
    }
  }
  for (unsigned j = 0; j < kColumns; ++j) {
    slice_sum[Index{warp} * kChunk + lane + Index{j} * device::kWarpSize] = total[j];
  }
  if (lane == 0) slice_count[warp] = found;
  device::sync_threads();
  const Index of_centre = group * centres + centre;
  const Index column = first_column + device::thread_index_x();
  if (device::thread_index_x() < kChunk && column < features) {
    double all = sum[of_centre * features + column];
    for (int s = 0; s < kSlices; ++s) all += slice_sum[s * kChunk + device::thread_index_x()];
    sum[of_centre * features + column] = all;
  }
  if (device::thread_index_x() == 0 && first_column == 0) {
    double all = count[of_centre];
    for (int s = 0; s < kSlices; ++s) all += slice_count[s];
    count[of_centre] = all;
  }
}

Rows<const float> rows_of(const GroupView<const float>& view, Index groups) {
  const bool shared = view.groups == 1 && groups > 1;
  return {view.data, shared ? 0 : view.group_stride, view.batch_stride};
}

}  // namespace

template <class T>
void nearest_centre(Context& ctx, std::int32_t* label, T* distance, Index label_stride,
                    GroupView<const T> data, GroupView<const T> centre) {
  if (centre.groups == 0 || data.batch == 0) return;
  launch(ctx, "nearest_centre", {(data.batch + kRows - 1) / kRows, centre.groups, 1, kThreads},
         nearest_centre_kernel, label, distance, label_stride, rows_of(data, centre.groups),
         rows_of(centre, centre.groups), data.batch, centre.batch, data.features());
}

template <class T>
void centre_sums(Context& ctx, double* sum, double* count, Index centres, const std::int32_t* label,
                 Index label_stride, GroupView<const T> data) {
  if (data.groups == 0 || data.batch == 0) return;
  const Index chunks = data.features() > kChunk ? (data.features() + kChunk - 1) / kChunk : 1;
  launch(ctx, "centre_sums",
         {checked_multiply(chunks, centres), data.groups, 1, kSlices * device::kWarpSize},
         centre_sums_kernel, sum, count, centres, label, label_stride, rows_of(data, data.groups),
         data.batch, data.features(), chunks);
}

template void nearest_centre<float>(Context&, std::int32_t*, float*, Index, GroupView<const float>,
                                    GroupView<const float>);
template void centre_sums<float>(Context&, double*, double*, Index, const std::int32_t*, Index,
                                 GroupView<const float>);

}  // namespace ganmm::kernels::cuda
