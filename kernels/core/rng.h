// The one stream of random numbers: Philox 4x32-10, a counter-based generator.
//
// A number is a pure function of (seed, purpose, group, step, element): the key is the seed, the
// counter is (element / 4, group, step, purpose) and the element picks one of the four words. So
// the same numbers come out on every backend, for every thread count and launch shape.
//
// Uniforms are 24-bit multiples of 2^-24 in [0, 1). Normals are Box-Muller pairs from own
// polynomials in single precision, built only from +, -, *, sqrt without fused multiply-add, all
// of which IEEE 754 rounds alike everywhere: host and device give the same bits. Sources that
// include this header must therefore be compiled with -ffp-contract=off on the host where they
// target FMA machines (kernels/cpu/random_loops_*.cpp are).
//
// The functions are `static` because this header is compiled for several instruction sets: a shared
// out-of-line copy could otherwise be one that needs AVX-512 (kernels/cpu/isa.h).
//
// Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011;
// log and sine/cosine coefficients: minimax fits derived here, errors in docs/numerics.md.
#pragma once

#include "kernels/core/host_device.h"

#include <cmath>
#include <cstdint>

namespace ganmm {

// What a number is for. The value enters the counter: never renumber.
enum class Purpose : std::uint32_t {
  initial_weights = 1,
  noise = 2,            // generator input of critic steps
  generator_noise = 3,  // generator input of the generator step
  interpolation = 4,    // alpha of the gradient penalty
  real_rows = 5,        // which data rows make a critic batch
  classifier_noise = 6,
  shuffle = 7,    // permutation of the data set
  partition = 8,  // random initial partition
  kmeans = 9,
  sample = 10,
  split = 11,            // 2-means halves of the largest component
  embedding_rows = 12,   // order of an autoencoder's batches
  embedding_noise = 13,  // what it adds to its inputs
  clustering_rows = 14,  // order of DEC's batches
  embedding_warp = 15,   // how it sees its images
  clustering_warp = 16,  // how DEC does
};

struct RandomKey {
  std::uint64_t seed = 0;
  Purpose purpose{};
  std::uint32_t step = 0;
  std::uint32_t first_group = 0;  // group g of a view draws as group first_group + g
  // With a counter, in the memory of the device that draws, the step is step + *counter *
  // per_count: work that is recorded once and replayed draws other numbers each time
  // (kernels/core/graph.h).
  const std::uint32_t* counter = nullptr;
  std::uint32_t per_count = 0;
};

GANMM_HOST_DEVICE static inline std::uint32_t step_of(const RandomKey& key) {
  return key.counter == nullptr ? key.step : key.step + *key.counter * key.per_count;
}

struct Philox {
  std::uint32_t word[4];
};

inline constexpr std::uint32_t kPhiloxM0 = 0xD2511F53u;  // multipliers
inline constexpr std::uint32_t kPhiloxM1 = 0xCD9E8D57u;
inline constexpr std::uint32_t kPhiloxW0 = 0x9E3779B9u;  // key increments
inline constexpr std::uint32_t kPhiloxW1 = 0xBB67AE85u;

GANMM_HOST_DEVICE static inline Philox philox(std::uint64_t key, std::uint32_t c0, std::uint32_t c1,
                                              std::uint32_t c2, std::uint32_t c3) {
  auto k0 = static_cast<std::uint32_t>(key);
  auto k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{kPhiloxM0} * c0;
    const std::uint64_t p1 = std::uint64_t{kPhiloxM1} * c2;
    const std::uint32_t n0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
    const std::uint32_t n2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<std::uint32_t>(p1);
    c3 = static_cast<std::uint32_t>(p0);
    c0 = n0;
    c2 = n2;
    k0 += kPhiloxW0;
    k1 += kPhiloxW1;
  }
  return {{c0, c1, c2, c3}};
}

// The four words that hold elements 4*quad .. 4*quad+3 of a group.
GANMM_HOST_DEVICE static inline Philox philox(const RandomKey& key, std::uint32_t group,
                                              std::uint32_t quad) {
  return philox(key.seed, quad, key.first_group + group, step_of(key),
                static_cast<std::uint32_t>(key.purpose));
}

GANMM_HOST_DEVICE static inline float uniform01(std::uint32_t word) {
  return static_cast<float>(word >> 8) * 0x1p-24f;
}

// An integer in [0, bound), bound >= 1: the high half of a 64-bit product (bias below bound/2^32).
GANMM_HOST_DEVICE static inline std::uint32_t uniform_below(std::uint32_t word,
                                                            std::uint32_t bound) {
  return static_cast<std::uint32_t>((std::uint64_t{word} * bound) >> 32);
}

// An integer in [0, bound), bound >= 1, from 64 random bits: the high half of a 128-bit product
// (bias below bound / 2^64). Unlike a remainder it moves by little when the bound does.
GANMM_HOST_DEVICE static inline std::uint64_t uniform_below_64(std::uint64_t word,
                                                               std::uint64_t bound) {
  const std::uint64_t mask = 0xffffffffu;
  const std::uint64_t low = (word & mask) * (bound & mask);
  const std::uint64_t cross = (word >> 32) * (bound & mask) + (low >> 32);
  const std::uint64_t other = (word & mask) * (bound >> 32) + (cross & mask);
  return (word >> 32) * (bound >> 32) + (cross >> 32) + (other >> 32);
}

// Single operations that the compiler must not contract into a fused multiply-add.
GANMM_HOST_DEVICE static inline float mul_rn(float a, float b) {
#if defined(__CUDA_ARCH__)
  return __fmul_rn(a, b);
#else
  return a * b;
#endif
}
GANMM_HOST_DEVICE static inline float add_rn(float a, float b) {
#if defined(__CUDA_ARCH__)
  return __fadd_rn(a, b);
#else
  return a + b;
#endif
}
GANMM_HOST_DEVICE static inline float sqrt_rn(float a) {
#if defined(__CUDA_ARCH__)
  return __fsqrt_rn(a);
#else
  return std::sqrt(a);
#endif
}

// -2 ln(u) for u = (word >> 8 + 1) * 2^-24 in (0, 1]. u = 2^e m with m in [2/3, 4/3);
// ln m = 2 atanh(s), s = (m - 1)/(m + 1), odd polynomial in s, |s| <= 1/5.
GANMM_HOST_DEVICE static inline float minus_two_log(std::uint32_t word) {
  const std::uint32_t n = (word >> 8) + 1;  // 1 .. 2^24, exact as a float
  const float value = static_cast<float>(n);
  std::uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  // Adding 0x3f800000 - 0x3f2aaaab splits at 2/3 instead of at 1.
  const std::uint32_t shifted = bits + (0x3f800000u - 0x3f2aaaabu);
  const auto exponent = static_cast<std::int32_t>(shifted >> 23) - 127;
  const std::uint32_t mantissa_bits = (shifted & 0x007fffffu) + 0x3f2aaaabu;
  float m;
  __builtin_memcpy(&m, &mantissa_bits, sizeof m);
  const float s = add_rn(m, -1.0f) / add_rn(m, 1.0f);
  const float z = mul_rn(s, s);
  float p = 0.1173827f;  // ~ 1/9, absorbs the tail
  p = add_rn(mul_rn(p, z), 0.14281107f);
  p = add_rn(mul_rn(p, z), 0.20000093f);
  p = add_rn(mul_rn(p, z), 0.33333332f);
  const float log_m = mul_rn(2.0f, add_rn(s, mul_rn(mul_rn(s, z), p)));
  const auto e = static_cast<float>(exponent - 24);
  const float log_u = add_rn(mul_rn(e, 0.69314718056f), log_m);
  const float result = mul_rn(-2.0f, log_u);
  return result > 0.0f ? result : 0.0f;  // u = 1 may leave -0 or a last-bit residue
}

struct NormalPair {
  float first, second;
};

// Two independent standard normals from two words.
GANMM_HOST_DEVICE static inline NormalPair box_muller(std::uint32_t w0, std::uint32_t w1) {
  const float radius = sqrt_rn(minus_two_log(w0));
  // The angle is 2 pi t, t = (w1 >> 8) 2^-24. It is split into the nearest quarter turn and
  // a rest in [-1/8, 1/8) turns, where short polynomials are exact to about 1 ulp.
  const std::uint32_t turn = w1 >> 8;
  const std::uint32_t quadrant = ((turn + (1u << 21)) >> 22) & 3u;
  const auto centred = static_cast<std::int32_t>(turn) -
                       static_cast<std::int32_t>(((turn + (1u << 21)) >> 22) << 22);
  const float x = mul_rn(static_cast<float>(centred), 0x1p-24f * 6.28318530718f);
  const float z = mul_rn(x, x);
  float sp = -1.9515296e-4f;
  sp = add_rn(mul_rn(sp, z), 8.3321609e-3f);
  sp = add_rn(mul_rn(sp, z), -1.6666655e-1f);
  const float sine = add_rn(x, mul_rn(mul_rn(x, z), sp));
  float cp = 2.4433157e-5f;
  cp = add_rn(mul_rn(cp, z), -1.3887316e-3f);
  cp = add_rn(mul_rn(cp, z), 4.1666646e-2f);
  const float cosine = add_rn(add_rn(1.0f, mul_rn(-0.5f, z)), mul_rn(mul_rn(z, z), cp));
  const bool swap = (quadrant & 1u) != 0;
  const float c = swap ? sine : cosine;
  const float s = swap ? cosine : sine;
  const float cos_sign = (quadrant == 1u || quadrant == 2u) ? -1.0f : 1.0f;
  const float sin_sign = (quadrant >= 2u) ? -1.0f : 1.0f;
  return {mul_rn(radius, mul_rn(cos_sign, c)), mul_rn(radius, mul_rn(sin_sign, s))};
}

}  // namespace ganmm
