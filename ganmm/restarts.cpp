#include "ganmm/restarts.h"

#include "ganmm/consensus.h"
#include "ganmm/consensus_posterior.h"
#include "ganmm/neighbours.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

namespace ganmm {
namespace {

constexpr Index kManyFeatures = 100;

// The restarts agree on this many evenly spaced rows at most; all others follow from them.
constexpr Index kMaxConsensusRows = 65536;

// Evenly spaced ones of `rows` rows, at most `most`.
std::vector<Index> spaced(Index rows, Index most) {
  std::vector<Index> sample(static_cast<std::size_t>(std::min(rows, most)));
  for (std::size_t i = 0; i < sample.size(); ++i) {
    sample[i] = static_cast<Index>(i) * rows / std::ssize(sample);
  }
  return sample;
}

template <class V>
std::vector<V> taken(const std::vector<V>& values, Index width, std::span<const Index> rows) {
  std::vector<V> result;
  result.reserve(rows.size() * static_cast<std::size_t>(width));
  for (const Index row : rows) {
    const auto first = values.begin() + row * width;
    result.insert(result.end(), first, first + width);
  }
  return result;
}

// Restarts whose posteriors are numbers; the most confident one alone, or all.
std::vector<Index> sound(const std::vector<double>& confidence, bool all) {
  std::vector<Index> kept;
  for (Index r = 0; r < std::ssize(confidence); ++r) {
    if (std::isfinite(confidence[static_cast<std::size_t>(r)])) kept.push_back(r);
  }
  if (all) return kept;
  return {*std::ranges::max_element(
      kept, {}, [&](Index r) { return confidence[static_cast<std::size_t>(r)]; })};
}

void append(TrainingOutcome& all, TrainingOutcome&& one) {
  all.iterations += one.iterations;
  all.converged = all.confidence.empty() ? one.converged : all.converged && one.converged;
  all.cancelled = all.cancelled || one.cancelled;
  all.seconds += one.seconds;
  all.confidence.insert(all.confidence.end(), one.confidence.begin(), one.confidence.end());
  all.assignments.insert(all.assignments.end(), one.assignments.begin(), one.assignments.end());
}

}  // namespace

std::vector<Settings> trainings_of(const Settings& settings, Shape item) {
  if (settings.init != InitialPartition::mixed) return {settings};
  Settings staying = settings;
  staying.init = item.count() < kManyFeatures ? InitialPartition::gmm : InitialPartition::kmeans;
  Settings wandering = staying;
  staying.restarts = settings.restarts / 2;
  staying.iterations = std::max<Index>(settings.iterations / 2, 1);
  wandering.restarts = settings.restarts - staying.restarts;
  if (settings.generator_learning_rate == 0) {
    wandering.generator_learning_rate = settings.learning_rate;
  }
  return {staying, wandering};
}

Settings continued(const Settings& settings) {
  Settings s = settings;
  if (settings.init == InitialPartition::random) {  // what follows from it does not hold any more
    s.start = GeneratorStart::automatic;
    s.generator_learning_rate = 0;
    if (!s.critics_assign()) s.sigma.clear();
  }
  s.init = InitialPartition::given;
  s.restarts = std::max<Index>(settings.restarts / 2, 1);
  s.iterations = std::max<Index>(settings.iterations / 2, 1);
  return s;
}

void fit_restarts(FitResult& result, const Settings& settings, io::Dataset& data,
                  const FitOptions& options, const FitCallbacks& callbacks) {
  const Index n = settings.sample;
  std::vector<Index> rows;
  std::vector<float> copy;
  std::vector<std::int32_t> initial = options.initial;
  if (n < data.rows) {
    rows = spaced(data.rows, n);
    copy = taken(data.values, data.item.count(), rows);
    if (!initial.empty()) initial = taken(initial, 1, rows);
  }
  const std::span<float> values(rows.empty() ? data.values : copy);
  const std::vector<Settings> trainings = trainings_of(settings, data.item);
  const bool combined = settings.select == Select::consensus;
  // A lane beyond the number of GANs would hold memory and find no work.
  const int threads = options.threads == 0 ? hardware_threads() : options.threads;
  const int lane_count =
      static_cast<int>(std::min<Index>(threads, trainings.back().restarts * settings.clusters));
  Lanes lanes(options.device, options.math, lane_count, options.conv_path);
  const std::vector<Index> sample = spaced(n, kMaxConsensusRows);
  std::optional<Neighbours> neighbours;
  if (combined && trainings.size() > 1) {
    neighbours.emplace(values, data.item.count(), sample, lanes);
  }

  double to_beat = -std::numeric_limits<double>::infinity();
  for (const Settings& training : trainings) {
    if (result.training.cancelled) break;
    const Index first = std::ssize(result.training.confidence);
    const Settings s = training.resolved(n, data.item);
    Trainer trainer(s, values, n, data.item, initial, lanes);
    if (callbacks.started) callbacks.started(s, trainer);
    TrainerCallbacks each = callbacks.training;
    if (each.report) {
      each.report = [&](const Report& report) {
        Report numbered = report;
        numbered.first_restart = first;
        numbered.rows = rows;
        numbered.seconds += result.training.seconds;  // of the trainings before
        callbacks.training.report(numbered);
      };
    }
    TrainingOutcome outcome = trainer.run(each);
    const std::vector<Index> kept = sound(outcome.confidence, combined);
    const auto partitions = trainer.labels(kept, sample);
    const std::vector<std::int32_t> clusters =
        kept.size() == 1 ? partitions : consensus(partitions, std::ssize(kept), s.clusters);
    double value = outcome.confidence[static_cast<std::size_t>(kept[0])];
    if (neighbours) {
      value = neighbours->agreement(clusters);
      result.agreement.push_back(value);
    }
    append(result.training, std::move(outcome));
    if (!(value > to_beat)) continue;
    to_beat = neighbours ? value + neighbours->standard_error(value) : value;
    result.model = trainer.extract(kept);
    result.model.joint = joint_shares(partitions, clusters, std::ssize(kept), s.clusters);
    result.kept_restarts = kept;
    for (Index& r : result.kept_restarts) r += first;
  }
  if (result.kept_restarts.size() == 1) result.chosen_restart = result.kept_restarts[0];
}

}  // namespace ganmm
