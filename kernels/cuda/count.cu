// advance and count_assignments: what is counted between training steps.
//
// count_assignments has one block per mixture: it runs once per check, and one block gives the sum
// of confidences a fixed order without a second pass.
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

}  // namespace ganmm::kernels::cuda
