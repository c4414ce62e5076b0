// The M-step of a range of components: one generator step, then the critic steps, for all groups of
// the range at once. No arena is touched and nothing leaves the device. What changes from one
// iteration to the next is read from the clock in device memory, so that a run can be recorded
// (kernels/core/graph.h).
#pragma once

#include "ganmm/mixture.h"
#include "kernels/clock.h"
#include "kernels/core/lanes.h"
#include "kernels/select.h"

#include <functional>

namespace ganmm {

// Statistics of the last critic step and the generator step, one value per component [R*N].
struct MStepLosses {
  MStepLosses(Arena& arena, Index components);
  Buffer<float> real, fake;  // mean critic score
  Buffer<float> penalty;     // wgan-gp
  Buffer<float> generated;   // mean critic score of the generator step's samples
};

// The data and which of its rows make the critic batches.
struct MStepRows {
  GroupView<const float> data;        // [1][n][item]
  const std::int32_t* row = nullptr;  // [R*N][critic_steps * batch] data rows of every batch
};

// What one lane needs to train up to `groups` components at a time.
template <class T>
class MStep {
 public:
  // Plans its tapes in `arena` and announces its scratch to `ctx`.
  MStep(Arena& arena, Context& ctx, const Mixture<T>& mixture, const Settings& settings,
        Index groups);

  // Trains components [first, first + groups). clock->step numbers all M-steps of the run, those
  // of pre-training included: it is the step of every random number. `generators_ready` is called
  // when the generator step has been handed over, after which generators stand still.
  void run(Context& ctx, const Mixture<T>& mixture, Index first, const MStepRows& rows,
           const MStepLosses& losses, const kernels::Clock* clock, bool clip,
           const std::function<void()>& generators_ready = {});

  Index groups() const { return groups_; }

 private:
  void generator_step(Context& ctx, const Mixture<T>& mixture, Index first,
                      const MStepLosses& losses, const kernels::Clock* clock);
  void make_fakes(Context& ctx, const Mixture<T>& mixture, Index first,
                  const kernels::Clock* clock);
  void critic_step(Context& ctx, const Mixture<T>& mixture, Index first, Index step,
                   const MStepRows& rows, const MStepLosses& losses, const kernels::Clock* clock,
                   bool clip);

  const Settings& settings_;
  Index groups_;
  nn::Tape<T> fakes_;      // generator forward, the samples of all critic steps
  nn::Tape<T> generator_;  // generator step
  nn::Tape<T> critic_;     // rows: real, fake, interpolates
};

}  // namespace ganmm
