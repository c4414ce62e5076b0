#include "ganmm/gaussian_mixture.h"

#include "ganmm/cholesky.h"
#include "ganmm/gaussian_factors.h"
#include "ganmm/kmeans.h"
#include "kernels/random.h"

#include <algorithm>
#include <cmath>

namespace ganmm {
namespace {

std::size_t size(Index count) { return static_cast<std::size_t>(count); }

// Rows of a task on the CPU, so that sums do not depend on lanes; a GPU takes all rows at once.
Index task_rows(const Lanes& lanes, Index rows) {
  constexpr Index of_cpu = 512;
  return lanes.device().kind == DeviceKind::cpu ? of_cpu : std::max<Index>(rows, 1);
}

// The EM iterations of R mixtures on the same rows. Those that are done give up their place, so
// that the others lie side by side on the device.
class Expectation {
 public:
  Expectation(GroupView<const float> data, const GaussianMixtureSettings& settings, Index restarts,
              Lanes& lanes)
      : data_(data), settings_(settings), lanes_(lanes), rows_(data.batch), n_(settings.clusters),
        features_(data.features()), step_(task_rows(lanes, rows_)),
        chunks_((rows_ + step_ - 1) / step_),
        moment_count_(kernels::moment_count(features_, diagonal())), arena_(lanes.device()),
        gaussians_(arena_, restarts, settings.covariance, n_, features_),
        responsibility_(
            arena_.request<double>("responsibilities", checked_multiply(restarts, rows_ * n_))),
        total_(arena_.request<double>("log-likelihoods", restarts * chunks_)),
        shift_(arena_.request<double>("shifts", restarts * n_ * features_)),
        moment_(arena_.request<double>("moments", checked_multiply(restarts * n_, moment_count_))) {
    lanes.plan_scratch();
    for (int lane = 0; lane < lanes.count(); ++lane) {
      Context& ctx = lanes.context(lane);
      ctx.scratch().require_bytes(kernels::responsibilities_workspace(ctx, restarts, rows_));
      ctx.scratch().require_bytes(
          kernels::moments_workspace(ctx, restarts, n_, rows_, features_, diagonal()));
    }
    lanes.reserve_scratch();
    arena_.reserve();
  }

  // The mixture that the partition [n] alone makes.
  GaussianMixture start(std::span<const std::int32_t> labels) {
    std::vector<double> hard(size(rows_ * n_), 0.0);
    for (Index row = 0; row < rows_; ++row) {
      const std::int32_t label = labels[size(row)];
      require<ShapeError>(label >= 0 && label < n_, "Gaussian mixture: expected labels from 0 to ",
                          n_ - 1, ", found ", label, " for row ", row);
      hard[size(row * n_ + label)] = 1.0;
    }
    lanes_.context(0).copy_to_device(responsibility_.data(), hard.data(),
                                     hard.size() * sizeof(double));
    // About its own means, so that nothing cancels however far from 0 the data are.
    std::vector<double> shift(size(n_ * features_), 0.0);
    shift = step(shift, 1).mean;
    return step(shift, 1);
  }

  // Responsibilities of all rows for the mixtures [A], in their order. Returns the mean over the
  // rows of their log-likelihood.
  std::vector<double> expect(const std::vector<GaussianMixtureFit*>& fits) {
    const auto active = static_cast<Index>(fits.size());
    std::vector<GaussianFactors> factors(fits.size());
    lanes_.for_each(active, [&](int, Index slot) {
      factors[size(slot)] = factors_of(fits[size(slot)]->mixture);
    });
    for (Index slot = 0; slot < active; ++slot) {
      gaussians_.upload(lanes_.context(0), slot, fits[size(slot)]->mixture, factors[size(slot)]);
    }
    const Index together = lanes_.device().kind == DeviceKind::cpu ? 1 : active;
    lanes_.for_each(active / together * chunks_, [&](int lane, Index task) {
      Context& ctx = lanes_.context(lane);
      const Index slot = task / chunks_, chunk = task % chunks_;
      const Index first = chunk * step_, count = std::min(step_, rows_ - first);
      const GroupView<double> density(responsibility_.data() + (slot * rows_ + first) * n_,
                                      together, count, {n_}, rows_ * n_, n_);
      kernels::gaussian_log_density<float>(ctx, density, data_.rows(first, count),
                                           gaussians_.view(slot, together));
      kernels::responsibilities(ctx, total_.data() + slot * chunks_ + chunk, density);
    });
    std::vector<double> totals(size(active * chunks_)), bounds(fits.size(), 0.0);
    download(totals, total_);
    for (std::size_t i = 0; i < totals.size(); ++i) {
      bounds[i / size(chunks_)] += totals[i] / static_cast<double>(rows_);
    }
    return bounds;
  }

  // The mixtures that the responsibilities make, from moments about their present means.
  void maximize(const std::vector<GaussianMixtureFit*>& fits) {
    std::vector<double> shift;
    for (const GaussianMixtureFit* fit : fits) {
      shift.insert(shift.end(), fit->mixture.mean.begin(), fit->mixture.mean.end());
    }
    const std::vector<double> moments = measure(shift, static_cast<Index>(fits.size()));
    lanes_.for_each(static_cast<Index>(fits.size()), [&](int, Index slot) {
      fits[size(slot)]->mixture = mixture_of(moments, shift, slot);
    });
  }

 private:
  bool diagonal() const { return has_diagonal_factors(settings_.covariance); }

  GaussianMixture step(const std::vector<double>& shift, Index active) {
    return mixture_of(measure(shift, active), shift, 0);
  }

  GaussianMixture mixture_of(std::span<const double> moments, std::span<const double> shift,
                             Index slot) const {
    return mixture_of_moments(moments.subspan(size(slot * n_ * moment_count_)),
                              shift.subspan(size(slot * n_ * features_)), settings_.covariance, n_,
                              features_, settings_.regularization);
  }

  // A task on the CPU is a component.
  std::vector<double> measure(const std::vector<double>& shift, Index active) {
    lanes_.context(0).copy_to_device(shift_.data(), shift.data(), shift.size() * sizeof(double));
    const bool cpu = lanes_.device().kind == DeviceKind::cpu;
    lanes_.for_each(cpu ? active * n_ : 1, [&](int lane, Index task) {
      const Index slot = task / n_, component = task % n_;
      const GroupView<const double> weight(responsibility_.data() + slot * rows_ * n_ + component,
                                           cpu ? 1 : active, rows_, {cpu ? 1 : n_}, rows_ * n_, n_);
      kernels::weighted_moments<float>(lanes_.context(lane), moment_.data() + task * moment_count_,
                                       weight, data_, shift_.data() + task * features_, diagonal());
    });
    std::vector<double> moments(size(active * n_ * moment_count_));
    download(moments, moment_);
    return moments;
  }

  void download(std::vector<double>& target, const Buffer<double>& source) {
    lanes_.context(0).copy_to_host(target.data(), source.data(), target.size() * sizeof(double));
  }

  GroupView<const float> data_;
  GaussianMixtureSettings settings_;
  Lanes& lanes_;
  Index rows_, n_, features_;
  Index step_;  // rows
  Index chunks_, moment_count_;
  Arena arena_;
  DeviceGaussians gaussians_;
  Buffer<double> responsibility_;  // [R][n][N]
  Buffer<double> total_;           // [R][chunks]
  Buffer<double> shift_;           // [R][N][D]
  Buffer<double> moment_;          // [R][N][moment_count]
};

}  // namespace

GaussianMixtureRuns fit_gaussian_mixture(GroupView<const float> data,
                                         const GaussianMixtureSettings& settings,
                                         std::span<const std::int32_t> labels, Lanes& lanes,
                                         const IterationCallbacks& callbacks) {
  const Index rows = data.batch, restarts = static_cast<Index>(labels.size()) / rows;
  require<ShapeError>(restarts >= 1 && static_cast<Index>(labels.size()) == restarts * rows,
                      "Gaussian mixture: expected labels [R][", rows, "], found ", labels.size());
  Expectation expectation(data, settings, restarts, lanes);
  std::vector<GaussianMixtureFit> fits(size(restarts));
  std::vector<GaussianMixtureFit*> active;
  for (Index r = 0; r < restarts; ++r) {
    fits[size(r)].mixture = expectation.start(labels.subspan(size(r * rows), size(rows)));
    active.push_back(&fits[size(r)]);
  }
  GaussianMixtureRuns runs;
  for (Index iteration = 0; iteration < settings.iterations && !active.empty(); ++iteration) {
    const std::vector<double> bounds = expectation.expect(active);
    expectation.maximize(active);
    for (std::size_t slot = 0; slot < active.size(); ++slot) {
      GaussianMixtureFit& fit = *active[slot];
      require<Error>(std::isfinite(bounds[slot]), "Gaussian mixture: iteration ", iteration + 1,
                     ": expected a finite log-likelihood, found ", bounds[slot],
                     "; use a larger --regularization or another --scale");
      fit.converged =
          iteration > 0 && std::abs(bounds[slot] - fit.lower_bound) < settings.tolerance;
      fit.lower_bound = bounds[slot];
      fit.trace.push_back(bounds[slot]);
      callbacks.done(iteration);
    }
    std::erase_if(active, [](const GaussianMixtureFit* fit) { return fit->converged; });
    runs.cancelled = callbacks.stop();
    if (runs.cancelled) break;
  }
  for (const GaussianMixtureFit& fit : fits) runs.lower_bound.push_back(fit.lower_bound);
  runs.chosen = std::ranges::max_element(runs.lower_bound) - runs.lower_bound.begin();
  runs.best = std::move(fits[size(runs.chosen)]);
  return runs;
}

std::vector<std::int32_t> gaussian_mixture_start(GroupView<const float> data, Index clusters,
                                                 Index restarts, const RandomKey& key,
                                                 Lanes& lanes) {
  std::vector<std::int32_t> labels;
  for (Index r = 0; r < restarts; ++r) {
    RandomKey own = key;
    own.step += static_cast<std::uint32_t>(r);
    const KMeansRuns runs = kmeans(data, {.clusters = clusters}, own, lanes);
    labels.insert(labels.end(), runs.best.labels.begin(), runs.best.labels.end());
  }
  return labels;
}

Prediction predict_gaussians(const GaussianMixture& mixture, GroupView<const float> data,
                             Lanes& lanes) {
  constexpr Index most_rows = 65536;  // of a task on a GPU
  const Index n = mixture.components, rows = data.batch;
  const Index step = std::min(task_rows(lanes, rows), most_rows);
  const Index chunks = (rows + step - 1) / step;
  Arena arena(lanes.device());
  DeviceGaussians gaussians(arena, 1, mixture.kind, n, mixture.features);
  std::vector<Buffer<double>> density;
  const auto total = arena.request<double>("log-likelihoods", chunks);
  lanes.plan_scratch();
  for (int lane = 0; lane < lanes.count(); ++lane) {
    Context& ctx = lanes.context(lane);
    density.push_back(arena.request<double>("responsibilities", step * n));
    ctx.scratch().require_bytes(kernels::responsibilities_workspace(ctx, 1, step));
  }
  lanes.reserve_scratch();
  arena.reserve();
  const GaussianFactors factors = factors_of(mixture);
  gaussians.upload(lanes.context(0), 0, mixture, factors);

  Prediction prediction;
  prediction.assignments.resize(size(rows));
  prediction.posteriors.resize(size(rows * n));
  std::vector<double> confidence(size(chunks), 0.0), likelihood(size(chunks));
  lanes.for_each(chunks, [&](int lane, Index chunk) {
    Context& ctx = lanes.context(lane);
    const Index first = chunk * step, count = std::min(step, rows - first);
    const GroupView<double> view(density[static_cast<std::size_t>(lane)].data(), 1, count, {n});
    kernels::gaussian_log_density<float>(ctx, view, data.rows(first, count), gaussians.view(0, 1));
    kernels::responsibilities(ctx, total.data() + chunk, view);
    std::vector<double> posterior(size(count * n));
    ctx.copy_to_host(posterior.data(), view.data, posterior.size() * sizeof(double));
    for (Index row = 0; row < count; ++row) {
      const double* own = posterior.data() + row * n;
      const double* best = std::max_element(own, own + n);
      prediction.assignments[size(first + row)] = static_cast<std::int32_t>(best - own);
      confidence[size(chunk)] += *best;
      for (Index k = 0; k < n; ++k) {
        prediction.posteriors[size((first + row) * n + k)] = static_cast<float>(own[k]);
      }
    }
  });
  lanes.context(0).copy_to_host(likelihood.data(), total.data(),
                                likelihood.size() * sizeof(double));
  for (Index chunk = 0; chunk < chunks; ++chunk) {
    prediction.log_likelihood += likelihood[size(chunk)];
    prediction.confidence += confidence[size(chunk)] / static_cast<double>(rows);
  }
  return prediction;
}

std::vector<float> sample_gaussian(const GaussianMixture& mixture, Index component, Index count,
                                   std::uint64_t seed, Lanes& lanes) {
  constexpr Index batch = 1024;  // rows drawn at once
  const Index features = mixture.features;
  const bool diagonal = has_diagonal_factors(mixture.kind);
  std::vector<double> lower;  // Cholesky factor, or the deviations
  if (diagonal) {
    for (Index i = 0; i < features; ++i) {
      lower.push_back(std::sqrt(mixture.kind == Covariance::diag
                                    ? mixture.covariance[size(component * features + i)]
                                    : mixture.covariance[size(component)]));
    }
  } else {
    lower.resize(size(features * features));
    const Index which = mixture.kind == Covariance::tied ? 0 : component;
    require<ConfigError>(
        cholesky(lower.data(), mixture.covariance.data() + which * features * features, features),
        "sample: expected a positive definite covariance of component ", component,
        ", found a singular one; the model file is damaged");
  }
  Arena arena(lanes.device());
  const auto normal = arena.request<float>("normals", batch * features);
  arena.reserve();
  Context& ctx = lanes.context(0);
  std::vector<float> values(size(count * features)), z(size(batch * features));
  const double* mean = mixture.mean.data() + component * features;
  for (Index first = 0; first < count; first += batch) {
    const RandomKey key{seed, Purpose::sample, static_cast<std::uint32_t>(1 + first / batch),
                        static_cast<std::uint32_t>(component)};
    kernels::fill_normal<float>(ctx, {normal.data(), 1, batch, {features}}, 0.0, 1.0, key);
    ctx.copy_to_host(z.data(), normal.data(), z.size() * sizeof(float));
    for (Index row = first; row < std::min(count, first + batch); ++row) {
      const float* own = z.data() + (row - first) * features;
      for (Index i = 0; i < features; ++i) {
        double sum = mean[i];
        for (Index j = diagonal ? i : 0; j <= i; ++j) {
          sum += lower[size(diagonal ? i : i * features + j)] * static_cast<double>(own[j]);
        }
        values[size(row * features + i)] = static_cast<float>(sum);
      }
    }
  }
  return values;
}

}  // namespace ganmm
