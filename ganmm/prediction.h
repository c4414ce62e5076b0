// Where a model puts points.
#pragma once

#include <cstdint>
#include <vector>

namespace ganmm {

struct Prediction {
  std::vector<std::int32_t> assignments;  // [n]
  std::vector<float> posteriors;          // [n][N]; assignments are their argmax, lowest on ties
  double confidence = 0;                  // mean over points of the largest posterior
  double log_likelihood = 0;              // of all points, of a Gaussian mixture alone
};

}  // namespace ganmm
