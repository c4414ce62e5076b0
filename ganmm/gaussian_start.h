// Generators that begin as Gaussians. A generator with one hidden layer of rectified units can be
// affine in its noise exactly, since z = relu(z) - relu(-z): a pair of units carries a noise
// coordinate, and the output layer maps the coordinates to a Gaussian with the mean and the
// covariance of given rows. A random start takes some thousand iterations to get mean and spread
// right, and until then the classifier tells components apart by what they got wrong.
#pragma once

#include "kernels/core/shape.h"

#include <span>
#include <string>
#include <vector>

namespace ganmm {

// x = mean + sum over j of z[j] factor[j], z standard normal.
struct LowRankGaussian {
  std::vector<double> mean;                 // [D]
  std::vector<std::vector<double>> factor;  // [at most rank][D]
};

// That of at least one row of D features: the covariance (divisor: the number of rows) to this rank
// by its Cholesky factorisation with the largest remaining variance first; fewer factors where
// nothing remains. rank * D * rows steps, no D x D matrix.
// Source: N. J. Higham, Accuracy and Stability of Numerical Algorithms, 10.3.
LowRankGaussian gaussian_of(std::span<const float* const> rows, Index features, Index rank);

// The weights of one such generator, noise -> hidden (relu) -> features.
struct GeneratorWeights {
  std::span<float> hidden;       // [noise][hidden]
  std::span<float> hidden_bias;  // [hidden]
  std::span<float> output;       // [hidden][features]
  std::span<float> output_bias;  // [features]
};

// The rank that such a generator has room for.
Index gaussian_rank(Index noise, Index hidden, Index features);

// Makes the generator this Gaussian. Units beyond the pairs keep their input weights and begin
// without effect.
void make_gaussian(const GeneratorWeights& weights, const LowRankGaussian& gaussian);

}  // namespace ganmm
