// What the references work on: packed doubles, in the axis order of the op headers, [N] outermost.
// References are naive loops that follow the definitions; they share no code with the kernels.
#pragma once

#include "kernels/core/shape.h"

#include <vector>

namespace ganmm::reference {

using Values = std::vector<double>;

inline std::size_t at(Index index) { return static_cast<std::size_t>(index); }
inline Values zeros(Index count) { return Values(at(count), 0.0); }

// Sums with the sum of the absolute values of their terms, the scale of their rounding error.
struct Sums {
  Values value;
  Values scale;

  explicit Sums(Index count) : value(zeros(count)), scale(zeros(count)) {}
  void add(Index i, double term) {
    value[at(i)] += term;
    scale[at(i)] += term < 0 ? -term : term;
  }
};

}  // namespace ganmm::reference
