// Where a run is in its schedule, kept in device memory: work that is recorded once and replayed
// (kernels/core/graph.h) reads its random numbers' step and the position of the pool from here.
#pragma once

#include "kernels/core/context.h"
#include "kernels/core/host_device.h"

#include <cstdint>

namespace ganmm::kernels {

struct Clock {
  std::uint32_t step = 0;      // iterations done, pre-training included; RandomKey::counter
  std::int32_t first_row = 0;  // data row of pool row 0 in this iteration
};

// Where the pool of iteration `step` begins: it walks through `rows` data rows in windows of
// `pool`, the last one moved back so that it is full.
GANMM_HOST_DEVICE static inline std::int32_t pool_begin(std::uint32_t step, Index pool,
                                                        Index rows) {
  const Index windows = (rows + pool - 1) / pool;
  const Index first = static_cast<Index>(step) % windows * pool;
  return static_cast<std::int32_t>(first < rows - pool ? first : rows - pool);
}

// step += iterations; first_row = pool_begin(step, pool, rows).
// clock: one element in device memory. Throws ShapeError unless 1 <= pool <= rows < 2^31 and
// iterations >= 0.
void advance(Context& ctx, Clock* clock, Index pool, Index rows, Index iterations = 1);

}  // namespace ganmm::kernels
