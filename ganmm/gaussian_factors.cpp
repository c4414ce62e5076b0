#include "ganmm/gaussian_factors.h"

#include "ganmm/cholesky.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

namespace ganmm {
namespace {

std::size_t size(Index count) { return static_cast<std::size_t>(count); }

[[noreturn]] void refuse(Index component, bool shared) {
  throw Error(message("Gaussian mixture: expected positive definite covariances, found ",
                      shared ? message("the shared one") : message("that of component ", component),
                      " singular; use a larger --regularization, fewer clusters or another "
                      "--covariance"));
}

// Sums of the moments about the component's new mean, [D][D] or the diagonal [D].
void centre_moments(double* out, const double* moments, const double* delta, Index features,
                    bool diagonal) {
  const double count = moments[0];
  const double* first = moments + 1;
  const double* second = first + features;
  const auto centred = [&](double value, Index i, Index j) {
    return value - first[i] * delta[j] - delta[i] * first[j] + count * delta[i] * delta[j];
  };
  for (Index i = 0; i < features; ++i) {
    if (diagonal) {
      out[i] = centred(second[i], i, i);
      continue;
    }
    for (Index j = 0; j < features; ++j) {
      out[i * features + j] = centred(second[i * features + j], i, j);
    }
  }
}

}  // namespace

Index GaussianMixture::covariance_count() const {
  switch (kind) {
  case Covariance::full: return components * features * features;
  case Covariance::tied: return features * features;
  case Covariance::diag: return components * features;
  case Covariance::spherical: return components;
  }
  return 0;
}

Index GaussianMixture::parameters() const {
  const Index triangle = features * (features + 1) / 2;
  const Index of_covariance = kind == Covariance::full   ? components * triangle
                              : kind == Covariance::tied ? triangle
                                                         : covariance_count();
  return of_covariance + components * features + components - 1;
}

GaussianFactors factors_of(const GaussianMixture& mixture) {
  const Index n = mixture.components, features = mixture.features;
  const bool diagonal = has_diagonal_factors(mixture.kind);
  const bool shared = mixture.kind == Covariance::tied;
  const Index each = diagonal ? features : features * features;
  GaussianFactors result;
  result.factor.resize(size((shared ? 1 : n) * each));
  std::vector<double> lower(diagonal ? 0 : size(each));
  std::vector<double> log_determinant;
  for (Index k = 0; k < (shared ? 1 : n); ++k) {
    double* factor = result.factor.data() + k * each;
    if (diagonal) {
      for (Index i = 0; i < features; ++i) {
        const double variance = mixture.kind == Covariance::diag
                                    ? mixture.covariance[size(k * features + i)]
                                    : mixture.covariance[size(k)];
        if (!(variance > 0)) refuse(k, false);
        factor[i] = 1 / std::sqrt(variance);
      }
    } else {
      if (!cholesky(lower.data(), mixture.covariance.data() + k * each, features)) {
        refuse(k, shared);
      }
      inverse_transpose(factor, lower.data(), features);
    }
    double sum = 0;
    for (Index i = 0; i < features; ++i) {
      sum += std::log(factor[diagonal ? i : i * features + i]);
    }
    log_determinant.push_back(sum);
  }
  const double constant = 0.5 * static_cast<double>(features) * std::log(2 * std::numbers::pi);
  for (Index k = 0; k < n; ++k) {
    result.offset.push_back(std::log(mixture.weight[size(k)]) +
                            log_determinant[size(shared ? 0 : k)] - constant);
  }
  return result;
}

DeviceGaussians::DeviceGaussians(Arena& arena, Index mixtures, Covariance kind, Index components,
                                 Index features)
    : kind_(kind), components_(components), features_(features),
      factor_count_(has_diagonal_factors(kind) ? components * features
                    : kind == Covariance::tied ? features * features
                                               : checked_multiply(components, features * features)),
      offset_(arena.request<double>("offsets", mixtures * components)),
      mean_(arena.request<double>("means", mixtures * components * features)),
      factor_(
          arena.request<double>("precision factors", checked_multiply(mixtures, factor_count_))) {}

void DeviceGaussians::upload(Context& ctx, Index slot, const GaussianMixture& mixture,
                             const GaussianFactors& factors) {
  const auto put = [&](double* target, const std::vector<double>& source) {
    ctx.copy_to_device(target, source.data(), source.size() * sizeof(double));
  };
  put(offset_.data() + slot * components_, factors.offset);
  put(mean_.data() + slot * components_ * features_, mixture.mean);
  put(factor_.data() + slot * factor_count_, factors.factor);
}

kernels::GaussianView DeviceGaussians::view(Index first, Index count) const {
  return {count,
          components_,
          features_,
          offset_.data() + first * components_,
          mean_.data() + first * components_ * features_,
          factor_.data() + first * factor_count_,
          has_diagonal_factors(kind_),
          kind_ == Covariance::tied};
}

GaussianMixture mixture_of_moments(std::span<const double> moments, std::span<const double> shift,
                                   Covariance kind, Index components, Index features,
                                   double regularization) {
  // Keeps the mean of a component without points a number, as in scikit-learn.
  constexpr double kNothing = 10 * std::numeric_limits<double>::epsilon();
  const bool diagonal = has_diagonal_factors(kind);
  const Index each = kernels::moment_count(features, diagonal);
  const Index spread = diagonal ? features : features * features;
  GaussianMixture mixture{kind, components, features, {}, {}, {}};
  mixture.covariance.assign(size(mixture.covariance_count()), 0.0);
  std::vector<double> delta(size(features)), centred(size(spread));
  for (Index k = 0; k < components; ++k) {
    const double* own = moments.data() + k * each;
    const double* from = shift.data() + k * features;
    const double count = own[0] + kNothing;
    mixture.weight.push_back(count);
    for (Index i = 0; i < features; ++i) {
      mixture.mean.push_back((own[1 + i] + own[0] * from[i]) / count);
      delta[size(i)] = mixture.mean.back() - from[i];
    }
    centre_moments(centred.data(), own, delta.data(), features, diagonal);
    double* covariance = mixture.covariance.data();
    if (kind == Covariance::spherical) {
      const double sum = std::accumulate(centred.begin(), centred.end(), 0.0);
      covariance[k] = sum / count / static_cast<double>(features) + regularization;
      continue;
    }
    if (kind != Covariance::tied) covariance += k * spread;
    const double divisor = kind == Covariance::tied ? 1.0 : count;
    for (Index e = 0; e < spread; ++e) covariance[e] += centred[size(e)] / divisor;
    if (kind == Covariance::tied) continue;
    for (Index i = 0; i < features; ++i) {
      covariance[diagonal ? i : i * features + i] += regularization;
    }
  }
  const double total = std::accumulate(mixture.weight.begin(), mixture.weight.end(), 0.0);
  for (double& weight : mixture.weight) weight /= total;
  if (kind == Covariance::tied) {
    for (double& value : mixture.covariance) value /= total;
    for (Index i = 0; i < features; ++i) {
      mixture.covariance[size(i * features + i)] += regularization;
    }
  }
  return mixture;
}

double bayes_criterion(const GaussianMixture& mixture, double log_likelihood, Index rows) {
  return static_cast<double>(mixture.parameters()) * std::log(static_cast<double>(rows)) -
         2 * log_likelihood;
}

double akaike_criterion(const GaussianMixture& mixture, double log_likelihood) {
  return 2 * static_cast<double>(mixture.parameters()) - 2 * log_likelihood;
}

}  // namespace ganmm
