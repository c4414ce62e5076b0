// draw_rows: the rows of critic batches. Foreign rows come from the running sum of the weights
// floor(p * 2^24 + 0.5) over the rows of other components, searched for a random number below the
// total. All integers: the same rows as on the CPU.
//
// A block sums up a chunk of 4096 rows, counted from the chunk's first row; a draw searches the
// sums of whole chunks, in shared memory, and then one chunk. A pool of one chunk takes one launch,
// one block per group. Larger ones take two: (chunks, groups) blocks sum up, then every block that
// draws first adds up the chunks of its group for itself. Reading the posteriors of one component
// (a 32-byte sector per row and group, mostly from the L2 cache) bounds the sums, latency the
// draws.
#include "kernels/backend.h"
#include "kernels/cuda/draw.h"
#include "kernels/cuda/kernel.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/scan.h"

namespace ganmm::kernels::cuda {

namespace {

constexpr int kThreads = 512;
constexpr int kRowsPerThread = 8;
constexpr Index kChunk = kThreads * kRowsPerThread;
constexpr Index kMaxRows = Index{1} << 26;  // the sums of the chunks then take 128 KiB

struct Draws {
  PoolView pool;
  const std::int32_t* member;
  const std::int32_t* begin;
  Index first_group;
  DrawSettings settings;
};

// What the network group of a block draws from.
struct Source {
  Index mixture;
  int component;
  bool weighted;    // some rows are drawn by posterior
  DrawSource rows;  // but for the total
};

GANMM_DEVICE Source source_of(const Draws& draws) {
  const Index group = draws.first_group + device::block_index_y();
  const Index components = draws.pool.components;
  Source source;
  source.mixture = group / components;
  source.component = static_cast<int>(group - source.mixture * components);
  const std::int32_t* begin = draws.begin + source.mixture * (components + 1) + source.component;
  const DrawSettings& settings = draws.settings;
  source.rows = {draws.member + source.mixture * draws.pool.rows + begin[0],
                 static_cast<std::uint32_t>(begin[1] - begin[0]), 0, 0, draws.pool.rows};
  if (source.rows.own_count > 0) {
    source.rows.own_draws = static_cast<std::uint32_t>(settings.batch - settings.foreign);
  }
  source.weighted = source.rows.own_draws < static_cast<std::uint32_t>(settings.batch) &&
                    draws.pool.posterior != nullptr;
  return source;
}

// sums [rows]: running sums of the weights within the chunk. All threads of the block take part.
GANMM_DEVICE void sum_chunk(Weight* sums, const Draws& draws, const Source& source, Index chunk,
                            Weight* shared) {
  const Index rows = draws.pool.rows;
  const Index first = chunk * kChunk + Index{device::thread_index_x()} * kRowsPerThread;
  const std::int32_t* label = draws.pool.label + source.mixture * rows;
  const float* posterior =
      draws.pool.posterior + source.mixture * rows * draws.pool.components + source.component;
  Weight sum[kRowsPerThread];
  Weight mine = 0;
  for (int j = 0; j < kRowsPerThread; ++j) {
    const Index p = first + j;
    sum[j] = p < rows && label[p] != source.component
                 ? draw_weight(posterior[p * draws.pool.components])
                 : 0;
  }
  for (int j = 0; j < kRowsPerThread; ++j) mine = sum[j] += mine;
  const Weight before = block_prefix_sums(mine, shared).before;
  for (int j = 0; j < kRowsPerThread; ++j) {
    if (first + j < rows) sums[first + j] = before + sum[j];
  }
}

// sums [groups][rows].
GANMM_KERNEL sum_weights_kernel(Weight* sums, Draws draws) {
  GANMM_SHARED(Weight, shared, device::kWarpSize);
  const Source source = source_of(draws);
  if (!source.weighted) return;
  sum_chunk(sums + device::block_index_y() * draws.pool.rows, draws, source,
            device::block_index_x(), shared);
}

GANMM_KERNEL draw_rows_kernel(std::int32_t* row, Weight* sums, Draws draws, Index chunks) {
  GANMM_SHARED(Weight, shared, device::kWarpSize);
  Weight* up_to = device::dynamic_shared<Weight>();  // [chunks], sums of all chunks up to this one
  Source source = source_of(draws);
  const Index rows = draws.pool.rows;
  sums += device::block_index_y() * rows;

  Weight& total = source.rows.total;
  if (source.weighted) {
    if (chunks == 1) {
      sum_chunk(sums, draws, source, 0, shared);
      device::sync_threads();
    }
    for (Index first = 0; first < chunks; first += kThreads) {
      const Index chunk = first + device::thread_index_x();
      const Index end = chunk * kChunk + kChunk < rows ? chunk * kChunk + kChunk : rows;
      const Weight of_chunk = chunk < chunks ? sums[end - 1] : 0;
      const PrefixSums<Weight> of_block = block_prefix_sums(of_chunk, shared);
      if (chunk < chunks) up_to[chunk] = total + of_block.before + of_chunk;
      total += of_block.total;
    }
    device::sync_threads();
  }

  const DrawSettings& settings = draws.settings;
  const auto group = static_cast<std::uint32_t>(draws.first_group + device::block_index_y());
  const Index first_row = settings.first_row == nullptr ? 0 : *settings.first_row;
  const auto count = static_cast<std::uint32_t>(settings.batches * settings.batch);
  row += Index{device::block_index_y()} * count;
  draw(row,
       static_cast<std::uint32_t>(device::block_index_x() * kThreads + device::thread_index_x()),
       static_cast<std::uint32_t>(device::grid_size_x() * kThreads), count,
       static_cast<std::uint32_t>(settings.batch), source.rows, settings.key, group, first_row,
       [&](Weight target) {
         const Index chunk = first_above(up_to, chunks, target);
         if (chunk > 0) target -= up_to[chunk - 1];
         const Index first = chunk * kChunk;
         const Index length = rows - first < kChunk ? rows - first : kChunk;
         return first + first_above(sums + first, length, target);
       });
}

}  // namespace

void draw_rows(Context& ctx, std::int32_t* row, Index first_group, Index groups,
               const PoolView& pool, const std::int32_t* member, const std::int32_t* begin,
               const DrawSettings& settings) {
  const Index count = settings.batches * settings.batch;
  if (groups == 0 || count == 0) return;
  require<ShapeError>(pool.rows <= kMaxRows && count < Index{1} << 30,
                      "draw_rows on a CUDA device: expected a pool of at most ", kMaxRows,
                      " rows and fewer than 2^30 draws per group, found ", pool.rows, " and ",
                      count);
  const Draws draws{pool, member, begin, first_group, settings};
  Scratch::Frame frame(ctx.scratch());
  const Index chunks = pool.posterior == nullptr ? 0 : (pool.rows + kChunk - 1) / kChunk;
  auto* sums = frame.take<Weight>(pool.posterior == nullptr ? 0 : groups * pool.rows);
  if (chunks > 1) {
    launch(ctx, "draw_rows: sums", {chunks, groups, 1, kThreads}, sum_weights_kernel, sums, draws);
  }
  // One block where it makes the sums itself.
  const Index blocks = chunks == 1 ? 1 : (count + kThreads - 1) / kThreads;
  launch(ctx, "draw_rows",
         {blocks, groups, 1, kThreads, static_cast<std::size_t>(chunks) * sizeof(Weight)},
         draw_rows_kernel, row, sums, draws, chunks);
}

}  // namespace ganmm::kernels::cuda
