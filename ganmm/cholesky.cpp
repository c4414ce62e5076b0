#include "ganmm/cholesky.h"

#include <algorithm>
#include <cmath>

namespace ganmm {
namespace {

// Four partial sums: additions that do not wait for each other.
double dot(const double* a, const double* b, Index count) {
  double part[4] = {};
  Index i = 0;
  for (; i + 4 <= count; i += 4) {
    for (Index l = 0; l < 4; ++l) part[l] += a[i + l] * b[i + l];
  }
  for (; i < count; ++i) part[0] += a[i] * b[i];
  return (part[0] + part[2]) + (part[1] + part[3]);
}

}  // namespace

bool cholesky(double* factor, const double* a, Index n) {
  for (Index i = 0; i < n; ++i) {
    double* row = factor + i * n;
    for (Index j = 0; j < i; ++j) {
      const double* other = factor + j * n;
      row[j] = (a[i * n + j] - dot(row, other, j)) / other[j];
    }
    const double pivot = a[i * n + i] - dot(row, row, i);
    if (!(pivot > 0)) return false;  // also NaN
    row[i] = std::sqrt(pivot);
    std::fill(row + i + 1, row + n, 0.0);
  }
  return true;
}

void inverse_transpose(double* p, const double* factor, Index n) {
  // Row j of P is column j of L^-1: L x = e_j, solved from element j on.
  for (Index j = 0; j < n; ++j) {
    double* x = p + j * n;
    std::fill(x, x + j, 0.0);
    x[j] = 1 / factor[j * n + j];
    for (Index i = j + 1; i < n; ++i) {
      const double* row = factor + i * n;
      x[i] = -dot(row + j, x + j, i - j) / row[i];
    }
  }
}

}  // namespace ganmm
