#include "ganmm/restarts.h"

#include "ganmm/consensus.h"
#include "ganmm/neighbours.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>

namespace ganmm {
namespace {

constexpr Index kManyFeatures = 100;
constexpr Index kFewestHalved = 4;  // restarts of a kind; of fewer all are kept

// Restarts whose posteriors are numbers, the largest `value` first.
std::vector<Index> best_first(const std::vector<double>& confidence,
                              const std::vector<double>& value) {
  std::vector<Index> order;
  for (Index r = 0; r < static_cast<Index>(confidence.size()); ++r) {
    if (std::isfinite(confidence[static_cast<std::size_t>(r)])) order.push_back(r);
  }
  std::ranges::stable_sort(order, std::greater{},
                           [&](Index r) { return value[static_cast<std::size_t>(r)]; });
  return order;
}

void append(TrainingOutcome& all, const TrainingOutcome& one, bool assignments) {
  all.iterations += one.iterations;
  all.converged = all.confidence.empty() ? one.converged : all.converged && one.converged;
  all.cancelled = all.cancelled || one.cancelled;
  all.seconds += one.seconds;
  all.confidence.insert(all.confidence.end(), one.confidence.begin(), one.confidence.end());
  if (!assignments) return;
  all.assignments.insert(all.assignments.end(), one.assignments.begin(), one.assignments.end());
}

void append(Model& all, const Model& one) {
  if (all.tensors.empty()) {
    all = one;
    return;
  }
  all.settings.restarts += one.settings.restarts;
  for (auto& [name, tensor] : all.tensors) {
    const Model::Tensor& more = one.tensors.at(name);
    tensor.shape[0] += more.shape[0];
    tensor.values.insert(tensor.values.end(), more.values.begin(), more.values.end());
  }
  all.match.insert(all.match.end(), one.match.begin(), one.match.end());
  all.weight.insert(all.weight.end(), one.weight.begin(), one.weight.end());
}

// Several mixtures vote about clusters; partitions: theirs, [R][n].
void vote(Model& model, std::span<const std::int32_t> partitions, Index rows) {
  const Index k = model.clusters(), count = model.mixtures();
  const auto clusters = consensus(partitions, count, k, k, ConsensusKind::voting);
  std::vector<std::int32_t> common(static_cast<std::size_t>(count * k * k), 0);
  for (Index r = 0; r < count; ++r) {
    for (Index p = 0; p < rows; ++p) {
      const Index own = partitions[static_cast<std::size_t>(r * rows + p)];
      ++common[static_cast<std::size_t>((r * k + own) * k + clusters[static_cast<std::size_t>(p)])];
    }
  }
  match_components(model, common, rows);
}

}  // namespace

std::vector<Settings> trainings_of(const Settings& settings, Shape item) {
  if (settings.init != InitialPartition::mixed) return {settings};
  Settings random = settings, gaussian = settings;
  gaussian.restarts = settings.restarts / 2;
  random.restarts = settings.restarts - gaussian.restarts;
  random.init = InitialPartition::random;
  gaussian.init = item.count() < kManyFeatures ? InitialPartition::gmm : InitialPartition::kmeans;
  gaussian.iterations = std::max<Index>(settings.iterations / 4, 1);
  return {random, gaussian};
}

void fit_restarts(FitResult& result, const Settings& settings, io::Dataset& data,
                  const FitOptions& options, const FitCallbacks& callbacks) {
  const Index n = data.rows;
  const std::vector<Settings> trainings = trainings_of(settings, data.item);
  const bool combined = settings.select == Select::consensus && settings.restarts > 1;
  const bool halved = combined && std::ranges::any_of(trainings, [](const Settings& s) {
                        return s.restarts >= kFewestHalved;
                      });
  // A lane beyond the number of GANs would hold memory and find no work.
  const int threads = options.threads == 0 ? hardware_threads() : options.threads;
  const int lane_count =
      static_cast<int>(std::min<Index>(threads, trainings.front().restarts * settings.clusters));
  Lanes lanes(options.device, options.math, lane_count, options.conv_path);
  std::optional<Neighbours> neighbours;
  if (halved) neighbours.emplace(data.values, n, data.item.count(), lanes);

  std::vector<std::int32_t> partitions;  // of the kept restarts
  for (const Settings& training : trainings) {
    if (result.training.cancelled) break;
    const auto first = static_cast<Index>(result.training.confidence.size());
    const Settings s = training.resolved(n, data.item);
    Trainer trainer(s, data.values, n, data.item, options.initial, lanes);
    if (callbacks.started) callbacks.started(s, trainer);
    TrainerCallbacks each = callbacks.training;
    each.assignments = each.assignments || halved || trainings.size() > 1;
    if (each.report) {
      each.report = [&](const Report& report) {
        Report numbered = report;
        numbered.first_restart = first;
        numbered.seconds += result.training.seconds;  // of the trainings before
        callbacks.training.report(numbered);
      };
    }
    const TrainingOutcome outcome = trainer.run(each);
    const auto labels = [&](Index r) {
      return std::span<const std::int32_t>(outcome.assignments)
          .subspan(static_cast<std::size_t>(r * n), static_cast<std::size_t>(n));
    };
    std::vector<double> value = outcome.confidence;
    if (neighbours) {
      for (Index r = 0; r < s.restarts; ++r) {
        value[static_cast<std::size_t>(r)] = neighbours->agreement(labels(r));
      }
      result.agreement.insert(result.agreement.end(), value.begin(), value.end());
    }
    std::vector<Index> kept = best_first(outcome.confidence, value);
    if (!combined) {
      kept.resize(1);
    } else if (s.restarts >= kFewestHalved) {
      kept.resize(std::min(kept.size(), static_cast<std::size_t>((s.restarts + 1) / 2)));
    }
    std::ranges::sort(kept);
    append(result.training, outcome, callbacks.training.assignments);
    if (!combined && !result.kept_restarts.empty()) {  // the most confident of all
      const auto sure = [&](Index r) {
        return result.training.confidence[static_cast<std::size_t>(r)];
      };
      if (sure(first + kept[0]) <= sure(result.kept_restarts[0])) continue;
      result.kept_restarts.clear();
      result.model = {};
    }
    for (const Index r : kept) {
      result.kept_restarts.push_back(first + r);
      if (trainings.size() == 1) continue;
      partitions.insert(partitions.end(), labels(r).begin(), labels(r).end());
    }
    append(result.model, trainer.extract(kept));
  }
  if (combined && trainings.size() > 1) vote(result.model, partitions, n);
  if (result.kept_restarts.size() == 1) result.chosen_restart = result.kept_restarts[0];
}

}  // namespace ganmm
