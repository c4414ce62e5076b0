#include "kernels/count.h"

#include "kernels/backend.h"
#include "kernels/dispatch/dispatch.h"

namespace ganmm::kernels {

void advance(Context& ctx, Clock* clock, Index pool, Index rows, Index iterations) {
  require<ShapeError>(pool >= 1 && pool <= rows && rows < Index{1} << 31,
                      "advance: expected a pool of 1 to ", rows,
                      " rows of a data set below 2^31 rows, found ", pool);
  require<ShapeError>(iterations >= 0, "advance: expected a number of iterations, found ",
                      iterations);
  dispatch<float>(
      ctx, "advance", OpCost{}, [&](auto& c) { cpu::advance(c, clock, pool, rows, iterations); },
      [&](auto& c) { cuda::advance(c, clock, pool, rows, iterations); });
}

void count_assignments(Context& ctx, const AssignmentCounts& counts, std::int32_t* assigned,
                       Index rows, const PoolView& pool, Index first_row, Index skip) {
  require<ShapeError>(skip >= 0 && skip <= pool.rows && first_row >= 0 &&
                          first_row + pool.rows <= rows,
                      "count_assignments: expected a pool within ", rows, " rows, found rows [",
                      first_row + skip, ", ", first_row + pool.rows, ")");
  dispatch<float>(
      ctx, "count_assignments",
      OpCost{static_cast<double>(pool.mixtures * pool.rows) *
                 (12.0 + 4.0 * static_cast<double>(pool.components)),
             0},
      [&](auto& c) { cpu::count_assignments(c, counts, assigned, rows, pool, first_row, skip); },
      [&](auto& c) { cuda::count_assignments(c, counts, assigned, rows, pool, first_row, skip); });
}

}  // namespace ganmm::kernels
