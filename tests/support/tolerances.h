// How results are compared with the double-precision references, and how far apart they may be.
//
// |result - reference| <= rtol * scale, where the scale of a sum is the sum of the absolute values
// of its terms: the sum itself may cancel. Where a case allows exact results it asks for equality.
#pragma once

#include "kernels/core/bfloat16.h"
#include "kernels/core/error.h"
#include "kernels/core/shape.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

namespace ganmm::test {

using Values = std::vector<double>;

// Largest relative error of one rounded operation: 2^-24 for float, 2^-53 for double, 2^-8 for
// bfloat16.
template <class T>
constexpr double unit_roundoff() {
  if constexpr (std::is_same_v<T, BFloat16>) {
    return 0x1p-8;
  } else {
    return static_cast<double>(std::numeric_limits<T>::epsilon()) / 2;
  }
}

// Relative to the sum of absolute terms, for a sum of k rounded products in any order. Up to 64
// terms the worst case (k + 1 roundings); beyond, rounding errors behave like a random walk, and 8
// standard deviations of it meet the worst case at k = 64.
template <class T>
double reduction_rtol(Index k) {
  const auto terms = static_cast<double>(k);
  return unit_roundoff<T>() * (k < 64 ? terms + 1 : 8 * std::sqrt(terms));
}

inline Values scaled(Values values, double factor) {
  for (double& value : values) value *= factor;
  return values;
}

inline bool all_zero(const Values& values) {
  return std::all_of(values.begin(), values.end(), [](double value) { return value == 0; });
}

// Empty when every element is within its own allowance, else one line about the worst element.
inline std::string describe_mismatch(const Values& result, const Values& expected,
                                     const Values& allowed) {
  if (result.size() != expected.size() || result.size() != allowed.size()) {
    return message(result.size(), " results, ", expected.size(), " expected, ", allowed.size(),
                   " allowances");
  }
  std::size_t worst = 0;
  double worst_ratio = 0;
  std::size_t outside = 0;
  for (std::size_t i = 0; i < result.size(); ++i) {
    const double error = std::abs(result[i] - expected[i]);
    const bool within = error <= allowed[i] || result[i] == expected[i];
    if (within) continue;
    ++outside;
    const double ratio = std::isfinite(error) && allowed[i] > 0
                             ? error / allowed[i]
                             : std::numeric_limits<double>::infinity();
    if (ratio > worst_ratio) {
      worst = i;
      worst_ratio = ratio;
    }
  }
  if (outside == 0) return {};
  std::ostringstream out;
  out.precision(10);
  out << outside << " of " << result.size() << " elements differ; worst [" << worst
      << "]: " << result[worst] << ", expected " << expected[worst] << " +- " << allowed[worst]
      << ", off by " << worst_ratio << " allowances";
  return out.str();
}

// Data that makes every expected value zero would let an op that does nothing pass.
inline void check_within(const Values& result, const Values& expected, const Values& allowed) {
  CHECK_MESSAGE((expected.empty() || !all_zero(expected)), "the expected values are all zero");
  CHECK(describe_mismatch(result, expected, allowed) == "");
}

inline void check_equal(const Values& result, const Values& expected) {
  check_within(result, expected, Values(expected.size(), 0.0));
}

inline void check_zero(const Values& result) {
  CHECK(describe_mismatch(result, Values(result.size(), 0.0), Values(result.size(), 0.0)) == "");
}

inline bool all_finite(const Values& values) {
  return std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

inline double dot(const Values& a, const Values& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

inline double absolute_dot(const Values& a, const Values& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::abs(a[i] * b[i]);
  return sum;
}

inline Values operator+(Values a, const Values& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  return a;
}

}  // namespace ganmm::test
