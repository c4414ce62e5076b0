// Gradient penalty of one group of gradients [B][features].
#pragma once

#include "tests/reference/values.h"

#include <cmath>

namespace ganmm::reference {

inline double row_norm(const Values& g, Index b, Index features) {
  double sum = 0;
  for (Index f = 0; f < features; ++f) sum += g[at(b * features + f)] * g[at(b * features + f)];
  return std::sqrt(sum);
}

inline double penalty(const Values& g, Index batch, Index features, double lambda) {
  double sum = 0;
  for (Index b = 0; b < batch; ++b) sum += std::pow(row_norm(g, b, features) - 1, 2);
  return lambda * sum / static_cast<double>(batch);
}

inline Values penalty_direction(const Values& g, Index batch, Index features, double lambda) {
  Values v = zeros(batch * features);
  for (Index b = 0; b < batch; ++b) {
    const double norm = row_norm(g, b, features);
    if (norm <= 1e-12) continue;
    for (Index f = 0; f < features; ++f) {
      v[at(b * features + f)] =
          2 * lambda / static_cast<double>(batch) * (1 - 1 / norm) * g[at(b * features + f)];
    }
  }
  return v;
}

}  // namespace ganmm::reference
