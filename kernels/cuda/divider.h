// Division by a number that the host knows, inside kernels: one high multiplication, one addition
// and one shift instead of some twenty instructions.
#pragma once

#include "kernels/cuda/kernel.h"

#include <cstdint>

namespace ganmm::kernels::cuda {

// n / d for 0 <= n < 2^31 and 1 <= d < 2^31. With 2^s the first power of two that is >= d and
// m = floor(2^32 (2^s - d) / d) + 1, n / d = (high word of m n, plus n) >> s (Granlund and
// Montgomery, "Division by invariant integers using multiplication", PLDI 1994, figure 4.1).
struct Divider {
  std::uint32_t multiplier = 1;
  int shift = 0;

  Divider() = default;
  explicit Divider(Index divisor) {
    while ((Index{1} << shift) < divisor) ++shift;
    const std::uint64_t excess = (std::uint64_t{1} << shift) - static_cast<std::uint64_t>(divisor);
    multiplier =
        static_cast<std::uint32_t>(((excess << 32) / static_cast<std::uint64_t>(divisor)) + 1);
  }
};

GANMM_DEVICE int operator/(int n, const Divider& d) {
  const auto value = static_cast<std::uint32_t>(n);
  const auto high = static_cast<std::uint32_t>((std::uint64_t{value} * d.multiplier) >> 32);
  return static_cast<int>((high + value) >> d.shift);
}

}  // namespace ganmm::kernels::cuda
