// The single precision product loops, compiled once per instruction set (kernels/cpu/isa.h).
#pragma once

#include <cstdint>

namespace ganmm::kernels::cpu {

enum class Isa;

// What happens to c = a b before it is stored; `piecewise` is z < 0 ? slope z : z.
enum class Finish { none, relu, piecewise };

// c (=|+=) a b, rows x inner times inner x cols, then bias and finish (only when not accumulating).
// Element (i, j) of a matrix is data[i * row + j * col]; c has col = 1, a and b have one stride 1.
struct Product {
  float* c;
  std::int64_t c_row;
  const float* a;
  std::int64_t a_row, a_col;
  const float* b;
  std::int64_t b_row, b_col;
  std::int64_t rows, cols, inner;
  bool accumulate;
  const float* bias;  // [cols] or null
  Finish finish;
  float slope;
};

// The sum over `inner` runs in the same order, with the same roundings, for every element of a
// column whatever `rows` is and wherever the row stands.
using Multiply = void (*)(const Product& product);

Multiply multiply_loops(Isa isa);

namespace baseline {
void multiply(const Product& product);
}
namespace avx2 {
void multiply(const Product& product);
}
namespace avx512 {
void multiply(const Product& product);
}

}  // namespace ganmm::kernels::cpu
