// The arithmetic of matrix products and convolutions. fp32 means fp32: the others are asked for by
// name and recorded in every result.
#pragma once

#include <string>

namespace ganmm {

enum class MathMode {
  fp32,  // IEEE single precision operands and sums
  tf32,  // operands rounded to nearest with 10 mantissa bits, single precision sums (CUDA only)
  bf16,  // operands and activations stored in bfloat16, single precision sums and masters
};

inline std::string to_string(MathMode mode) {
  switch (mode) {
  case MathMode::fp32: return "fp32";
  case MathMode::tf32: return "tf32";
  case MathMode::bf16: return "bf16";
  }
  return "unknown";
}

}  // namespace ganmm
