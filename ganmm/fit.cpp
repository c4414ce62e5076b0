#include "ganmm/fit.h"

#include "ganmm/consensus.h"

#include <algorithm>

namespace ganmm {
namespace {

Index most_confident(const std::vector<double>& confidence) {
  return std::max_element(confidence.begin(), confidence.end()) - confidence.begin();
}

}  // namespace

FitResult fit(io::Dataset& data, const FitOptions& options, const FitCallbacks& callbacks) {
  const Settings settings = options.settings.resolved(data.rows, data.item);
  const Index n = data.rows, features = data.item.count();
  FitResult result;
  const io::Scaling scaling = io::fit_scaling(data, options.scale);
  io::apply(scaling, data.values, features);
  {
    Lanes lanes(options.device, options.math, options.threads);
    Trainer trainer(settings, data.values, n, data.item, options.initial, lanes);
    if (callbacks.started) {
      callbacks.started(settings, trainer.memory_bytes(), trainer.memory_plan());
    }
    result.training = trainer.run(callbacks.training);

    const std::span<const std::int32_t> partitions = result.training.assignments;
    if (settings.select == Select::consensus && settings.restarts > 1) {
      const auto clusters = consensus(partitions, settings.restarts, settings.clusters,
                                      settings.clusters, ConsensusKind::voting);
      result.model = trainer.extract(0, settings.restarts);
      match_components(result.model, partitions, clusters);
    } else {
      result.chosen_restart = most_confident(result.training.confidence);
      const auto own = partitions.subspan(static_cast<std::size_t>(result.chosen_restart * n),
                                          static_cast<std::size_t>(n));
      result.model = trainer.extract(result.chosen_restart, 1);
      match_components(result.model, own, own);
    }
  }
  result.model.scaling = scaling;
  result.model.columns = data.columns;
  Lanes lanes(options.device, options.math, options.threads);
  result.prediction = predict(result.model, data.values, n, lanes);
  return result;
}

}  // namespace ganmm
