// epsilon-EM training of R mixtures side by side.
//
//   1. initial partition; pre-training of every GAN on its part;
//   2. EM iteration: classifier steps on samples of the generators, classification of the pool,
//      draw of critic batches (a share sigma of foreign rows), M-step of every GAN;
//   3. every `check_every` iterations the whole data set is assigned: changed labels, confidence,
//      empty components restarted, stop when the labels have settled.
//
// The classifiers of iteration t + 1 are trained on the generators of iteration t as soon as its
// generator step is done, beside its critic steps. On a GPU an iteration is recorded once and
// replayed (kernels/core/graph.h).
//
// In GANMM(EM) (Method::ganmm_em) there are no classifiers and no foreign rows: the pool is
// classified by the scores of the critics, and where these are relative to samples' scores their
// statistics are taken anew at the end of every iteration, when the critics stand still.
//
// Small dense networks train many iterations in one launch where a CUDA device can
// (kernels/em_step.h).
//
// Rows are shuffled once; what callers see is in file order again.
#pragma once

#include "ganmm/model.h"
#include "kernels/core/lanes.h"
#include "kernels/core/meter.h"

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace ganmm {

// State of all mixtures at a check.
struct Report {
  Index iteration = 0;  // EM iterations done
  double seconds = 0;   // since training began
  struct Mixture {
    double changed = 0;          // share of points that changed component since the last check
    double confidence = 0;       // mean over points of the largest posterior
    double classifier_loss = 0;  // 0 where there is none
    double critic_loss = 0;      // mean over components of mean f(fake) - mean f(real); with
                                 // objective gan this and generator_loss are not what is minimised
    double penalty = 0;          // mean over components
    double generator_loss = 0;   // mean over components of -mean f(G(z))
    std::vector<Index> sizes;    // points per component
    std::vector<Index> restarted;  // components that were empty and have been restarted
    bool diverged = false;         // its posteriors are not numbers any more
  };
  Index first_restart = 0;  // the restart that mixtures[0] is
  std::vector<Mixture> mixtures;
  // Components of the points trained on, [R][n] in file order; valid during the callback. Empty
  // unless TrainerCallbacks::assignments.
  std::span<const std::int32_t> assignments;
  // Which rows of the file these are; empty: all.
  std::span<const Index> rows;
};

struct TrainerCallbacks {
  std::function<void(const Report&)> report;      // at every check
  std::function<void(Index iteration)> progress;  // after every iteration, pre-training < 0
  std::function<bool()> cancelled;                // polled after every iteration and every step of
                                                  // the classifiers' pre-training.
                                                  // Where many iterations are one launch: for each
                                                  // of them, and once, when it is handed over.
  bool assignments =
      true;  // whether reports and the outcome carry them: 4 bytes per row and restart
};

struct TrainingOutcome {
  Index iterations = 0;
  bool converged = false;
  bool cancelled = false;
  double seconds = 0;
  std::vector<double> confidence;         // [R], at the last check; NaN: diverged
  std::vector<std::int32_t> assignments;  // [R][n] in file order, at the last check, if wanted
};

class Trainer {
 public:
  // values: [rows][item], scaled. A Trainer on the CPU works on them where they lie, its rows in an
  // order of its own; the destructor brings them back into theirs. `settings` must be resolved for
  // them. `initial`: with InitialPartition::given the component of every row, otherwise empty. The
  // lanes' math mode says how activations are stored. Plans and reserves all memory. Throws
  // ConfigError, OutOfMemoryError.
  Trainer(const Settings& settings, std::span<float> values, Index rows, Shape item,
          std::span<const std::int32_t> initial, Lanes& lanes);

  // The memory plan: name and bytes of every request, after construction.
  const std::vector<Arena::Request>& memory_plan() const { return run_->memory_plan(); }
  Index memory_bytes() const { return run_->memory_bytes(); }
  // How the work is done where there is a choice, for people, a line each: iterations, the M-step,
  // layers.
  std::vector<std::string> describe() const { return run_->describe(); }

  // Measures the ops of all iterations from now on, on lane 0 and beside it; null ends that.
  void set_meter(Meter* meter) { run_->set_meter(meter); }
  // Kernels, copies and memsets of one iteration of the last run; 0 where none was recorded, as
  // where many iterations are one launch.
  std::size_t graph_nodes() const { return run_->graph_nodes(); }

  // Throws Error when every mixture has diverged.
  TrainingOutcome run(const TrainerCallbacks& callbacks) { return run_->run(callbacks); }

  // Networks of these mixtures as they are now. Their joint shares with the clusters, scaling and
  // columns are the caller's.
  Model extract(std::span<const Index> mixtures) { return run_->extract(mixtures); }
  // Their components of these rows of the file, ascending, as of the last check:
  // [mixtures][rows].
  std::vector<std::int32_t> labels(std::span<const Index> mixtures, std::span<const Index> rows) {
    return run_->labels(mixtures, rows);
  }

  // What hides behind the element type of activations; ganmm/training_run.h.
  class Run {
   public:
    virtual ~Run() = default;
    virtual const std::vector<Arena::Request>& memory_plan() const = 0;
    virtual Index memory_bytes() const = 0;
    virtual std::vector<std::string> describe() const = 0;
    virtual void set_meter(Meter* meter) = 0;
    virtual std::size_t graph_nodes() const = 0;
    virtual TrainingOutcome run(const TrainerCallbacks& callbacks) = 0;
    virtual Model extract(std::span<const Index> mixtures) = 0;
    virtual std::vector<std::int32_t> labels(std::span<const Index> mixtures,
                                             std::span<const Index> rows) = 0;
  };

 private:
  std::unique_ptr<Run> run_;
};

}  // namespace ganmm
