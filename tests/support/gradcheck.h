// Derivatives by central differences in double precision.
#pragma once

#include "tests/support/tolerances.h"

#include <functional>

namespace ganmm::test {

// The rounding error 2^-53/h and the truncation error h^2 of a central difference meet near
// h = 1e-5 for values and derivatives of order one; both are then about 1e-10.
inline constexpr double kDifferenceStep = 1e-5;
// What remains after third derivatives and sums of some hundred terms; wrong formulas are off by
// far more.
inline constexpr double kGradientRtol = 1e-6;

// d f / d x[i] for every i.
inline Values central_gradient(const std::function<double(const Values&)>& f, const Values& x) {
  Values gradient(x.size());
  Values moved = x;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double step = kDifferenceStep * std::max(1.0, std::abs(x[i]));
    moved[i] = x[i] + step;
    const double above = f(moved);
    moved[i] = x[i] - step;
    const double below = f(moved);
    moved[i] = x[i];
    gradient[i] = (above - below) / (2 * step);
  }
  return gradient;
}

// Derivative of the vector function f at x in a direction.
inline Values central_direction(const std::function<Values(const Values&)>& f, const Values& x,
                                const Values& direction) {
  Values moved = x;
  for (std::size_t i = 0; i < x.size(); ++i) moved[i] += kDifferenceStep * direction[i];
  Values difference = f(moved);
  for (std::size_t i = 0; i < x.size(); ++i) moved[i] = x[i] - kDifferenceStep * direction[i];
  const Values below = f(moved);
  for (std::size_t i = 0; i < difference.size(); ++i) {
    difference[i] = (difference[i] - below[i]) / (2 * kDifferenceStep);
  }
  return difference;
}

// Relative to the largest component, since a difference quotient has the same absolute error in
// every component.
inline void check_gradient(const Values& result, const Values& difference) {
  double largest = 0;
  for (const double value : difference) largest = std::max(largest, std::abs(value));
  check_within(result, difference, Values(difference.size(), kGradientRtol * largest));
}

}  // namespace ganmm::test
