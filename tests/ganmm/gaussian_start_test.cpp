#include "ganmm/gaussian_start.h"
#include "kernels/core/error.h"
#include "tests/support/random_data.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

namespace ganmm {
namespace {

std::vector<float> random_values(Index count, std::uint64_t stream) {
  const auto values = test::RandomData(stream).reals<float>(count, -1, 1);
  return {values.begin(), values.end()};
}

// Rows of D features, of which the last repeats the first.
std::vector<float> correlated(Index rows, Index features) {
  auto values = random_values(rows * features, 3);
  for (Index r = 0; r < rows; ++r) {
    for (Index i = 1; i < features; ++i) {
      values[static_cast<std::size_t>(r * features + i)] +=
          0.5f * values[static_cast<std::size_t>(r * features + i - 1)];
    }
    values[static_cast<std::size_t>((r + 1) * features - 1)] =
        values[static_cast<std::size_t>(r * features)];
  }
  return values;
}

std::vector<const float*> row_pointers(const std::vector<float>& values, Index features) {
  std::vector<const float*> rows;
  for (std::size_t at = 0; at < values.size(); at += static_cast<std::size_t>(features)) {
    rows.push_back(values.data() + at);
  }
  return rows;
}

double covariance(const std::vector<const float*>& rows, const std::vector<double>& mean, Index i,
                  Index j) {
  double sum = 0;
  for (const float* row : rows) {
    sum += (static_cast<double>(row[i]) - mean[static_cast<std::size_t>(i)]) *
           (static_cast<double>(row[j]) - mean[static_cast<std::size_t>(j)]);
  }
  return sum / static_cast<double>(rows.size());
}

double product(const LowRankGaussian& gaussian, Index i, Index j) {
  double sum = 0;
  for (const auto& factor : gaussian.factor) {
    sum += factor[static_cast<std::size_t>(i)] * factor[static_cast<std::size_t>(j)];
  }
  return sum;
}

}  // namespace

TEST_CASE("Gaussian start: at full rank the factors make the covariance") {
  const Index features = 5;
  const auto values = correlated(200, features);
  const auto rows = row_pointers(values, features);
  const LowRankGaussian gaussian = gaussian_of(rows, features, features);
  CHECK(gaussian.factor.size() == 4);  // nothing is left for the repeated feature
  for (Index i = 0; i < features; ++i) {
    for (Index j = 0; j < features; ++j) {
      CHECK(product(gaussian, i, j) ==
            doctest::Approx(covariance(rows, gaussian.mean, i, j)).epsilon(1e-9));
    }
  }
}

TEST_CASE("Gaussian start: a smaller rank takes the largest variances and adds none") {
  const Index features = 5;
  auto values = correlated(200, features);
  for (std::size_t at = 2; at < values.size(); at += 5) values[at] *= 100;
  const auto rows = row_pointers(values, features);
  const LowRankGaussian one = gaussian_of(rows, features, 1);
  REQUIRE(one.factor.size() == 1);
  CHECK(product(one, 2, 2) == doctest::Approx(covariance(rows, one.mean, 2, 2)));
  for (Index i = 0; i < features; ++i) {
    CHECK(product(one, i, i) <= covariance(rows, one.mean, i, i) * (1 + 1e-12));
  }
}

TEST_CASE("Gaussian start: one row, or equal ones, are a mean alone") {
  const std::vector<float> values{1, 2, 1, 2};
  CHECK(gaussian_of(row_pointers(values, 2), 2, 2).factor.empty());
  CHECK(gaussian_of(row_pointers(values, 4), 4, 2).mean == std::vector<double>{1, 2, 1, 2});
  CHECK_THROWS_AS((void)gaussian_of({}, 2, 2), ShapeError);
}

TEST_CASE("Gaussian start: the generator is affine in its noise") {
  const Index noise = 4, hidden = 7, features = 3;
  CHECK(gaussian_rank(noise, hidden, features) == 3);
  CHECK(gaussian_rank(2, hidden, features) == 2);
  CHECK(gaussian_rank(noise, 5, features) == 2);
  const auto values = correlated(50, features);
  const LowRankGaussian gaussian = gaussian_of(row_pointers(values, features), features, 3);
  REQUIRE(gaussian.factor.size() == 2);
  auto w = random_values(noise * hidden, 1), b = random_values(hidden, 2),
       v = random_values(hidden * features, 3), c = random_values(features, 4);
  make_gaussian({w, b, v, c}, gaussian);
  const auto z = random_values(noise, 5);
  for (std::size_t i = 0; i < 3; ++i) {
    double made = static_cast<double>(c[i]), wanted = gaussian.mean[i];
    for (std::size_t h = 0; h < 7; ++h) {
      double unit = static_cast<double>(b[h]);
      for (std::size_t j = 0; j < 4; ++j) unit += static_cast<double>(z[j] * w[j * 7 + h]);
      made += std::max(unit, 0.0) * static_cast<double>(v[h * 3 + i]);
    }
    for (std::size_t j = 0; j < gaussian.factor.size(); ++j) {
      wanted += static_cast<double>(z[j]) * gaussian.factor[j][i];
    }
    CHECK(made == doctest::Approx(wanted).epsilon(1e-6));
  }
}

}  // namespace ganmm
