// How well a partition keeps neighbours together: the label-free measure by which restarts are
// chosen. A partition that cuts through dense regions separates points from their nearest
// neighbours; confidence does not see that, since a classifier can be sure of any border.
#pragma once

#include "kernels/core/lanes.h"

#include <cstdint>
#include <span>
#include <vector>

namespace ganmm {

// The nearest neighbours, by Euclidean distance, of up to 2000 of the given rows, evenly spaced,
// among each other: what it costs does not grow with the data set.
class Neighbours {
 public:
  // values: [...][features]; rows: at least one of them.
  Neighbours(std::span<const float> values, Index features, std::span<const Index> rows,
             Lanes& lanes);

  // Over all pairs of a point and one of its (at most 10) neighbours, the share that carries one
  // label, corrected for chance: (share - c) / (1 - c), c the share expected of labels of these
  // frequencies in random order. 1 at most, 0 for such labels, and for a single cluster.
  // label: of the given rows, >= 0. The form is Cohen's kappa (1960).
  double agreement(std::span<const std::int32_t> label) const;

  // Of such an agreement, with every point as one independent observation.
  double standard_error(double agreement) const;

 private:
  Index rows_;
  std::vector<Index> sample_;     // places among the given rows
  std::vector<Index> neighbour_;  // [sample][per point], places as well
};

}  // namespace ganmm
