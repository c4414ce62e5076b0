// Where a run is in its schedule, kept in device memory: work that is recorded once and replayed
// (kernels/core/graph.h) reads its random numbers' step and the position of the pool from here.
#pragma once

#include "kernels/core/context.h"

#include <cstdint>

namespace ganmm::kernels {

struct Clock {
  std::uint32_t step = 0;      // iterations done, pre-training included; RandomKey::counter
  std::int32_t first_row = 0;  // data row of pool row 0 in this iteration
};

// ++step; first_row walks through `rows` data rows in windows of `pool`, the last one moved back so
// that it is full: min((step mod windows) * pool, rows - pool), windows = ceil(rows / pool).
// clock: one element in device memory. Throws ShapeError unless 1 <= pool <= rows < 2^31.
void advance(Context& ctx, Clock* clock, Index pool, Index rows);

}  // namespace ganmm::kernels
