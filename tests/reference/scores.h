// Critics' scores as logits, by their definitions.
#pragma once

#include "tests/reference/values.h"

#include <cmath>

namespace ganmm::reference {

// Mean and root of the mean squared deviation of one critic's scores [rows >= 1].
struct ScoreStatistics {
  double mean = 0;
  double deviation = 0;
};

inline ScoreStatistics score_statistics(const double* score, Index rows) {
  ScoreStatistics s;
  for (Index b = 0; b < rows; ++b) s.mean += score[b] / static_cast<double>(rows);
  double squares = 0;
  for (Index b = 0; b < rows; ++b) squares += std::pow(score[b] - s.mean, 2);
  s.deviation = std::sqrt(squares / static_cast<double>(rows));
  return s;
}

// [R][rows][N] from scores [R*N][rows]; centre and scale [R*N].
inline Values joined_scores(const Values& score, const Values& centre, const Values& scale,
                            Index mixtures, Index components, Index rows) {
  Values logits;
  for (Index r = 0; r < mixtures; ++r) {
    for (Index b = 0; b < rows; ++b) {
      for (Index i = 0; i < components; ++i) {
        const Index g = r * components + i;
        logits.push_back((score[at(g * rows + b)] - centre[at(g)]) * scale[at(g)]);
      }
    }
  }
  return logits;
}

}  // namespace ganmm::reference
