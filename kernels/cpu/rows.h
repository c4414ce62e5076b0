// Loops over the elements of grouped views, and sums in a fixed order.
#pragma once

#include "kernels/core/view.h"

namespace ganmm::kernels::cpu {

// The contiguous stretches of a group: all items as one where every view allows it, else an item
// each. Stretch r of a view starts at row(group, r).
struct Stretches {
  Index count;
  Index length;
};

template <class First, class... Rest>
Stretches stretches(const First& first, const Rest&... rest) {
  const bool joined = first.rows_contiguous() && (rest.rows_contiguous() && ...);
  if (joined) return {1, first.batch * first.features()};
  return {first.batch, first.features()};
}

// sum of term(i) for i in [0, count), in double. Eight interleaved partial sums keep the additions
// independent, so the loop vectorises without reordering: the order depends on `count` alone.
template <class Term>
double sum_terms(Index count, Term term) {
  constexpr Index kLanes = 8;
  double lane[kLanes] = {};
  Index i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (Index l = 0; l < kLanes; ++l) lane[l] += static_cast<double>(term(i + l));
  }
  for (Index l = 0; i < count; ++i, ++l) lane[l] += static_cast<double>(term(i));
  return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

template <class T>
double row_sum(const T* row, Index count) {
  return sum_terms(count, [row](Index i) { return row[i]; });
}

template <class T>
double squared_norm(const T* row, Index count) {
  return sum_terms(count, [row](Index i) {
    const double value = static_cast<double>(row[i]);
    return value * value;
  });
}

}  // namespace ganmm::kernels::cpu
