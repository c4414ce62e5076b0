// Softmax and argmax of rows in single precision, compiled once per instruction set
// (kernels/cpu/isa.h).
#pragma once

#include "kernels/cpu/isa.h"

#include <cstdint>

namespace ganmm::kernels::cpu {

inline constexpr std::int64_t kMostSoftmaxClasses = 64;

struct SoftmaxRows {
  float* p;  // [rows][classes], may be z; null: labels alone
  std::int64_t p_row;
  std::int32_t* label;  // [rows]
  const float* z;       // [rows][classes]
  std::int64_t z_row;
  std::int64_t rows, classes;  // 1 to kMostSoftmaxClasses classes
  float scale;                 // p = softmax(scale z), scale > 0; label = argmax, first of equals
};

using Softmax = void (*)(const SoftmaxRows&);
Softmax softmax_loops(Isa isa);

namespace baseline {
void softmax(const SoftmaxRows&);
}
namespace avx2 {
void softmax(const SoftmaxRows&);
}
namespace avx512 {
void softmax(const SoftmaxRows&);
}

}  // namespace ganmm::kernels::cpu
