// Gaussian mixtures by their definitions, with explicit inverse matrices where the ops have
// factors.
#pragma once

#include "tests/reference/values.h"

#include <cmath>

namespace ganmm::reference {

// -|d P|^2 / 2 for d = x - mean; P [D][D], and the same of the absolute values of all terms.
struct LogDensity {
  double value = 0;
  double scale = 0;
};

inline LogDensity log_density(const double* x, const double* mean, const double* factor,
                              Index features, double offset) {
  double length = 0, scale = 0;
  for (Index j = 0; j < features; ++j) {
    double y = 0, absolute = 0;
    for (Index i = 0; i < features; ++i) {
      const double term = (x[i] - mean[i]) * factor[i * features + j];
      y += term;
      absolute += std::abs(term);
    }
    length += y * y;
    scale += absolute * absolute;
  }
  return {offset - length / 2, std::abs(offset) + scale / 2};
}

// Moments of one component: weights [rows] with a stride, rows [rows][D].
struct Moments {
  Values value;  // [1 + D + D*D]
  Values scale;
};

inline Moments moments(const double* weight, Index weight_stride, const double* x,
                       const double* shift, Index rows, Index features) {
  Moments result;
  result.value.assign(at(1 + features + features * features), 0.0);
  result.scale = result.value;
  const auto add = [&](Index where, double term) {
    result.value[at(where)] += term;
    result.scale[at(where)] += std::abs(term);
  };
  for (Index b = 0; b < rows; ++b) {
    const double w = weight[b * weight_stride];
    add(0, w);
    for (Index i = 0; i < features; ++i) {
      const double d = x[b * features + i] - shift[i];
      add(1 + i, w * d);
      for (Index j = 0; j < features; ++j) {
        add(1 + features + i * features + j, w * d * (x[b * features + j] - shift[j]));
      }
    }
  }
  return result;
}

}  // namespace ganmm::reference
