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

void contingency(Context& ctx, std::int32_t* overlap, Index a_count, Index b_count,
                 const std::int32_t* a, const std::int32_t* b, Index rows) {
  require<ShapeError>(a_count >= 1 && b_count >= 1 && rows >= 0 && rows < Index{1} << 31,
                      "contingency: expected at least one label on either side and below 2^31 "
                      "rows, found ",
                      a_count, " x ", b_count, " labels, ", rows, " rows");
  dispatch<float>(
      ctx, "contingency", OpCost{8.0 * static_cast<double>(rows), 0},
      [&](auto& c) { cpu::contingency(c, overlap, a_count, b_count, a, b, rows); },
      [&](auto& c) { cuda::contingency(c, overlap, a_count, b_count, a, b, rows); });
}

void vote(Context& ctx, std::int32_t* winner, const std::int32_t* partition,
          const std::int32_t* match, Index partitions, Index clusters, Index anchor, Index rows) {
  require<ShapeError>(anchor >= 0 && anchor < partitions && clusters >= 1 && rows >= 0,
                      "vote: expected an anchor among ", partitions,
                      " partitions into at least one cluster, found ", anchor, " and ", clusters,
                      " clusters, ", rows, " rows");
  dispatch<float>(
      ctx, "vote", OpCost{4.0 * static_cast<double>((partitions + 1) * rows), 0},
      [&](auto& c) { cpu::vote(c, winner, partition, match, partitions, clusters, anchor, rows); },
      [&](auto& c) {
        cuda::vote(c, winner, partition, match, partitions, clusters, anchor, rows);
      });
}

}  // namespace ganmm::kernels
