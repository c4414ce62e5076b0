// Cross-entropy against softmax and sigmoid, by their definitions.
#pragma once

#include "kernels/loss.h"
#include "tests/reference/select.h"
#include "tests/reference/values.h"

#include <cmath>

namespace ganmm::reference {

using kernels::CrossEntropySettings;

// [G][real + fake]: (sigmoid(f) - 1) / real, sigmoid(f) / fake.
inline Values logistic_signal(const Values& score, Index real, Index fake) {
  Values d;
  for (std::size_t e = 0; e < score.size(); ++e) {
    const bool is_real = static_cast<Index>(e) % (real + fake) < real;
    d.push_back(is_real ? -1 / (1 + std::exp(score[e])) / static_cast<double>(real)
                        : 1 / (1 + std::exp(-score[e])) / static_cast<double>(fake));
  }
  return d;
}

inline double cross_entropy_target(const CrossEntropySettings& settings, bool is_label,
                                   Index classes) {
  return (is_label ? 1 - settings.label_smoothing : 0.0) +
         settings.label_smoothing / static_cast<double>(classes);
}

// Mean over the rows of one group.
inline double cross_entropy(const Values& logits, const std::vector<std::int32_t>& label,
                            Index classes, const CrossEntropySettings& settings) {
  const auto rows = static_cast<Index>(label.size());
  double loss = 0;
  for (Index b = 0; b < rows; ++b) {
    Values row(logits.begin() + b * classes, logits.begin() + (b + 1) * classes);
    if (settings.double_softmax) row = softmax(row, 1);
    double largest = row[0];
    for (const double value : row) largest = std::max(largest, value);
    double sum = 0;
    for (const double value : row) sum += std::exp(value - largest);
    for (Index k = 0; k < classes; ++k) {
      const double log_q = row[at(k)] - largest - std::log(sum);
      loss -= cross_entropy_target(settings, k == label[at(b)], classes) * log_q;
    }
  }
  return loss / static_cast<double>(rows);
}

// Gradient of the mean for the rows of one group.
inline Values cross_entropy_gradient(const Values& logits, const std::vector<std::int32_t>& label,
                                     Index classes, const CrossEntropySettings& settings) {
  const auto rows = static_cast<Index>(label.size());
  Values gradient;
  for (Index b = 0; b < rows; ++b) {
    const Values row(logits.begin() + b * classes, logits.begin() + (b + 1) * classes);
    const Values p = softmax(row, 1);
    const Values q = settings.double_softmax ? softmax(p, 1) : p;
    Values d(at(classes));
    for (Index k = 0; k < classes; ++k) {
      d[at(k)] = q[at(k)] - cross_entropy_target(settings, k == label[at(b)], classes);
    }
    if (settings.double_softmax) {  // through the inner softmax: p (d - <p, d>)
      double inner = 0;
      for (Index k = 0; k < classes; ++k) inner += p[at(k)] * d[at(k)];
      for (Index k = 0; k < classes; ++k) d[at(k)] = p[at(k)] * (d[at(k)] - inner);
    }
    for (const double value : d) gradient.push_back(value / static_cast<double>(rows));
  }
  return gradient;
}

}  // namespace ganmm::reference
