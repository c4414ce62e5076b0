// k-means: greedy k-means++ seeding and Lloyd iterations, on the ops of kernels/distance.h. The
// method of `ganmm fit --method kmeans`, and the start of the other methods.
//
// Seeding, stopping rule and the treatment of empty clusters are those of scikit-learn 1.9; from
// the same centres both go the same way up to rounding.
// Source: Arthur & Vassilvitskii 2007 (seeding, greedy as in their conclusion); Lloyd 1982.
#pragma once

#include "ganmm/iteration_callbacks.h"
#include "ganmm/prediction.h"
#include "kernels/core/lanes.h"
#include "kernels/core/rng.h"
#include "kernels/core/view.h"

#include <cstdint>
#include <span>
#include <vector>

namespace ganmm {

struct KMeansSettings {
  Index clusters = 0;      // 1 <= k <= n
  Index restarts = 1;      // runs from different seeds; that of the smallest inertia is kept
  Index iterations = 300;  // of a run at most
  // A run ends when no label changes, or when the squared shifts of the centres sum up to at most
  // this share of the features' mean variance.
  double tolerance = 1e-4;
};

struct KMeansResult {
  std::vector<std::int32_t> labels;  // [n]
  std::vector<float> centres;        // [k][D]
  double inertia = 0;                // sum of squared distances to the nearest centre
  Index iterations = 0;              // assignments made, the last one included
  bool converged = false;            // by either rule
  std::vector<double> trace;         // [iterations] inertia, with the centres before they moved
};

// One run from these centres, [k][D]; settings.restarts is not looked at. data: [1][n][item] in the
// memory of lanes.device(). The passes over the data run there; distances and labels come to the
// host after each, where centres are drawn, so this is nothing for a training step.
// A cluster without points takes the point farthest from its own centre, away from that point's
// cluster. Results do not depend on the number of lanes.
// Throws ConfigError unless 1 <= k <= n, ShapeError unless there are k centres.
KMeansResult lloyd(GroupView<const float> data, std::vector<float> centres,
                   const KMeansSettings& settings, Lanes& lanes,
                   const IterationCallbacks& callbacks = {});

struct KMeansRuns {
  KMeansResult best;
  Index chosen = 0;             // its number
  std::vector<double> inertia;  // of all runs; fewer than asked for after a cancellation
  Index iterations = 0;         // of all runs together
  bool cancelled = false;
};

// Run r draws its seeds with key.step + r.
KMeansRuns kmeans(GroupView<const float> data, const KMeansSettings& settings, const RandomKey& key,
                  Lanes& lanes, const IterationCallbacks& callbacks = {});

// The nearest of the centres [k][D], with posterior 1. values: [rows][item].
Prediction predict_nearest(std::span<const float> centres, std::span<const float> values,
                           Index rows, Shape item, Lanes& lanes);

}  // namespace ganmm
