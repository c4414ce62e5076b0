#include "kernels/backend.h"

#include <algorithm>

namespace ganmm::kernels::cpu {

void advance(Context&, Clock* clock, Index pool, Index rows, Index iterations) {
  clock->step += static_cast<std::uint32_t>(iterations);
  clock->first_row = pool_begin(clock->step, pool, rows);
}

void count_assignments(Context&, const AssignmentCounts& counts, std::int32_t* assigned, Index rows,
                       const PoolView& pool, Index first_row, Index skip) {
  for (Index r = 0; r < pool.mixtures; ++r) {
    for (Index p = skip; p < pool.rows; ++p) {
      const std::int32_t component = pool.label[r * pool.rows + p];
      std::int32_t& before = assigned[r * rows + first_row + p];
      counts.changed[r] += component != before;
      before = component;
      ++counts.size[r * pool.components + component];
      const float* posterior = pool.posterior + (r * pool.rows + p) * pool.components;
      counts.confidence[r] +=
          static_cast<double>(*std::max_element(posterior, posterior + pool.components));
    }
  }
}

}  // namespace ganmm::kernels::cpu
