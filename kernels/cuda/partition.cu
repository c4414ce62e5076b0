// partition_rows: a stable counting sort of every mixture's rows by label.
//
//   position of row p = rows with a smaller label + rows before p with the same label
//
// A block takes a tile of 4096 rows, a warp of it 256 of these, held in registers. Counts per warp
// are in shared memory; within a warp rows with the same label find each other by ballots over the
// bits of the label, which keeps their order. A pool of one tile is sorted by one launch. Larger
// pools take three: counts of every tile, their exclusive prefix sums over (component, tile), and
// the sort of every tile from there. The 8 bytes per row that it must move cost next to nothing:
// launches and latencies bound it, so the counts are done twice instead of being stored per warp.
#include "kernels/backend.h"
#include "kernels/cuda/kernel.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/scan.h"

namespace ganmm::kernels::cuda {

namespace {

constexpr int kThreads = 512;
constexpr int kWarps = kThreads / device::kWarpSize;
constexpr int kRowsPerThread = 8;
constexpr int kRowsPerWarp = kRowsPerThread * device::kWarpSize;
constexpr int kTile = kRowsPerThread * kThreads;
constexpr int kScanThreads = 1024;
constexpr Index kMaxComponents = 2048;  // counts of all warps then take 128 KiB of shared memory

Index tiles_of(Index rows) { return (rows + kTile - 1) / kTile; }

// Row j of this thread in its tile.
GANMM_DEVICE Index row_of(int j) {
  const int warp = device::thread_index_x() / device::kWarpSize;
  const int lane = device::thread_index_x() % device::kWarpSize;
  return Index{device::block_index_x()} * kTile + warp * kRowsPerWarp + j * device::kWarpSize +
         lane;
}

// label[j]: that of row_of(j), or -1 beyond the end. counts [kWarps][components]: how often a label
// occurs among the rows of a warp.
GANMM_DEVICE void count_labels(int* label, int* counts, const PoolView& pool) {
  const int components = static_cast<int>(pool.components);
  const std::int32_t* labels = pool.label + device::block_index_y() * pool.rows;
  for (int j = 0; j < kRowsPerThread; ++j)
    label[j] = row_of(j) < pool.rows ? labels[row_of(j)] : -1;
  for (int i = device::thread_index_x(); i < kWarps * components; i += kThreads) counts[i] = 0;
  device::sync_threads();
  int* own = counts + device::thread_index_x() / device::kWarpSize * components;
  for (int j = 0; j < kRowsPerThread; ++j) {
    if (label[j] >= 0) device::atomic_add(own + label[j], 1);
  }
  device::sync_threads();
}

// table [R][N][tiles]: rows of the tile with that label.
GANMM_KERNEL count_tiles_kernel(std::int32_t* table, PoolView pool) {
  int* counts = device::dynamic_shared<int>();
  int label[kRowsPerThread];
  count_labels(label, counts, pool);
  const int components = static_cast<int>(pool.components);
  const Index tiles = device::grid_size_x();
  std::int32_t* out = table + device::block_index_y() * components * tiles;
  for (int i = device::thread_index_x(); i < components; i += kThreads) {
    int sum = 0;
    for (int warp = 0; warp < kWarps; ++warp) sum += counts[warp * components + i];
    out[i * tiles + device::block_index_x()] = sum;
  }
}

// Exclusive prefix sums of every row of table [R][count], in place; one block per row.
GANMM_KERNEL scan_counts_kernel(std::int32_t* table, Index count) {
  GANMM_SHARED(int, shared, device::kWarpSize);
  std::int32_t* value = table + device::block_index_x() * count;
  int sum = 0;
  for (Index first = 0; first < count; first += kScanThreads) {
    const Index e = first + device::thread_index_x();
    const PrefixSums<int> sums = block_prefix_sums(e < count ? value[e] : 0, shared);
    if (e < count) value[e] = sum + sums.before;
    sum += sums.total;
  }
}

// The threads of the warp with the same label. label_bits: of the largest label.
GANMM_DEVICE unsigned same_label(int label, int label_bits) {
  unsigned same = device::ballot(label >= 0);
  for (int bit = 0; bit < label_bits; ++bit) {
    const bool set = ((label >> bit) & 1) != 0;
    const unsigned with = device::ballot(set);
    same &= set ? with : ~with;
  }
  return same;
}

// table: where the rows of (component, tile) begin, or null for a pool of one tile.
GANMM_KERNEL sort_tiles_kernel(std::int32_t* member, std::int32_t* begin, const std::int32_t* table,
                               PoolView pool, int label_bits) {
  GANMM_SHARED(int, shared, device::kWarpSize);
  int* counts = device::dynamic_shared<int>();
  int label[kRowsPerThread];
  count_labels(label, counts, pool);

  // counts become cursors: where the next row of (warp, component) goes.
  const int components = static_cast<int>(pool.components);
  const Index mixture = device::block_index_y(), tiles = device::grid_size_x();
  begin += mixture * (components + 1);
  int smaller = 0;  // rows with a label below `first`, in a pool of one tile
  for (int first = 0; first < components; first += kThreads) {
    const int i = first + device::thread_index_x();
    int start = 0;
    if (table == nullptr) {
      int owned = 0;
      for (int warp = 0; i < components && warp < kWarps; ++warp) {
        owned += counts[warp * components + i];
      }
      const PrefixSums<int> sums = block_prefix_sums(owned, shared);
      start = smaller + sums.before;
      smaller += sums.total;
    } else if (i < components) {
      start = table[(mixture * components + i) * tiles + device::block_index_x()];
    }
    if (i >= components) continue;
    if (device::block_index_x() == 0) begin[i] = start;
    for (int warp = 0; warp < kWarps; ++warp) {
      const int count = counts[warp * components + i];
      counts[warp * components + i] = start;
      start += count;
    }
  }
  if (device::block_index_x() == 0 && device::thread_index_x() == 0) {
    begin[components] = static_cast<std::int32_t>(pool.rows);
  }
  device::sync_threads();

  member += mixture * pool.rows;
  int* cursor = counts + device::thread_index_x() / device::kWarpSize * components;
  const unsigned before = (1u << device::thread_index_x() % device::kWarpSize) - 1;
  for (int j = 0; j < kRowsPerThread; ++j) {
    const unsigned same = same_label(label[j], label_bits);
    const int rank = device::count_bits(same & before);
    if (label[j] >= 0) member[cursor[label[j]] + rank] = static_cast<std::int32_t>(row_of(j));
    device::sync_warp();
    if (label[j] >= 0 && rank == 0) cursor[label[j]] += device::count_bits(same);
    device::sync_warp();
  }
}

}  // namespace

Index partition_workspace(Index mixtures, Index components, Index rows) {
  const Index tiles = tiles_of(rows);
  if (tiles <= 1) return 0;
  return aligned_bytes<std::int32_t>(
      checked_multiply(checked_multiply(mixtures, components), tiles));
}

void partition_rows(Context& ctx, std::int32_t* member, std::int32_t* begin, const PoolView& pool) {
  require<ShapeError>(pool.components <= kMaxComponents,
                      "partition_rows on a CUDA device: expected at most ", kMaxComponents,
                      " components, found ", pool.components);
  if (pool.mixtures == 0) return;
  const Index tiles = std::max<Index>(1, tiles_of(pool.rows));
  int label_bits = 0;
  while ((pool.components - 1) >> label_bits > 0) ++label_bits;
  const LaunchShape shape{tiles, pool.mixtures, 1, kThreads,
                          static_cast<std::size_t>(kWarps * pool.components) * sizeof(int)};
  if (tiles == 1) {
    launch(ctx, "partition_rows", shape, sort_tiles_kernel, member, begin, nullptr, pool,
           label_bits);
    return;
  }
  Scratch::Frame frame(ctx.scratch());
  const Index per_mixture = pool.components * tiles;
  auto* table = frame.take<std::int32_t>(pool.mixtures * per_mixture);
  launch(ctx, "partition_rows: counts", shape, count_tiles_kernel, table, pool);
  launch(ctx, "partition_rows: sums", {pool.mixtures, 1, 1, kScanThreads}, scan_counts_kernel,
         table, per_mixture);
  launch(ctx, "partition_rows", shape, sort_tiles_kernel, member, begin, table, pool, label_bits);
}

}  // namespace ganmm::kernels::cuda
