// Whole EM iterations of mixtures of small dense GANs in one call, on CUDA devices whose blocks can
// form clusters: one block per GAN and one for the classifier, so that nothing returns to the host
// between iterations. The general path (ganmm/training_run.cpp), an op per step of the iteration,
// computes the same numbers up to rounding.
//
// One iteration of a mixture of N components, `step` its number (the clock's):
//
//   classification   label and posterior of the pool's P rows (pool_begin): classify_rows on the
//                    classifier's logits; then pin_labels
//   draw             critic_steps * B rows of every component: draw_rows, Purpose::real_rows, step
//   M-step           of every component on these rows: mlp_step with that number
//   classifier       step k of classifier_steps: B samples of every generator as it is now, z from
//                    Purpose::classifier_noise, (step + 1) * classifier_steps + k; cross_entropy
//                    against the component's number on all of them at once, or, with
//                    single_class_batches, on those of one component after the other;
//                    optimizer_step after each
#pragma once

#include "kernels/clock.h"
#include "kernels/loss.h"
#include "kernels/mlp_step.h"
#include "kernels/select.h"

#include <string>

namespace ganmm::kernels {

struct EmStepSettings {
  MlpStepSettings gan;
  Mlp classifier;  // item -> one logit per component
  OptimizerSettings classifier_optimizer;
  CrossEntropySettings entropy;
  Index classifier_steps = 1;
  bool single_class_batches = false;
  bool freeze_readout = false;  // the classifier's last layer does not learn
  double temperature = 1;
  Index pool = 0;     // P
  Index foreign = 0;  // rows of every critic batch that are drawn from other components
  Index components() const { return classifier.output(); }
};

// Device memory of R mixtures.
struct EmStepBuffers {
  GroupView<const float> data;       // [1][n][item], n >= P
  Clock* clock = nullptr;            // advanced by the call
  std::int32_t* label = nullptr;     // [R][P] of the last iteration; [R][n], given, in pre-training
  float* posterior = nullptr;        // [R][P][N] of the last iteration; null: pre-training
  std::int32_t* row = nullptr;       // [R*N][critic_steps * B]
  PinView pins;                      // for as long as the call takes
  float* classifier_loss = nullptr;  // [R] mean cross-entropy of the last classifier step
  MlpStepLosses gan_losses;          // [R*N] of the last M-step
};

// Why this device does not run such iterations; empty when it does.
std::string em_step_refusal(const Context& ctx, const EmStepSettings& settings);

// Runs `iterations` >= 1 EM iterations of all mixtures; the slabs hold groups 0 .. R*N - 1 and
// 0 .. R - 1. Without posteriors it pre-trains: draws on the given labels, and the M-step alone.
// Workspace: em_step_workspace(ctx, settings, R) bytes of scratch.
// Throws   ShapeError; UnsupportedError with the text of em_step_refusal.
void em_step(Context& ctx, const ParamSlabs<float>& generator, const ParamSlabs<float>& critic,
             const ParamSlabs<float>& classifier, const EmStepBuffers& buffers, std::uint64_t seed,
             Index iterations, const EmStepSettings& settings);
Index em_step_workspace(const Context& ctx, const EmStepSettings& settings, Index mixtures);

}  // namespace ganmm::kernels
