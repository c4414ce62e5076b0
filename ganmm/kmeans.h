// k-means: k-means++ seeding and Lloyd iterations, on the ops of kernels/distance.h.
// Source: Arthur & Vassilvitskii 2007 (seeding); Lloyd 1982.
#pragma once

#include "kernels/core/lanes.h"
#include "kernels/core/rng.h"
#include "kernels/core/view.h"

#include <cstdint>
#include <vector>

namespace ganmm {

struct KMeansResult {
  std::vector<std::int32_t> labels;  // [n]
  std::vector<float> centres;        // [k][D]
  double inertia = 0;                // sum of squared distances to the nearest centre
  Index iterations = 0;
};

// One run. data: [1][n][item] in the memory of lanes.device(). `key` keeps runs apart. The passes
// over the data run there; distances and labels come to the host after each, where centres are
// drawn, so this is nothing for a training step.
// Stops when no label changes or after 300 iterations. A centre without points moves to the point
// farthest from its own centre. Results do not depend on the number of lanes.
// Throws ConfigError unless 1 <= k <= n.
KMeansResult kmeans(GroupView<const float> data, Index k, const RandomKey& key, Lanes& lanes);

}  // namespace ganmm
