// The product loops, compiled once per instruction set (kernels/cpu/isa.h) and precision.
#pragma once

#include <cstdint>

namespace ganmm::kernels::cpu {

enum class Isa;

// What happens to c = a b before it is stored; `piecewise` is z < 0 ? slope z : z.
enum class Finish { none, relu, piecewise };

// c (=|+=) a b, rows x inner times inner x cols, then bias and finish (only when not accumulating).
// Element (i, j) of a matrix is data[i * row + j * col]; c has col = 1, a and b have one stride 1.
template <class T>
struct Product {
  T* c;
  std::int64_t c_row;
  const T* a;
  std::int64_t a_row, a_col;
  const T* b;
  std::int64_t b_row, b_col;
  std::int64_t rows, cols, inner;
  bool accumulate;
  const T* bias;  // [cols] or null
  Finish finish;
  T slope;
};

// The sum over `inner` runs in the same order, with the same roundings, for every element of a
// column whatever `rows` is and wherever the row stands.
template <class T>
using Multiply = void (*)(const Product<T>& product);

template <class T>
Multiply<T> multiply_loops(Isa isa);

// c (=|+=) a b by the loops of best_isa().
template <class T>
void multiply(const Product<T>& product);

namespace baseline {
void multiply(const Product<float>& product);
void multiply(const Product<double>& product);
}  // namespace baseline
namespace avx2 {
void multiply(const Product<float>& product);
void multiply(const Product<double>& product);
}  // namespace avx2
namespace avx512 {
void multiply(const Product<float>& product);
void multiply(const Product<double>& product);
}  // namespace avx512

}  // namespace ganmm::kernels::cpu
