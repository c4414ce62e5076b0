// Signs that a clustering is worth little, seen without labels.
#pragma once

#include "ganmm/fit.h"

#include <string>

namespace ganmm {

// What looks wrong with a result and what to try, as one line; empty where nothing does:
//   clusters without points, or with fewer than a fiftieth of the mean size n / N;
//   a cluster with more than 95 % of all points (N >= 2);
//   restarts whose posteriors are not numbers;
//   mean largest posterior closer to that of a guess, 1 / N, than a quarter of the way to 1
//   (GANMM and Gaussian mixtures).
// The bounds are rules of thumb: partitions of the bundled data that agree with the classes stay
// far from all of them.
std::string diagnose(const FitResult& result);

}  // namespace ganmm
