// epsilon-EM training of R mixtures side by side.
//
//   1. initial partition; pre-training of every GAN on its part;
//   2. EM iteration: classifier steps on samples of the generators, classification of the pool,
//      draw of critic batches (a share sigma of foreign rows), M-step of every GAN;
//   3. every `check_every` iterations the whole data set is assigned: changed labels, confidence,
//      empty components restarted, stop when the labels have settled.
//
// Rows are shuffled once; what callers see is in file order again.
#pragma once

#include "ganmm/e_step.h"
#include "ganmm/m_step.h"
#include "ganmm/mixture.h"
#include "ganmm/model.h"
#include "kernels/core/lanes.h"

#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace ganmm {

// State of all mixtures at a check.
struct Report {
  Index iteration = 0;  // EM iterations done
  double seconds = 0;   // since training began
  struct Mixture {
    double changed = 0;     // share of points that changed component since the last check
    double confidence = 0;  // mean over points of the largest posterior
    double classifier_loss = 0;
    double critic_loss = 0;        // mean over components of mean f(fake) - mean f(real)
    double penalty = 0;            // mean over components
    double generator_loss = 0;     // mean over components of -mean f(G(z))
    std::vector<Index> sizes;      // points per component
    std::vector<Index> restarted;  // components that were empty and have been restarted
    bool diverged = false;         // its posteriors are not numbers any more
  };
  std::vector<Mixture> mixtures;
  // Components of all points, [R][n] in file order; valid during the callback.
  std::span<const std::int32_t> assignments;
};

struct TrainerCallbacks {
  std::function<void(const Report&)> report;      // at every check
  std::function<void(Index iteration)> progress;  // after every iteration, pre-training < 0
  std::function<bool()> cancelled;                // polled after every iteration
};

struct TrainingOutcome {
  Index iterations = 0;
  bool converged = false;
  bool cancelled = false;
  double seconds = 0;
  std::vector<double> confidence;         // [R], at the last check; NaN: diverged
  std::vector<std::int32_t> assignments;  // [R][n] in file order, at the last check
};

class Trainer {
 public:
  // values: [rows][item], scaled. `settings` must be resolved for them. `initial`: with
  // InitialPartition::given the component of every row, otherwise empty.
  // Plans and reserves all memory. Throws ConfigError, OutOfMemoryError.
  Trainer(const Settings& settings, std::span<const float> values, Index rows, Shape item,
          std::span<const std::int32_t> initial, Lanes& lanes);

  // The memory plan: name and bytes of every request, after construction.
  const std::vector<Arena::Request>& memory_plan() const { return arena_.requests(); }
  Index memory_bytes() const { return arena_.bytes() + lanes_.scratch_bytes(); }

  // Throws Error when every mixture has diverged.
  TrainingOutcome run(const TrainerCallbacks& callbacks);

  // Networks of these mixtures as they are now. Scaling, match and weight are the caller's.
  Model extract(std::span<const Index> mixtures);

 private:
  struct LaneWork {
    LaneWork(Arena& arena, Context& ctx, const Mixture& mixture, const Settings& settings,
             Index groups, Index mixtures)
        : m_step(arena, ctx, mixture, settings, groups),
          e_step(arena, ctx, mixture, settings, groups, mixtures) {}
    MStep m_step;
    EStep e_step;
  };

  void load(std::span<const float> values, std::span<const std::int32_t> initial);
  std::vector<std::int32_t> initial_labels(std::span<const float> values,
                                           std::span<const std::int32_t> initial);
  void pretrain(const TrainerCallbacks& callbacks);
  void iterate(Index iteration);
  void train_classifiers(Index iteration);
  void classify_pool(Index first_row, double temperature);
  void m_steps(std::uint32_t iteration, const kernels::PoolView& pool, Index foreign,
               Index first_row, bool clip);
  Report check(Index iteration);
  void restart_empty(Report& report, Index iteration);
  std::vector<std::int32_t> half_of(std::span<const std::int32_t> labels, std::int32_t component,
                                    Index size, const RandomKey& key);
  Index foreign_rows(Index iteration) const;
  bool sigma_settled(Index iteration) const;
  Index pool_start(Index iteration) const;
  GroupView<const float> data() const;
  kernels::PoolView pool_view() const;
  LaneWork& work(int lane) { return *work_[static_cast<std::size_t>(lane)]; }

  Settings settings_;
  Lanes& lanes_;
  Arena arena_;
  Index rows_;
  Shape item_;
  Index lane_groups_, lane_mixtures_;  // per task: one on the CPU, all on a GPU
  Mixture mixture_;
  Buffer<float> data_;
  EStepBuffers shared_;
  MStep::Losses losses_;
  std::vector<std::unique_ptr<LaneWork>> work_;

  std::vector<std::int32_t> order_;     // data row p is file row order_[p]
  std::vector<std::int32_t> previous_;  // [R][n] labels of the last check, data order
  // Restarted components own these data rows until they have learned them.
  struct Pin {
    Index group, until;
    std::vector<std::int32_t> rows;
  };
  std::vector<Pin> pins_;
  std::vector<std::uint32_t> generation_;  // [R*N] restarts so far; seeds the new weights
};

}  // namespace ganmm
