// Grouped matrix product.
#pragma once

#include "tests/reference/values.h"

namespace ganmm::reference {

struct GemmSize {
  Index groups, m, k, l;  // c is m x k, the sums have l terms
};

// a is [N][m][l] ([N][l][m] when transposed), b is [N][l][k] ([N][k][l] when transposed).
inline Sums gemm(const GemmSize& size, const Values& a, bool transpose_a, const Values& b,
                 bool transpose_b) {
  Sums c(size.groups * size.m * size.k);
  for (Index n = 0; n < size.groups; ++n) {
    for (Index i = 0; i < size.m; ++i) {
      for (Index j = 0; j < size.k; ++j) {
        for (Index p = 0; p < size.l; ++p) {
          const Index in_a = transpose_a ? p * size.m + i : i * size.l + p;
          const Index in_b = transpose_b ? j * size.l + p : p * size.k + j;
          c.add((n * size.m + i) * size.k + j,
                a[at(n * size.m * size.l + in_a)] * b[at(n * size.l * size.k + in_b)]);
        }
      }
    }
  }
  return c;
}

}  // namespace ganmm::reference
