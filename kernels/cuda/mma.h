// Matrix instructions of a warp (PTX ISA, "Matrix multiply-accumulate using mma instruction"). All
// 32 threads take part in each; a matrix is spread over their registers.
//
// With g = lane / 4 and t = lane % 4, c += a b has c 16 x 8: thread (g, t) holds
//   c[0..3]   (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1)
// tf32, a 16 x 8, b 8 x 8:
//   a[0..3]   (g, t), (g + 8, t), (g, t + 4), (g + 8, t + 4)
//   b[0..1]   (t, g), (t + 4, g)
// bfloat16, a 16 x 16, b 16 x 8, two neighbours along the sum in a register, the first one low:
//   a[0..3]   (g, 2t..), (g + 8, 2t..), (g, 2t + 8..), (g + 8, 2t + 8..)
//   b[0..1]   (2t.., g), (2t + 8.., g)
//
// Devices before compute capability 8.0 have neither; there the same sums are made of shuffles,
// many times slower. The host device has its own version of this file.
#pragma once

#include "kernels/cuda/kernel.h"

#include <cstdint>

namespace ganmm::kernels::cuda::device {

// To nearest with 10 mantissa bits, ties away from zero. The instruction would ignore the bits
// below, that is truncate.
GANMM_DEVICE std::uint32_t round_tf32(std::uint32_t bits) {
#if __CUDA_ARCH__ >= 800
  std::uint32_t rounded;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(rounded) : "f"(__uint_as_float(bits)));
  return rounded;
#else
  if ((bits & 0x7f800000u) != 0x7f800000u) bits += 0x1000u;
  return bits & 0xffffe000u;
#endif
}

// c += a b by shuffles; value(register, p) is neighbour p of the `per_register` in a register.
template <int per_register, class Value>
GANMM_DEVICE void multiply_by_shuffles(float (&c)[4], const std::uint32_t (&a)[4],
                                       const std::uint32_t (&b)[2], Value value) {
  const int lane = thread_index_x() % kWarpSize;
  const int rows = lane / 4 * 4;
  const int cols = lane % 4 * 8;
#pragma unroll 1
  for (int quad = 0; quad < 4; ++quad) {  // the thread in whose registers the terms lie
    for (int half = 0; half < 2; ++half) {
      const std::uint32_t upper = shuffle(a[2 * half], rows + quad);
      const std::uint32_t lower = shuffle(a[2 * half + 1], rows + quad);
      const std::uint32_t left = shuffle(b[half], cols + quad);
      const std::uint32_t right = shuffle(b[half], cols + 4 + quad);
      for (int p = 0; p < per_register; ++p) {
        c[0] += value(upper, p) * value(left, p);
        c[1] += value(upper, p) * value(right, p);
        c[2] += value(lower, p) * value(left, p);
        c[3] += value(lower, p) * value(right, p);
      }
    }
  }
}

// Operands must be rounded to tf32.
GANMM_DEVICE void mma_tf32(float (&c)[4], const std::uint32_t (&a)[4],
                           const std::uint32_t (&b)[2]) {
#if __CUDA_ARCH__ >= 800
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  multiply_by_shuffles<1>(c, a, b, [](std::uint32_t bits, int) { return __uint_as_float(bits); });
#endif
}

GANMM_DEVICE void mma_bf16(float (&c)[4], const std::uint32_t (&a)[4],
                           const std::uint32_t (&b)[2]) {
#if __CUDA_ARCH__ >= 800
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  multiply_by_shuffles<2>(c, a, b, [](std::uint32_t bits, int p) {
    return __uint_as_float(p == 0 ? bits << 16 : bits & 0xffff0000u);
  });
#endif
}

// Loads four 8 x 8 matrices of 16-bit elements from shared memory. Thread l names row l % 8 of
// matrix l / 8, 16 aligned bytes; matrix i goes to r[i], where thread (g, t) gets elements 2t and
// 2t + 1 of row g. With 32-bit elements the same is an 8 x 4 matrix, element t of row g.
GANMM_DEVICE void load_matrices(std::uint32_t (&r)[4], const void* row) {
  const auto shared = static_cast<unsigned>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared));
}

// The same transposed: thread (g, t) gets element g of rows 2t and 2t + 1.
GANMM_DEVICE void load_matrices_transposed(std::uint32_t (&r)[4], const void* row) {
  const auto shared = static_cast<unsigned>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared));
}

}  // namespace ganmm::kernels::cuda::device
