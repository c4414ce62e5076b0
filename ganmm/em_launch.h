// Many iterations handed over at once (kernels/em_step.h, mlp_partition_steps), where the device
// and the networks allow it: the same numbers as iteration by iteration, up to rounding.
#pragma once

#include "ganmm/e_step.h"
#include "ganmm/m_step.h"
#include "kernels/em_step.h"

#include <string>

namespace ganmm {

// Iterations in one launch, at most: callers are asked whether to go on after each launch, and a
// launch should not hold the device for longer than about a tenth of a second.
inline constexpr Index kLaunchIterations = 256;

template <class T>
class EmLaunch {
 public:
  // Announces its scratch to `ctx`. `wanted` false: it declines both.
  EmLaunch(Context& ctx, const Mixture<T>& mixture, const Settings& settings, Index data_rows,
           bool wanted);

  // Why pre-training and EM iterations run one by one; empty when they do not.
  const std::string& pretraining_declined_because() const { return no_pretraining_; }
  const std::string& declined_because() const { return no_em_; }

  // Pre-training of all components on the partition in shared.assigned; where the pool is the whole
  // data set, in shared.member and shared.begin.
  void pretrain(Context& ctx, const Mixture<T>& mixture, GroupView<const float> data,
                const EStepBuffers& shared, const MStepLosses& losses, const kernels::PinView& pins,
                Index iterations);
  // EM iterations of all mixtures, each with `foreign` rows in every critic batch. The classifiers
  // of the first one are trained.
  void run(Context& ctx, const Mixture<T>& mixture, GroupView<const float> data,
           const EStepBuffers& shared, const MStepLosses& losses, const kernels::PinView& pins,
           Index foreign, Index iterations);

 private:
  const Settings& settings_;
  kernels::EmStepSettings em_;
  std::string no_pretraining_, no_em_;
};

}  // namespace ganmm
