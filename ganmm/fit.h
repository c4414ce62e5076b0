// The main job in one call: scale the data, of images learn codes, train R mixtures, choose or
// combine them (of images once more, on codes that their clusters refined), assign every row with
// the finished model. Or the same with a simpler method.
#pragma once

#include "ganmm/dec.h"
#include "ganmm/kmeans.h"
#include "ganmm/model.h"
#include "ganmm/trainer.h"
#include "io/dataset.h"
#include "io/scaling.h"

#include <optional>
#include <span>

namespace ganmm {

struct FitOptions {
  Settings settings = Settings::of(Method::ganmm);  // 0 = automatic where the field says so
  io::ScaleKind scale = io::ScaleKind::automatic;
  Device device;
  MathMode math = MathMode::fp32;
  int threads = 0;                           // CPU lanes; 0: all
  ConvPath conv_path = ConvPath::automatic;  // CUDA
  std::vector<std::int32_t> initial;         // with InitialPartition::given
};

struct FitCallbacks {
  // When all memory is reserved and a training starts (ganmm/restarts.h). Not for kmeans and gmm.
  std::function<void(const Settings& resolved, const Trainer& trainer)> started;
  // With NetKind::codes after every step of the autoencoder, and later of its refinement: steps
  // done, of so many.
  std::function<void(Index step, Index steps)> embedding;
  TrainerCallbacks training;                         // other methods: progress and cancelled
  std::function<void(const DecRefresh&)> refreshed;  // Method::dec
  PosteriorSink posteriors;  // takes those of the result, which then has none
};

struct FitResult {
  Model model;            // ready for save_model and predict
  Prediction prediction;  // of the training data, in file order: what predict gives on the file
  // Other methods have neither its confidence nor its assignments. With NetKind::codes its seconds
  // are those of the autoencoder too; where codes were refined all else is of the training after
  // that, of half as many restarts, which alone makes reports.
  TrainingOutcome training;
  Index chosen_restart = -1;  // -1 for a consensus
  // Of ganmm: the restarts that the model is made of, and, with two trainings, how well the
  // consensus of each keeps neighbours together (ganmm/neighbours.h).
  std::vector<Index> kept_restarts;
  std::vector<double> agreement;
  std::optional<KMeansRuns> kmeans;              // Method::kmeans
  std::optional<GaussianMixtureRuns> gaussians;  // Method::gmm
};

// `data.values` is scaled in place (model.scaling says how). Labels in `data` are not looked at.
// Throws ConfigError, InputError, OutOfMemoryError.
FitResult fit(io::Dataset& data, const FitOptions& options, const FitCallbacks& callbacks = {});

}  // namespace ganmm
