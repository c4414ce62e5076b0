// Cholesky factors of small dense matrices in double precision, on the host: the covariances of a
// Gaussian mixture, N matrices per EM iteration beside its passes over the rows.
// Source: Golub & Van Loan, Matrix Computations, 4.2.
#pragma once

#include "kernels/core/shape.h"

namespace ganmm {

// A = L L^T. a: [n][n] symmetric, of which the lower triangle is read; factor [n][n] gets L, zeros
// above the diagonal, and may be `a`. False when A is not positive definite: the factor is then
// incomplete.
bool cholesky(double* factor, const double* a, Index n);

// P = L^-T, upper triangular with zeros below the diagonal, so that A^-1 = P P^T. The two may not
// be the same.
void inverse_transpose(double* p, const double* factor, Index n);

}  // namespace ganmm
