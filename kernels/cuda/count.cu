// advance, count_assignments, contingency and vote: what is counted between training steps.
//
// count_assignments has one block per mixture: it runs once per check, and one block gives the sum
// of confidences a fixed order without a second pass. contingency counts in shared memory where the
// table fits and adds the blocks' tables up with integer atomics, which are exact in any order.
// vote compares all partitions with each other, one thread per point: there are few of them, and
// it needs no memory.
#include "kernels/backend.h"
#include "kernels/cuda/kernel.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/scan.h"

namespace ganmm::kernels::cuda {

namespace {

constexpr int kCountThreads = 1024;

GANMM_KERNEL advance_kernel(Clock* clock, Index pool, Index rows, std::uint32_t iterations) {
  const std::uint32_t step = clock->step + iterations;
  clock->step = step;
  clock->first_row = pool_begin(step, pool, rows);
}

GANMM_KERNEL count_assignments_kernel(AssignmentCounts counts, std::int32_t* assigned, Index rows,
                                      PoolView pool, Index first_row, Index skip) {
  GANMM_SHARED(int, shared_counts, device::kWarpSize);
  GANMM_SHARED(double, shared_sums, device::kWarpSize);
  int* size = device::dynamic_shared<int>();  // [components]
  const Index mixture = device::block_index_x();
  const int components = static_cast<int>(pool.components);
  for (int i = device::thread_index_x(); i < components; i += kCountThreads) size[i] = 0;
  device::sync_threads();

  const std::int32_t* label = pool.label + mixture * pool.rows;
  const float* posteriors = pool.posterior + mixture * pool.rows * components;
  assigned += mixture * rows + first_row;
  int changed = 0;
  double confidence = 0;
  for (Index p = skip + device::thread_index_x(); p < pool.rows; p += kCountThreads) {
    const std::int32_t component = label[p];
    changed += component != assigned[p] ? 1 : 0;
    assigned[p] = component;
    device::atomic_add(size + component, 1);
    const float* posterior = posteriors + p * components;
    float largest = posterior[0];
    for (int i = 1; i < components; ++i) largest = largest < posterior[i] ? posterior[i] : largest;
    confidence += static_cast<double>(largest);
  }
  changed = block_prefix_sums(changed, shared_counts).total;
  confidence = block_prefix_sums(confidence, shared_sums).total;
  if (device::thread_index_x() == 0) {
    counts.changed[mixture] += changed;
    counts.confidence[mixture] += confidence;
  }
  for (int i = device::thread_index_x(); i < components; i += kCountThreads) {
    counts.size[mixture * components + i] += size[i];
  }
}

// cells: of the table, if it is kept in shared memory, else 0.
GANMM_KERNEL contingency_kernel(std::int32_t* overlap, Index b_count, const std::int32_t* a,
                                const std::int32_t* b, Index rows, int cells) {
  std::int32_t* table = cells > 0 ? device::dynamic_shared<std::int32_t>() : overlap;
  for (int cell = device::thread_index_x(); cell < cells; cell += device::block_size_x()) {
    table[cell] = 0;
  }
  device::sync_threads();
  const Index step = Index{device::grid_size_x()} * device::block_size_x();
  for (Index p = Index{device::block_index_x()} * device::block_size_x() + device::thread_index_x();
       p < rows; p += step) {
    device::atomic_add(table + (a[p] * b_count + b[p]), 1);
  }
  device::sync_threads();
  for (int cell = device::thread_index_x(); cell < cells; cell += device::block_size_x()) {
    if (table[cell] != 0) device::atomic_add(overlap + cell, table[cell]);
  }
}

GANMM_KERNEL vote_kernel(std::int32_t* winner, const std::int32_t* partition,
                         const std::int32_t* match, Index partitions, Index clusters, Index anchor,
                         Index rows) {
  const Index p =
      Index{device::block_index_x()} * device::block_size_x() + device::thread_index_x();
  if (p >= rows) return;
  const auto choice = [&](Index r) { return match[r * clusters + partition[r * rows + p]]; };
  const std::int32_t of_anchor = choice(anchor);
  std::int32_t best = of_anchor;
  int most = 0;  // the anchor's label comes first and keeps ties
  for (Index r = -1; r < partitions; ++r) {
    const std::int32_t label = r < 0 ? of_anchor : choice(r);
    int count = 0;
    for (Index s = 0; s < partitions; ++s) count += choice(s) == label ? 1 : 0;
    if (count > most || (count == most && best != of_anchor && label < best)) {
      best = label;
      most = count;
    }
  }
  winner[p] = best;
}

}  // namespace

void advance(Context& ctx, Clock* clock, Index pool, Index rows, Index iterations) {
  launch(ctx, "advance", {1, 1, 1, 1}, advance_kernel, clock, pool, rows,
         static_cast<std::uint32_t>(iterations));
}

void count_assignments(Context& ctx, const AssignmentCounts& counts, std::int32_t* assigned,
                       Index rows, const PoolView& pool, Index first_row, Index skip) {
  if (pool.mixtures == 0 || skip == pool.rows) return;
  launch(
      ctx, "count_assignments",
      {pool.mixtures, 1, 1, kCountThreads, static_cast<std::size_t>(pool.components) * sizeof(int)},
      count_assignments_kernel, counts, assigned, rows, pool, first_row, skip);
}

void contingency(Context& ctx, std::int32_t* overlap, Index a_count, Index b_count,
                 const std::int32_t* a, const std::int32_t* b, Index rows) {
  const Index cells = checked_multiply(a_count, b_count);
  const auto bytes = static_cast<std::size_t>(cells) * sizeof(std::int32_t);
  ctx.clear(overlap, bytes);
  if (rows == 0) return;
  const bool in_shared = bytes <= kStaticSharedLimit;
  const Index blocks =
      std::min((rows + kElementThreads - 1) / kElementThreads, resident_blocks(ctx));
  launch(ctx, "contingency", {blocks, 1, 1, kElementThreads, in_shared ? bytes : 0},
         contingency_kernel, overlap, b_count, a, b, rows, in_shared ? static_cast<int>(cells) : 0);
}

void vote(Context& ctx, std::int32_t* winner, const std::int32_t* partition,
          const std::int32_t* match, Index partitions, Index clusters, Index anchor, Index rows) {
  if (rows == 0) return;
  launch(ctx, "vote", {(rows + kElementThreads - 1) / kElementThreads, 1, 1, kElementThreads},
         vote_kernel, winner, partition, match, partitions, clusters, anchor, rows);
}

}  // namespace ganmm::kernels::cuda
