// The M-step of a range of components: one generator step, then the critic steps, for all groups of
// the range at once. No arena is touched and nothing leaves the device. What changes from one
// iteration to the next is read from the clock in device memory, so that a run can be recorded
// (kernels/core/graph.h).
#pragma once

#include "ganmm/mixture.h"
#include "kernels/clock.h"
#include "kernels/core/lanes.h"
#include "kernels/mlp_step.h"
#include "kernels/select.h"

#include <functional>
#include <string>

namespace ganmm {

// Statistics of the last critic step and the generator step, one value per component [R*N].
struct MStepLosses {
  MStepLosses(Arena& arena, Index components);
  Buffer<float> real, fake;  // mean critic score, whatever the objective makes of it
  Buffer<float> penalty;     // wgan-gp
  Buffer<float> generated;   // mean critic score of the generator step's samples
};

// The data and which of its rows make the critic batches.
struct MStepRows {
  GroupView<const float> data;        // [1][n][item]
  const std::int32_t* row = nullptr;  // [R*N][critic_steps * batch] data rows of every batch
};

// Describes the M-step as one op. Returns why this device does not run it so; empty when it does.
template <class T>
std::string describe_mlp_step(const Context& ctx, const Mixture<T>& mixture,
                              const Settings& settings, kernels::MlpStepSettings& step);

// What one lane needs to train up to `groups` components at a time.
template <class T>
class MStep {
 public:
  // Plans its tapes in `arena` and announces its scratch to `ctx`. Small dense networks train in
  // one op (kernels/mlp_step.h) where `one_op` allows it, all others layer by layer.
  MStep(Arena& arena, Context& ctx, const Mixture<T>& mixture, const Settings& settings,
        Index groups, bool one_op = true);

  // Trains components [first, first + groups). clock->step numbers all M-steps of the run, those
  // of pre-training included: it is the step of every random number. `generators_ready` is called
  // when the generator step (in one op: everything) has been handed over, after which generators
  // stand still.
  void run(Context& ctx, const Mixture<T>& mixture, Index first, const MStepRows& rows,
           const MStepLosses& losses, const kernels::Clock* clock, bool clip,
           const std::function<void()>& generators_ready = {});

  Index groups() const { return groups_; }
  // Why M-steps do not run as one op; empty when they do.
  const std::string& layer_by_layer_because() const { return layer_by_layer_because_; }

 private:
  Index taped_groups() const { return layer_by_layer_because_.empty() ? 0 : groups_; }
  void generator_step(Context& ctx, const Mixture<T>& mixture, Index first,
                      const MStepLosses& losses, const kernels::Clock* clock);
  void signal(Context& ctx, Index rows, Index real, Index fake);
  void make_fakes(Context& ctx, const Mixture<T>& mixture, Index first,
                  const kernels::Clock* clock);
  void critic_step(Context& ctx, const Mixture<T>& mixture, Index first, Index step,
                   const MStepRows& rows, const MStepLosses& losses, const kernels::Clock* clock,
                   bool clip);

  const Settings& settings_;
  Index groups_;
  kernels::MlpStepSettings mlp_;
  std::string layer_by_layer_because_;
  // Empty when M-steps run as one op.
  nn::Tape<T> fakes_;      // generator forward, the samples of all critic steps
  nn::Tape<T> generator_;  // generator step
  nn::Tape<T> critic_;     // rows: real, fake, interpolates
};

}  // namespace ganmm
