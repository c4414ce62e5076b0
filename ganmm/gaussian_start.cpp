#include "ganmm/gaussian_start.h"

#include "kernels/core/error.h"

#include <algorithm>
#include <cmath>

namespace ganmm {

LowRankGaussian gaussian_of(std::span<const float* const> rows, Index features, Index rank) {
  require<ShapeError>(!rows.empty(), "Gaussian start: expected at least one row, found none");
  const auto size = static_cast<std::size_t>(features);
  const double share = 1.0 / static_cast<double>(rows.size());
  LowRankGaussian gaussian;
  gaussian.mean.assign(size, 0.0);
  for (const float* row : rows) {
    for (std::size_t i = 0; i < size; ++i) gaussian.mean[i] += static_cast<double>(row[i]) * share;
  }
  std::vector<double> left(size, 0.0);  // variances that the factors so far leave
  const auto deviation = [&](const float* row, std::size_t i) {
    return static_cast<double>(row[i]) - gaussian.mean[i];
  };
  for (const float* row : rows) {
    for (std::size_t i = 0; i < size; ++i) {
      left[i] += deviation(row, i) * deviation(row, i) * share;
    }
  }
  const double negligible = 1e-10 * *std::ranges::max_element(left);
  while (static_cast<Index>(gaussian.factor.size()) < rank) {
    const auto pivot = static_cast<std::size_t>(std::ranges::max_element(left) - left.begin());
    if (!(left[pivot] > negligible)) break;
    std::vector<double> column(size, 0.0);  // of the covariance, then of what is left of it
    for (const float* row : rows) {
      const double weight = deviation(row, pivot) * share;
      for (std::size_t i = 0; i < size; ++i) column[i] += weight * deviation(row, i);
    }
    for (const std::vector<double>& factor : gaussian.factor) {
      for (std::size_t i = 0; i < size; ++i) column[i] -= factor[pivot] * factor[i];
    }
    const double root = std::sqrt(left[pivot]);
    for (std::size_t i = 0; i < size; ++i) {
      column[i] /= root;
      left[i] -= column[i] * column[i];
    }
    left[pivot] = 0;
    gaussian.factor.push_back(std::move(column));
  }
  return gaussian;
}

Index gaussian_rank(Index noise, Index hidden, Index features) {
  return std::min({noise, hidden / 2, features});
}

void make_gaussian(const GeneratorWeights& weights, const LowRankGaussian& gaussian) {
  const std::size_t features = weights.output_bias.size(), units = weights.hidden_bias.size();
  const std::size_t noise = weights.hidden.size() / units;
  std::ranges::fill(weights.hidden_bias, 0.0f);
  std::ranges::fill(weights.output, 0.0f);
  for (std::size_t j = 0; j < gaussian.factor.size(); ++j) {
    for (const std::size_t unit : {2 * j, 2 * j + 1}) {
      const float sign = unit % 2 == 0 ? 1.0f : -1.0f;
      for (std::size_t z = 0; z < noise; ++z) {
        weights.hidden[z * units + unit] = z == j ? sign : 0.0f;
      }
      for (std::size_t i = 0; i < features; ++i) {
        weights.output[unit * features + i] = sign * static_cast<float>(gaussian.factor[j][i]);
      }
    }
  }
  for (std::size_t i = 0; i < features; ++i) {
    weights.output_bias[i] = static_cast<float>(gaussian.mean[i]);
  }
}

}  // namespace ganmm
