// Test data that depends on a fixed seed and a stream number alone. The engine and the conversions
// are specified to the bit, so a failure seen on one machine can be repeated on another.
#pragma once

#include "tests/support/tolerances.h"

#include <cstdint>
#include <random>

namespace ganmm::test {

inline constexpr std::uint64_t kDataSeed = 20210531;

class RandomData {
 public:
  explicit RandomData(std::uint64_t stream) : engine_(kDataSeed + 1000003 * stream) {}

  // In [low, high], both included. Small ones make sums of products exact in either precision.
  Index integer(Index low, Index high) {
    const auto span = static_cast<std::uint64_t>(high - low + 1);
    return low + static_cast<Index>(engine_() % span);
  }
  Values integers(Index count, Index low, Index high) {
    Values values(static_cast<std::size_t>(count));
    for (double& value : values) value = static_cast<double>(integer(low, high));
    return values;
  }

  // In [low, high), with the full mantissa of T.
  template <class T>
  double real(double low, double high) {
    const double unit = static_cast<double>(engine_() >> 11) * 0x1p-53;
    return static_cast<double>(static_cast<T>(low + (high - low) * unit));
  }
  template <class T>
  Values reals(Index count, double low, double high) {
    Values values(static_cast<std::size_t>(count));
    for (double& value : values) value = real<T>(low, high);
    return values;
  }
  // Either sign, magnitude in [low, high): away from zero, where kinks lie.
  template <class T>
  Values signed_reals(Index count, double low, double high) {
    Values values = reals<T>(count, low, high);
    for (double& value : values) value *= (engine_() & 1) != 0 ? 1.0 : -1.0;
    return values;
  }

 private:
  std::mt19937_64 engine_;
};

// Every width in which a vector loop may have a tail of its own.
inline const std::vector<Index> kWidths = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12,
                                           13, 14, 15, 16, 17, 31, 32, 33, 63, 64, 65, 129};
inline const std::vector<Index> kGroupCounts = {1, 2, 7};

}  // namespace ganmm::test
