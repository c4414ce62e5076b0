#include "ganmm/fit.h"

#include "ganmm/device_rows.h"
#include "ganmm/restarts.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <utility>

namespace ganmm {
namespace {

// Centres of the scaled rows; the model's other parts are the caller's.
void fit_kmeans(FitResult& result, const Settings& s, GroupView<const float> rows, Lanes& lanes,
                const IterationCallbacks& callbacks) {
  result.kmeans = kmeans(rows,
                         {.clusters = s.clusters,
                          .restarts = s.restarts,
                          .iterations = s.iterations,
                          .tolerance = s.tolerance},
                         {s.seed, Purpose::kmeans}, lanes, callbacks);
  const KMeansRuns& runs = *result.kmeans;
  result.model.centres = runs.best.centres;
  result.chosen_restart = runs.chosen;
  result.training.iterations = runs.best.iterations;
  result.training.converged = runs.best.converged;
  result.training.cancelled = runs.cancelled;
}

void fit_gaussians(FitResult& result, const Settings& s, GroupView<const float> rows, Lanes& lanes,
                   const IterationCallbacks& callbacks) {
  const auto start =
      gaussian_mixture_start(rows, s.clusters, s.restarts, {s.seed, Purpose::kmeans}, lanes);
  result.gaussians = fit_gaussian_mixture(rows,
                                          {.clusters = s.clusters,
                                           .covariance = s.covariance,
                                           .regularization = s.regularization,
                                           .tolerance = s.tolerance,
                                           .iterations = s.iterations},
                                          start, lanes, callbacks);
  const GaussianMixtureRuns& runs = *result.gaussians;
  result.model.gaussians = runs.best.mixture;
  result.chosen_restart = runs.chosen;
  result.training.iterations = static_cast<Index>(runs.best.trace.size());
  result.training.converged = runs.best.converged;
  result.training.cancelled = runs.cancelled;
}

void fit_dec(FitResult& result, const Settings& s, GroupView<const float> rows, Lanes& lanes,
             const IterationCallbacks& each, const FitCallbacks& callbacks) {
  const DecResult found =
      fit_dec(rows, s.autoencoder(), s.dec(), lanes, {each, callbacks.refreshed});
  result.model.encoder = found.encoder;
  result.model.centres = found.centres;
  result.training.iterations = found.iterations;
  result.training.converged = found.converged;
  result.training.cancelled = found.cancelled;
}

void fit_baseline(FitResult& result, const Settings& settings, const io::Dataset& data,
                  const FitOptions& options, const FitCallbacks& callbacks) {
  Lanes lanes(options.device, options.math, options.threads, options.conv_path);
  const auto begin = std::chrono::steady_clock::now();
  const DeviceRows rows(data.values, data.rows, data.item, lanes);
  const IterationCallbacks each{callbacks.training.progress, callbacks.training.cancelled};
  if (settings.method == Method::kmeans) {
    fit_kmeans(result, settings, rows.view(), lanes, each);
  } else if (settings.method == Method::gmm) {
    fit_gaussians(result, settings, rows.view(), lanes, each);
  } else {
    fit_dec(result, settings, rows.view(), lanes, each, callbacks);
  }
  result.training.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  result.model.settings = settings;
  result.model.settings.restarts = 1;
  result.model.item = data.item;
}

// The mixtures on the codes of an autoencoder that is trained before them: once on the codes as
// they are, and then, from the clusters found, on codes that were refined by these.
void fit_codes(FitResult& result, const Settings& settings, const io::Dataset& data,
               const FitOptions& options, const FitCallbacks& callbacks) {
  const AutoencoderSettings autoencoder = settings.autoencoder().resolved(data.rows);
  const Index training = autoencoder.epochs * steps_per_epoch(data.rows, autoencoder.batch);
  const auto stopped = [&] {
    return callbacks.training.cancelled && callbacks.training.cancelled();
  };
  const auto each = [&](Index of) {
    IterationCallbacks steps{{}, callbacks.training.cancelled};
    if (callbacks.embedding) {
      steps.progress = [&, of](Index step) { callbacks.embedding(step + 1, of); };
    }
    return steps;
  };
  io::Dataset codes;
  codes.rows = data.rows;
  codes.item = {settings.codes};
  Embedding embedding;
  // Adds the seconds of what it calls, and has lanes of its own: the mixtures have theirs.
  const auto timed = [&](const auto& work) {
    const auto begin = std::chrono::steady_clock::now();
    Lanes lanes(options.device, options.math, options.threads, options.conv_path);
    work(lanes);
    codes.values = embed(embedding, data.values, data.rows, lanes);
    result.training.seconds +=
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };

  timed(
      [&](Lanes& lanes) { embedding = train_embedding(data, autoencoder, lanes, each(training)); });
  const bool refines = settings.refine > 0 && !stopped();
  FitCallbacks quiet = callbacks;
  quiet.training.report = {};
  fit_restarts(result, settings, codes, options, refines ? quiet : callbacks);
  if (refines && !stopped()) {
    const Embedding plain = embedding;
    FitOptions from = options;
    timed([&](Lanes& lanes) {
      const auto found = predict(result.model, codes.values, data.rows, lanes).assignments;
      from.initial = refine_embedding(embedding, data, found, settings.refine, autoencoder, lanes,
                                      each(settings.refine));
    });
    FitResult again;
    again.training.seconds = result.training.seconds;
    if (!stopped()) fit_restarts(again, continued(settings), codes, from, callbacks);
    if (stopped()) {  // what is finished is better than what has begun
      embedding = plain;
      result.training.cancelled = true;
    } else {
      result = std::move(again);
    }
  }
  result.model.embedding = std::move(embedding);
  result.model.item = data.item;
}

}  // namespace

FitResult fit(io::Dataset& data, const FitOptions& options, const FitCallbacks& callbacks) {
  const Settings settings = options.settings.resolved(data.rows, data.item);
  const Index features = data.item.count();
  FitResult result;
  const io::Scaling scaling = io::fit_scaling(data, options.scale);
  io::apply(scaling, data.values, features);
  if (trains_gans(settings.method) && settings.net == NetKind::codes) {
    fit_codes(result, settings, data, options, callbacks);
  } else if (trains_gans(settings.method)) {
    fit_restarts(result, settings, data, options, callbacks);
  } else {
    fit_baseline(result, settings, data, options, callbacks);
  }
  result.model.scaling = scaling;
  result.model.columns = data.columns;
  Lanes lanes(options.device, options.math, options.threads, options.conv_path);
  result.prediction = predict(result.model, data.values, data.rows, lanes, callbacks.posteriors);
  return result;
}

}  // namespace ganmm
