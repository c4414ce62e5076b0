// What the passes over the rows need of Gaussian mixtures, beside what is kept of them.
#pragma once

#include "ganmm/gaussian_mixture.h"
#include "kernels/gaussian.h"

#include <span>
#include <vector>

namespace ganmm {

inline bool has_diagonal_factors(Covariance kind) {
  return kind == Covariance::diag || kind == Covariance::spherical;
}

// One mixture as kernels::GaussianView has it.
struct GaussianFactors {
  std::vector<double> offset, factor;
};
// Throws Error that names the component whose covariance is not positive definite.
GaussianFactors factors_of(const GaussianMixture& mixture);

// Several mixtures of one kind and shape on a device.
class DeviceGaussians {
 public:
  DeviceGaussians(Arena& arena, Index mixtures, Covariance kind, Index components, Index features);

  // Puts a mixture on place `slot`; what it was made of must stay until the context has waited.
  void upload(Context& ctx, Index slot, const GaussianMixture& mixture,
              const GaussianFactors& factors);
  // Mixtures [first, first + count).
  kernels::GaussianView view(Index first, Index count) const;

 private:
  Covariance kind_;
  Index components_, features_, factor_count_;
  Buffer<double> offset_, mean_, factor_;
};

// The M-step of one mixture: from the moments [N][moment_count] about `shift` [N][D].
GaussianMixture mixture_of_moments(std::span<const double> moments, std::span<const double> shift,
                                   Covariance kind, Index components, Index features,
                                   double regularization);

}  // namespace ganmm
