// bfloat16: the upper half of a single precision number. A storage type, no arithmetic: kernels
// convert to float, compute, and round to nearest (ties to even) when they store.
#pragma once

#include "kernels/core/host_device.h"

#include <cstdint>
#include <type_traits>

namespace ganmm {

struct BFloat16 {
  std::uint16_t bits;

  BFloat16() = default;
  GANMM_HOST_DEVICE explicit BFloat16(float value) {
    std::uint32_t word;
    __builtin_memcpy(&word, &value, sizeof word);
    if ((word & 0x7fffffffu) > 0x7f800000u) {
      bits = static_cast<std::uint16_t>((word >> 16) | 0x40u);  // NaN stays one
    } else {
      bits = static_cast<std::uint16_t>((word + 0x7fffu + ((word >> 16) & 1u)) >> 16);
    }
  }
  explicit BFloat16(double value) : BFloat16(static_cast<float>(value)) {}  // for tests

  GANMM_HOST_DEVICE explicit operator float() const {
    const std::uint32_t word = std::uint32_t{bits} << 16;
    float value;
    __builtin_memcpy(&value, &word, sizeof value);
    return value;
  }
  explicit operator double() const { return static_cast<double>(static_cast<float>(*this)); }
};

// What sums, gradients, statistics and parameters are kept in when activations are stored as T:
// single precision for bfloat16, T itself otherwise.
template <class T>
using Master = std::conditional_t<std::is_same_v<T, BFloat16>, float, T>;

}  // namespace ganmm
