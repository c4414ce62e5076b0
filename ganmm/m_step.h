// The M-step of a range of components: one generator step, then the critic steps, for all groups of
// the range at once. No arena is touched and nothing
// leaves the device.
#pragma once

#include "ganmm/mixture.h"
#include "kernels/core/lanes.h"
#include "kernels/select.h"

namespace ganmm {

// What one lane needs to train up to `groups` components at a time.
class MStep {
 public:
  // Plans its tapes in `arena` and announces its scratch to `ctx`.
  MStep(Arena& arena, Context& ctx, const Mixture& mixture, const Settings& settings, Index groups);

  // Statistics of the last critic step and the generator step, one value per component [R*N].
  struct Losses {
    Buffer<float> real, fake;  // mean critic score
    Buffer<float> penalty;     // wgan-gp
    Buffer<float> generated;   // mean critic score of the generator step's samples
  };
  static Losses plan_losses(Arena& arena, Index components);

  struct Rows {
    GroupView<const float> data;        // [1][n][item]
    const std::int32_t* row = nullptr;  // [R*N][critic_steps * batch] data rows of every batch
  };

  // Trains components [first, first + groups). `iteration` numbers all M-steps of the run, those
  // of pre-training included: it is the step of every random number.
  void run(Context& ctx, const Mixture& mixture, Index first, const Rows& rows,
           const Losses& losses, std::uint32_t iteration, bool clip);

  Index groups() const { return groups_; }

 private:
  void generator_step(Context& ctx, const Mixture& mixture, Index first, const Losses& losses,
                      std::uint32_t iteration);
  void make_fakes(Context& ctx, const Mixture& mixture, Index first, std::uint32_t iteration);
  void critic_step(Context& ctx, const Mixture& mixture, Index first, Index step, const Rows& rows,
                   const Losses& losses, std::uint32_t iteration, bool clip);

  const Settings& settings_;
  Index groups_;
  nn::Tape<float> fakes_;      // generator forward, the samples of all critic steps
  nn::Tape<float> generator_;  // generator step
  nn::Tape<float> critic_;     // rows: real, fake, interpolates
};

}  // namespace ganmm
