// Bounds for tests of random numbers. All use fixed seeds, so a test passes always or never; the
// bounds say how unlikely a correct generator would have been to miss them.
#pragma once

#include "tests/support/tolerances.h"

#include <cmath>

namespace ganmm::test {

// e^-14 is about one in a million.
inline constexpr double kLogRisk = 14;

// A chi-square variable with `freedom` degrees exceeds this with probability at most e^-14
// (Laurent & Massart 2000, lemma 1).
inline double chi_square_bound(double freedom) {
  return freedom + 2 * std::sqrt(freedom * kLogRisk) + 2 * kLogRisk;
}

inline double chi_square(const Values& observed, const Values& expected) {
  double sum = 0;
  for (std::size_t i = 0; i < observed.size(); ++i) {
    const double difference = observed[i] - expected[i];
    sum += difference * difference / expected[i];
  }
  return sum;
}

// Five standard errors: passed by a correct mean in all but one of 1.7 million runs.
inline constexpr double kStandardErrors = 5;

// Largest distance of an empirical distribution function exceeds this with probability at most
// 2 e^-14 (Dvoretzky, Kiefer, Wolfowitz; Massart 1990).
inline double kolmogorov_bound(double samples) { return std::sqrt(kLogRisk / (2 * samples)); }

}  // namespace ganmm::test
