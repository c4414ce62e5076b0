// kernels/cuda/mma.h for the host device: the threads of a warp show each other their registers and
// each computes its own part by the layouts given there. Products are exact in double precision
// and rounded once per instruction.
#pragma once

#include "kernels/core/bfloat16.h"
#include "kernels/core/error.h"
#include "kernels/cuda/kernel.h"

#include <cstdint>
#include <cstring>

namespace ganmm::kernels::cuda::device {

inline std::uint32_t round_tf32(std::uint32_t bits) {
  if ((bits & 0x7f800000u) == 0x7f800000u) return bits & 0xffffe000u;
  return (bits + 0x1000u) & 0xffffe000u;
}

// What a thread brings to a multiplication.
struct MmaOperands {
  std::uint32_t a[4], b[2];
};
static_assert(sizeof(MmaOperands) <= host_device::kSlotBytes);

// The operands of lane `lane` while all threads of the warp are between two barriers.
inline MmaOperands operands_of(int lane) {
  MmaOperands operands;
  std::memcpy(&operands, host_device::warp_slot(lane), sizeof operands);
  return operands;
}

// c += a b, where element(register, position) gives the value of one of the elements of a register
// and a register holds `per_register` neighbours along the sum.
template <int per_register, class Element>
void multiply(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
              const Element& element) {
  MmaOperands mine;
  std::memcpy(mine.a, a, sizeof mine.a);
  std::memcpy(mine.b, b, sizeof mine.b);
  const int lane = host_device::current().thread % kWarpSize;
  std::memcpy(host_device::warp_slot(lane), &mine, sizeof mine);
  host_device::warp_barrier();
  const int g = lane / 4;
  const int t = lane % 4;
  double sum[4] = {c[0], c[1], c[2], c[3]};
  for (int quad = 0; quad < 4; ++quad) {  // the thread in whose registers the terms lie
    const MmaOperands rows = operands_of(4 * g + quad);
    for (int col = 0; col < 2; ++col) {
      const MmaOperands cols = operands_of(4 * (2 * t + col) + quad);
      for (int half = 0; half < 2; ++half) {  // of the sum
        for (int p = 0; p < per_register; ++p) {
          const double right = element(cols.b[half], p);
          sum[col] += element(rows.a[2 * half], p) * right;
          sum[2 + col] += element(rows.a[2 * half + 1], p) * right;
        }
      }
    }
  }
  host_device::warp_barrier();
  for (int i = 0; i < 4; ++i) c[i] = static_cast<float>(sum[i]);
}

inline void mma_tf32(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  for (const std::uint32_t bits : {a[0], a[1], a[2], a[3], b[0], b[1]}) {
    if ((bits & 0x1fffu) != 0) throw CudaError("mma_tf32: an operand that is not rounded to tf32");
  }
  multiply<1>(c, a, b, [](std::uint32_t bits, int) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return static_cast<double>(value);
  });
}

inline void mma_bf16(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  multiply<2>(c, a, b, [](std::uint32_t bits, int p) {
    BFloat16 value;
    value.bits = static_cast<std::uint16_t>(bits >> (16 * p));
    return static_cast<double>(value);
  });
}

// Every thread shows its row; read(slot of matrix i) follows.
template <class Read>
void exchange_rows(const void* row, const Read& read) {
  if (reinterpret_cast<std::uintptr_t>(row) % 16 != 0) {
    throw CudaError("load_matrices: a row that is not aligned to 16 bytes");
  }
  std::memcpy(host_device::warp_slot(host_device::current().thread % kWarpSize), row, 16);
  host_device::warp_barrier();
  for (int i = 0; i < 4; ++i) read(i);
  host_device::warp_barrier();
}

inline void load_matrices(std::uint32_t (&r)[4], const void* row) {
  const int lane = host_device::current().thread % kWarpSize;
  exchange_rows(row, [&](int i) {
    const auto* bytes = static_cast<const unsigned char*>(host_device::warp_slot(8 * i + lane / 4));
    std::memcpy(&r[i], bytes + 4 * (lane % 4), 4);
  });
}

inline void load_matrices_transposed(std::uint32_t (&r)[4], const void* row) {
  const int lane = host_device::current().thread % kWarpSize;
  exchange_rows(row, [&](int i) {
    std::uint16_t halves[2];
    for (int p = 0; p < 2; ++p) {
      const void* slot = host_device::warp_slot(8 * i + 2 * (lane % 4) + p);
      std::memcpy(&halves[p], static_cast<const unsigned char*>(slot) + 2 * (lane / 4), 2);
    }
    r[i] = halves[0] | std::uint32_t{halves[1]} << 16;
  });
}

}  // namespace ganmm::kernels::cuda::device
