// Internal: the work behind Trainer, with activations of generators and critics stored as T.
#pragma once

#include "ganmm/e_step.h"
#include "ganmm/em_launch.h"
#include "ganmm/m_step.h"
#include "ganmm/mixture.h"
#include "ganmm/row_order.h"
#include "ganmm/trainer.h"
#include "kernels/core/graph.h"

#include <chrono>

namespace ganmm {

// Rows that place a generator, at most. It bounds the work of a Gaussian start and of a split, and
// the memory of the pins.
inline constexpr Index kMaxSplitRows = 8192;

// Rows that a Gaussian mixture is fitted to where it is the first partition, at most; it bounds
// time and memory, of which a mixture takes 8 bytes per row and component.
inline constexpr Index kMaxMixtureRows = 65536;

template <class T>
class TrainingRun final : public Trainer::Run {
 public:
  // launches: many iterations in one launch where the device and the networks allow it.
  TrainingRun(const Settings& settings, std::span<float> values, Index rows, Shape item,
              std::span<const std::int32_t> initial, Lanes& lanes, bool launches = true);

  const std::vector<Arena::Request>& memory_plan() const override { return arena_.requests(); }
  Index memory_bytes() const override;
  std::vector<std::string> describe() const override;
  void set_meter(Meter* meter) override;
  std::size_t graph_nodes() const override { return iteration_.nodes(); }
  // Why EM iterations are handed over one by one; empty where many are one launch.
  const std::string& launch_declined_because() const { return launch_->declined_because(); }
  TrainingOutcome run(const TrainerCallbacks& callbacks) override;
  Model extract(std::span<const Index> mixtures) override;
  std::vector<std::int32_t> labels(std::span<const Index> mixtures,
                                   std::span<const Index> rows) override;

 private:
  struct LaneWork {
    LaneWork(Arena& arena, Context& ctx, Context& side, const Mixture<T>& mixture,
             const Settings& settings, Index groups, Index mixtures, Index rows)
        : m_step(arena, ctx, mixture, settings, groups),
          e_step(arena, side, mixture, settings, groups, mixtures, rows) {}
    MStep<T> m_step;
    EStep<T> e_step;
  };

  // Set-up
  void load(std::span<const std::int32_t> initial);
  void initial_labels(std::int32_t* label, Index mixture, std::span<const std::int32_t> initial);
  // Generators [first, first + rows.size()) become the Gaussians of these data rows; where there
  // are none they stay as they are.
  void make_gaussians(Index first, std::span<const std::vector<std::int32_t>> rows);

  // One iteration, made of ops alone: recorded and replayed
  void partition_assigned();
  void pretrain_iteration();
  void em_iteration(Index foreign);
  void train_classifiers(Index first_step);
  void train_classifiers_beside(Index first_step);
  void train_classifiers_alone(Index first_step);
  void calibrate_scores();
  void classify_pool();
  void m_steps(const kernels::PoolView& pool, Index foreign, bool clip,
               const std::function<void()>& generators_ready);

  // Before the first iteration: such steps of the classifiers
  bool pretrain_classifiers(const std::function<bool()>& cancelled);

  // Every `check_every` iterations
  Report check(Index iteration);
  // [n] components of a mixture at the last check, data order; `copy` holds them where the host
  // cannot read the device's.
  std::span<const std::int32_t> labels_of(Index mixture, std::vector<std::int32_t>& copy);
  void assignments_in_file_order(std::vector<std::int32_t>& assignments);
  void restart_empty(Report& report, Index iteration);
  std::vector<std::int32_t> half_of(std::span<const std::int32_t> labels, std::int32_t component,
                                    Index size, const RandomKey& key);
  // At most kMaxSplitRows evenly spaced rows of a component of `size` rows.
  std::vector<std::int32_t> rows_of(std::span<const std::int32_t> labels, std::int32_t component,
                                    Index size) const;
  void upload_pins();

  kernels::PinView pins() const;
  Index foreign_rows(Index iteration) const;
  Index launched_together(Index iteration) const;
  bool sigma_settled(Index iteration) const;
  GroupView<const float> data() const;
  kernels::PoolView pool_view() const;
  const kernels::Clock* clock() const { return shared_.clock.data(); }
  Context& main() { return lanes_.context(0); }
  const Context& main() const { return lanes_.context(0); }
  // Where classifiers train beside the critic steps: a second stream on a GPU. Statistics of the
  // critics' scores wait for the critics.
  Context& side(int lane) { return side_ == nullptr ? lanes_.context(lane) : *side_; }
  LaneWork& work(int lane) { return *work_[static_cast<std::size_t>(lane)]; }

  Settings settings_;
  Lanes& lanes_;
  std::unique_ptr<Context> side_;
  Arena arena_;
  Index rows_;
  Shape item_;
  Index lane_groups_, lane_mixtures_;  // per task: one on the CPU, all on a GPU
  Mixture<T> mixture_;
  std::span<float> values_;  // the caller's; on the CPU the data set itself, borrowed by order_
  RowOrder order_;
  Buffer<float> data_;  // empty on the CPU
  EStepBuffers shared_;
  MStepLosses losses_;
  Buffer<std::int32_t> pin_row_, pin_group_, pin_count_;
  std::vector<std::unique_ptr<LaneWork>> work_;
  std::unique_ptr<EmLaunch<T>> launch_;
  Graph iteration_;  // the current kind of iteration, where iterations are handed over one by one
  Event forked_, joined_;

  // Restarted components own these data rows until they have learned them.
  struct Pin {
    Index group, until;
    std::vector<std::int32_t> rows;
  };
  std::vector<Pin> pins_;
  std::vector<std::uint32_t> generation_;  // [R*N] restarts so far; seeds the new weights
};

}  // namespace ganmm
