// Clusters by a Student t kernel, by their definitions. Rows are [B][D], centres [k][D].
#pragma once

#include "tests/reference/distance.h"

#include <cmath>

namespace ganmm::reference {

// q [B][k].
inline Values student_assign(const Values& code, const Values& centre, Index clusters,
                             Index features) {
  Values q;
  for (Index b = 0; b < static_cast<Index>(code.size()) / features; ++b) {
    double sum = 0;
    Values t;
    for (Index j = 0; j < clusters; ++j) {
      t.push_back(1 / (1 + squared_distance(code, b, centre, j, features)));
      sum += t.back();
    }
    for (const double value : t) q.push_back(value / sum);
  }
  return q;
}

inline Values student_frequency(const Values& q, Index clusters) {
  Values f = zeros(clusters);
  for (std::size_t i = 0; i < q.size(); ++i) f[i % at(clusters)] += q[i];
  return f;
}

inline Values student_target(const Values& q, const Values& frequency) {
  Values p;
  for (std::size_t first = 0; first < q.size(); first += frequency.size()) {
    double sum = 0;
    for (std::size_t j = 0; j < frequency.size(); ++j) {
      if (frequency[j] > 0) sum += q[first + j] * q[first + j] / frequency[j];
    }
    for (std::size_t j = 0; j < frequency.size(); ++j) {
      p.push_back(frequency[j] > 0 ? q[first + j] * q[first + j] / frequency[j] / sum : 0.0);
    }
  }
  return p;
}

inline double student_divergence(const Values& p, const Values& q) {
  double sum = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    if (p[i] > 0) sum += p[i] * std::log(p[i] / q[i]);
  }
  return sum;
}

// Gradients of the divergence with their weights. The scales are those of terms with p + q in the
// place of p - q, which cancels.
struct StudentGradient {
  Sums code, centre, weight;
};

inline StudentGradient student_gradient(const Values& code, const Values& centre,
                                        const Values& target, Index clusters, Index features) {
  const Values q = student_assign(code, centre, clusters, features);
  const auto rows = static_cast<Index>(code.size()) / features;
  StudentGradient result{Sums(rows * features), Sums(clusters * features), Sums(rows * clusters)};
  const auto add = [](Sums& sums, Index i, double value, double scale) {
    sums.value[at(i)] += value;
    sums.scale[at(i)] += std::abs(scale);
  };
  for (Index b = 0; b < rows; ++b) {
    for (Index j = 0; j < clusters; ++j) {
      const double t = 1 / (1 + squared_distance(code, b, centre, j, features));
      const Index i = b * clusters + j;
      const double weight = 2 * (target[at(i)] - q[at(i)]) * t;
      const double scale = 2 * (target[at(i)] + q[at(i)]) * t;
      add(result.weight, i, weight, scale);
      for (Index f = 0; f < features; ++f) {
        const double way = code[at(b * features + f)] - centre[at(j * features + f)];
        add(result.code, b * features + f, weight * way, scale * way);
        add(result.centre, j * features + f, -weight * way, scale * way);
      }
    }
  }
  return result;
}

}  // namespace ganmm::reference
