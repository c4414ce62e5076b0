// R mixtures that start differently, and what they agree on: training of `ganmm` beyond one
// Trainer.
//
// Mixtures whose generators learn as fast as the critics leave the Gaussian mixture they start from
// and find borders that follow the shape of the data; on small or intertwined data they lose a good
// start. Mixtures whose generators learn slowly keep to it. Either kind alone fails on some data
// sets, so both are trained, and the consensus (ganmm/consensus.h) of those that stay counts,
// unless that of the others keeps nearest neighbours together (ganmm/neighbours.h) better by more
// than a standard error. Source of that rule: L. Breiman, J. Friedman, R. Olshen and C. Stone,
// Classification and Regression Trees, 1984, 3.4.3.
#pragma once

#include "ganmm/fit.h"

#include <vector>

namespace ganmm {

// The trainings that resolved settings stand for: one, or with InitialPartition::mixed two, the
// restarts of the first before those of the second: staying (half), for half of the iterations, and
// wandering, with generators and critics at one rate. Both start from Gaussian mixtures, from
// 100 features on from k-means, whose work does not grow with their square.
std::vector<Settings> trainings_of(const Settings& settings, Shape item);

// The training that goes on from a partition that resolved settings have found: half of the
// restarts, for half of the iterations, staying.
Settings continued(const Settings& settings);

// Trains on Settings::sample rows, chooses or combines; fills training, model (but for scaling and
// columns), chosen_restart, kept_restarts and agreement of `result`. data.values are scaled.
void fit_restarts(FitResult& result, const Settings& settings, io::Dataset& data,
                  const FitOptions& options, const FitCallbacks& callbacks);

}  // namespace ganmm
