// A mixture of N Gaussians, fitted by expectation maximisation from a k-means partition: the method
// of `ganmm fit --method gmm`, on the ops of kernels/gaussian.h.
//
// Start, regularisation and stopping rule are those of scikit-learn 1.9; from the same labels both
// go the same way up to rounding. Everything but the rows is double. The passes over the rows run
// on the device; between them the new covariances are factored on the host, N small matrices, so
// that an iteration is no recorded graph. Source: Dempster, Laird & Rubin 1977; scikit-learn,
// mixture/_gaussian_mixture.py.
#pragma once

#include "ganmm/iteration_callbacks.h"
#include "ganmm/prediction.h"
#include "ganmm/settings.h"
#include "kernels/core/lanes.h"
#include "kernels/core/rng.h"
#include "kernels/core/view.h"

#include <span>
#include <vector>

namespace ganmm {

struct GaussianMixture {
  Covariance kind = Covariance::full;
  Index components = 0, features = 0;
  std::vector<double> weight;  // [N], sums up to 1
  std::vector<double> mean;    // [N][D]
  // full [N][D][D], tied [D][D], diag the variances [N][D], spherical one variance each [N]
  std::vector<double> covariance;

  Index covariance_count() const;  // of the numbers above
  Index parameters() const;        // free ones
};

struct GaussianMixtureSettings {
  Index clusters = 0;
  Covariance covariance = Covariance::full;
  double regularization = 1e-6;  // added to every variance
  double tolerance = 1e-3;       // stops when the mean log-likelihood per row changes by less
  Index iterations = 100;        // at most
};

// One restart's mixture and how it got there.
struct GaussianMixtureFit {
  GaussianMixture mixture;
  double lower_bound = 0;     // mean log-likelihood per row, before the last step
  std::vector<double> trace;  // [iterations] of it
  bool converged = false;
};

struct GaussianMixtureRuns {
  GaussianMixtureFit best;          // of the largest lower bound
  Index chosen = 0;                 // its number
  std::vector<double> lower_bound;  // of all restarts
  bool cancelled = false;
};

// R mixtures side by side, from these labels [R][n] in [0, N). data: [1][n][item] in the memory of
// lanes.device(). Results do not depend on the number of lanes, nor on the other mixtures.
// Throws Error when a covariance is not positive definite.
GaussianMixtureRuns fit_gaussian_mixture(GroupView<const float> data,
                                         const GaussianMixtureSettings& settings,
                                         std::span<const std::int32_t> labels, Lanes& lanes,
                                         const IterationCallbacks& callbacks = {});

// The labels that R restarts begin with: one run of k-means each, restart r with key.step + r.
std::vector<std::int32_t> gaussian_mixture_start(GroupView<const float> data, Index clusters,
                                                 Index restarts, const RandomKey& key,
                                                 Lanes& lanes);

// rows: [1][n][item] in the memory of lanes.device(). Posteriors are responsibilities. A row's
// result does not depend on the other rows.
Prediction predict_gaussians(const GaussianMixture& mixture, GroupView<const float> rows,
                             Lanes& lanes);

// [count][D] draws from one component, made of normals of the lanes' device.
std::vector<float> sample_gaussian(const GaussianMixture& mixture, Index component, Index count,
                                   std::uint64_t seed, Lanes& lanes);

// Smaller is better. log_likelihood: sum over the rows.
double bayes_criterion(const GaussianMixture& mixture, double log_likelihood, Index rows);
double akaike_criterion(const GaussianMixture& mixture, double log_likelihood);

}  // namespace ganmm
