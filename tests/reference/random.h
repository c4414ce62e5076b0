// Philox 4x32-10 written after the paper, and the distributions in double precision.
// Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
#pragma once

#include "kernels/core/rng.h"

#include <array>
#include <cmath>
#include <cstdint>

namespace ganmm::reference {

using Words = std::array<std::uint32_t, 4>;

inline Words philox(Words counter, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = 3528531795ull * counter[0];  // 0xD2511F53
    const std::uint64_t b = 3449720151ull * counter[2];  // 0xCD9E8D57
    const auto high = [](std::uint64_t p) { return static_cast<std::uint32_t>(p >> 32); };
    const auto low = [](std::uint64_t p) { return static_cast<std::uint32_t>(p); };
    counter = {high(b) ^ counter[1] ^ key[0], low(b), high(a) ^ counter[3] ^ key[1], low(a)};
    key = {key[0] + 2654435769u, key[1] + 3144134277u};  // golden ratio, sqrt(3) - 1
  }
  return counter;
}

// The word of element e of a group: the layout kernels/core/rng.h promises.
inline std::uint32_t word(const RandomKey& key, std::uint32_t group, std::uint64_t element) {
  const Words words =
      philox({static_cast<std::uint32_t>(element / 4), key.first_group + group, key.step,
              static_cast<std::uint32_t>(key.purpose)},
             {static_cast<std::uint32_t>(key.seed), static_cast<std::uint32_t>(key.seed >> 32)});
  return words[element % 4];
}

inline double uniform(std::uint32_t word) { return static_cast<double>(word >> 8) / 16777216; }

struct PolarPair {
  double radius, first, second;
};

inline PolarPair box_muller(std::uint32_t w0, std::uint32_t w1) {
  const double u = (static_cast<double>(w0 >> 8) + 1) / 16777216;
  const double angle = 2 * 3.14159265358979323846 * uniform(w1);
  const double radius = std::sqrt(-2 * std::log(u));
  return {radius, radius * std::cos(angle), radius * std::sin(angle)};
}

}  // namespace ganmm::reference
