// R mixtures that start differently, and what they agree on: training of `ganmm` beyond one
// Trainer.
//
// From random partitions the mixtures find borders that follow the shape of the data, each others;
// from Gaussian mixtures they keep to compact clusters. Either kind alone fails on some data sets
// where the other does well, and their errors differ. So of both kinds the better half is kept, by
// the share of neighbours that stay together (ganmm/neighbours.h), and the kept ones vote.
#pragma once

#include "ganmm/fit.h"

#include <vector>

namespace ganmm {

// The trainings that resolved settings stand for: one, or with InitialPartition::mixed two, the
// restarts of the first before those of the second: random partitions, and Gaussian mixtures (from
// 100 features on k-means, whose work does not grow with their square) for a quarter of the
// iterations.
std::vector<Settings> trainings_of(const Settings& settings, Shape item);

// Trains, chooses or combines; fills training, model (but for scaling and columns), chosen_restart,
// kept_restarts and agreement of `result`. data.values are scaled.
void fit_restarts(FitResult& result, const Settings& settings, io::Dataset& data,
                  const FitOptions& options, const FitCallbacks& callbacks);

}  // namespace ganmm
