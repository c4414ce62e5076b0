// Sums of rows [rows][features], with the scale of their rounding errors.
#pragma once

#include "tests/reference/values.h"

namespace ganmm::reference {

inline Sums row_sums(const Values& x, Index rows, Index features) {
  Sums sums(rows);
  for (Index i = 0; i < rows * features; ++i) sums.add(i / features, x[at(i)]);
  return sums;
}

inline Sums row_squared_norms(const Values& x, Index rows, Index features) {
  Sums sums(rows);
  for (Index i = 0; i < rows * features; ++i) sums.add(i / features, x[at(i)] * x[at(i)]);
  return sums;
}

// Of groups of `per_group` elements each.
inline Sums group_mean(const Values& x, Index groups, Index per_group) {
  Sums sums(groups);
  for (Index i = 0; i < groups * per_group; ++i) {
    sums.add(i / per_group, x[at(i)] / static_cast<double>(per_group));
  }
  return sums;
}

}  // namespace ganmm::reference
