// Whole M-steps of small GANs in one call: a generator step and `critic_steps` critic steps, for
// networks that are chains of dense layers. One GAN's weights, optimiser state and activations stay
// next to the arithmetic (a core's cache, a multiprocessor's shared memory) throughout; the general
// path (ganmm/m_step.cpp), which computes the same numbers up to rounding, moves them once per op.
//
// One M-step of a group, `step` its number (from the key):
//
//   generator step   z [B][noise] normal: Purpose::generator_noise, step. Minimises -mean f(G(z)).
//   samples          z [critic_steps * B][noise] normal: Purpose::noise, step. The samples of all
//                    critic steps come from this one stream.
//   critic step c    real rows row[c * B ...], fake rows samples[c * B ...]. Minimises
//                    mean f(fake) - mean f(real) + lambda mean (|grad f(x)| - 1)^2 with
//                    x = alpha real + (1 - alpha) fake: Purpose::interpolation, alpha of row b is
//                    element b of step `step * critic_steps + c`.
//
// Every step ends with optimizer_step's update (kernels/optim.h). The penalty's gradient is that of
// nn/gradient_penalty.h.
#pragma once

#include "kernels/activation.h"
#include "kernels/core/context.h"
#include "kernels/core/rng.h"
#include "kernels/core/view.h"
#include "kernels/optim.h"

#include <string>

namespace ganmm::kernels {

inline constexpr int kMlpMaxLayers = 4;     // three hidden layers
inline constexpr Index kMlpMaxWidth = 256;  // of the input and of every layer

// y_l = phi_l(y_{l-1} W_l + b_l), l = 0 .. layers - 1, y_{-1} the input. The last layer is linear.
// Tensor 2 l of its slabs is W_l [in][out], tensor 2 l + 1 is b_l [out].
struct Mlp {
  Index input = 0;
  int layers = 0;
  Index width[kMlpMaxLayers] = {};  // outputs of layer l
  Activation activation[kMlpMaxLayers] = {};

  Index in(int layer) const { return layer == 0 ? input : width[layer - 1]; }
  Index output() const { return layers == 0 ? input : width[layers - 1]; }
};

struct MlpStepSettings {
  Mlp generator, critic;  // noise -> item, item -> one score
  OptimizerSettings generator_optimizer, critic_optimizer;
  bool with_penalty = true;
  double penalty = 10;  // lambda
  Index critic_steps = 5;
  Index batch = 50;  // B
};

// Means over the batch of the last M-step of the call, one number per group of the call: critic
// scores of the last critic step's real and fake rows, its penalty, and the scores of the generator
// step's samples. Null pointers are skipped; `penalty` is written only with a penalty.
struct MlpStepLosses {
  float* real = nullptr;
  float* fake = nullptr;
  float* penalty = nullptr;
  float* generated = nullptr;
};

struct MlpStepBatches {
  GroupView<const float> data;        // [1][n][item]
  const std::int32_t* row = nullptr;  // data rows; group g of the call, M-step i and critic step c
                                      // read row[i * step_stride + g * group_stride + c * B ...]
  Index group_stride = 0;             // >= critic_steps * B
  Index step_stride = 0;              // unused where steps = 1
};

// Multiply-adds of one row through a network, and those of its first layer among them.
struct NetworkMacs {
  double all = 0, first = 0;
};

// Floating-point operations of the products of one M-step of one group, whatever path computes it:
//   generator step  B (3 G - G1 + 2 F)         forward, backward without the noise's gradient
//   samples         critic_steps B G
//   critic step     R (3 F - F1) (+ B (F1 + F) with a penalty: its input gradient and its tangent),
//                   R = 3 B with a penalty, else 2 B
// 2 operations per multiply-add. F, F1: critic; G, G1: generator.
inline double m_step_flops(const NetworkMacs& generator, const NetworkMacs& critic,
                           const MlpStepSettings& s) {
  const auto batch = static_cast<double>(s.batch), steps = static_cast<double>(s.critic_steps);
  const double rows = (s.with_penalty ? 3 : 2) * batch;
  const double critic_step = rows * (3 * critic.all - critic.first) +
                             (s.with_penalty ? batch * (critic.first + critic.all) : 0.0);
  const double generator_step = batch * (3 * generator.all - generator.first + 2 * critic.all);
  return 2 * (generator_step + steps * (batch * generator.all + critic_step));
}

// Why this device does not run such a step; empty when it does.
std::string mlp_step_refusal(const Context& ctx, const MlpStepSettings& settings);

// Runs `steps` >= 1 M-steps of every group of the two slabs (the same first_group and groups in
// both). Slab values, states and step counts are updated; gradient slabs are left in any state.
// key: seed, first_group and step number of the first M-step (with a counter: step + *counter *
//   per_count); further M-steps count on from it. Its purpose is not read.
// Workspace: mlp_step_workspace(ctx, settings, groups) bytes of scratch.
// Throws   ShapeError; UnsupportedError with the text of mlp_step_refusal.
void mlp_step(Context& ctx, const ParamSlabs<float>& generator, const ParamSlabs<float>& critic,
              const MlpStepBatches& batches, const MlpStepLosses& losses, const RandomKey& key,
              Index steps, const MlpStepSettings& settings);
Index mlp_step_workspace(const Context& ctx, const MlpStepSettings& settings, Index groups);

// A fixed partition of the data (partition_rows) whose parts the groups are trained on: group g of
// the slabs is component g mod N of mixture g / N.
struct MlpPartition {
  GroupView<const float> data;           // [1][n][item]
  const std::int32_t* member = nullptr;  // [R][n]
  const std::int32_t* begin = nullptr;   // [R][N+1]
  Index components = 0;                  // N
  std::int32_t* row = nullptr;           // [groups of the call][critic_steps * B], overwritten
};

// `steps` times: draw_rows (kernels/select.h) without foreign rows, then mlp_step on these rows
// with the next step number, which is that of the draws too (Purpose::real_rows). On CUDA hundreds
// of steps in one launch. Workspace: mlp_partition_steps_workspace(ctx, settings, groups, rows)
// bytes, rows = n. Throws   as mlp_step.
void mlp_partition_steps(Context& ctx, const ParamSlabs<float>& generator,
                         const ParamSlabs<float>& critic, const MlpPartition& partition,
                         const MlpStepLosses& losses, const RandomKey& key, Index steps,
                         const MlpStepSettings& settings);
Index mlp_partition_steps_workspace(const Context& ctx, const MlpStepSettings& settings,
                                    Index groups, Index rows);

}  // namespace ganmm::kernels
