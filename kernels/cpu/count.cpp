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

void contingency(Context&, std::int32_t* overlap, Index a_count, Index b_count,
                 const std::int32_t* a, const std::int32_t* b, Index rows) {
  std::fill_n(overlap, a_count * b_count, 0);
  for (Index p = 0; p < rows; ++p) ++overlap[a[p] * b_count + b[p]];
}

void vote(Context&, std::int32_t* winner, const std::int32_t* partition, const std::int32_t* match,
          Index partitions, Index clusters, Index anchor, Index rows) {
  for (Index p = 0; p < rows; ++p) {
    const auto choice = [&](Index r) { return match[r * clusters + partition[r * rows + p]]; };
    const auto votes = [&](std::int32_t label) {
      Index count = 0;
      for (Index r = 0; r < partitions; ++r) count += choice(r) == label;
      return count;
    };
    const std::int32_t of_anchor = choice(anchor);
    std::int32_t best = of_anchor;
    Index most = votes(best);
    for (Index r = 0; r < partitions; ++r) {
      const std::int32_t label = choice(r);
      const Index count = votes(label);
      if (count > most || (count == most && best != of_anchor && label < best)) {
        best = label;
        most = count;
      }
    }
    winner[p] = best;
  }
}

}  // namespace ganmm::kernels::cpu
