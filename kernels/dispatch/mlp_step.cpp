#include "kernels/mlp_step.h"

#include "kernels/backend.h"
#include "kernels/dispatch/dispatch.h"
#include "kernels/dispatch/view_check.h"

#include <algorithm>

namespace ganmm::kernels {
namespace {

constexpr const char* kOp = "mlp_step";

// What is wrong with a network on every device; empty when nothing is.
std::string refusal(const char* name, const Mlp& net) {
  if (net.layers < 1 || net.layers > kMlpMaxLayers) {
    return message("the ", name, " has ", net.layers, " layers, expected 1 to ", kMlpMaxLayers);
  }
  for (int l = 0; l < net.layers; ++l) {
    const Index widest = std::max(net.in(l), net.width[l]);
    if (std::min(net.in(l), net.width[l]) < 1 || widest > kMlpMaxWidth) {
      return message("layer ", l, " of the ", name, " is ", net.in(l), " x ", net.width[l],
                     ", expected widths of 1 to ", kMlpMaxWidth);
    }
  }
  if (!net.activation[net.layers - 1].identity()) {
    return message("the last layer of the ", name, " is not linear");
  }
  return {};
}

void check_slabs(const char* name, const Mlp& net, const ParamSlabs<float>& slabs,
                 OptimizerKind optimizer) {
  const auto tensors = static_cast<std::size_t>(2 * net.layers);
  require<ShapeError>(slabs.slots != nullptr && slabs.slots->size() == tensors, kOp, ": expected ",
                      tensors, " tensors of the ", name, ", a weight and a bias per layer, found ",
                      slabs.slots == nullptr ? 0 : slabs.slots->size());
  for (std::size_t t = 0; t < tensors; ++t) {
    const auto layer = static_cast<int>(t / 2);
    const Index count = net.width[layer] * (t % 2 == 0 ? net.in(layer) : 1);
    require<ShapeError>((*slabs.slots)[t].count == count, kOp, ": expected ", count,
                        " elements in tensor ", t, " of the ", name, ", found ",
                        (*slabs.slots)[t].count);
  }
  require<ShapeError>(slabs.value != nullptr && slabs.grad != nullptr && slabs.state1 != nullptr &&
                          slabs.step != nullptr &&
                          (optimizer == OptimizerKind::rmsprop || slabs.state2 != nullptr),
                      kOp, ": expected value, gradient, state and step slabs of the ", name,
                      ", found a null one; plan the store with optimiser state");
}

}  // namespace

namespace {

NetworkMacs macs_of(const Mlp& net) {
  NetworkMacs macs;
  for (int l = 0; l < net.layers; ++l) {
    macs.all += static_cast<double>(net.in(l)*net.width[l]);
  }
  macs.first = static_cast<double>(net.in(0) * net.width[0]);
  return macs;
}

}  // namespace

std::string mlp_step_refusal(const Context& ctx, const MlpStepSettings& s) {
  std::string reason = refusal("generator", s.generator);
  if (reason.empty()) reason = refusal("critic", s.critic);
  if (!reason.empty()) return reason;
  if (s.critic.output() != 1) {
    return message("the critic has ", s.critic.output(), " outputs, expected 1");
  }
  if (s.generator.output() != s.critic.input) {
    return message("the generator makes items of ", s.generator.output(),
                   " features, the critic reads ", s.critic.input);
  }
  if (s.batch < 1 || s.critic_steps < 1) return "expected at least one critic step of one row";
  return ctx.on_cpu() ? cpu::mlp_step_refusal(s) : cuda::mlp_step_refusal(ctx, s);
}

void mlp_step(Context& ctx, const ParamSlabs<float>& generator, const ParamSlabs<float>& critic,
              const MlpStepBatches& batches, const MlpStepLosses& losses, const RandomKey& key,
              Index steps, const MlpStepSettings& s) {
  const std::string reason = mlp_step_refusal(ctx, s);
  require<UnsupportedError>(reason.empty(), kOp, " on ", to_string(ctx.device()), ": ", reason,
                            "; take the general path");
  require<ShapeError>(
      generator.groups >= 0 && generator.first_group >= 0 && generator.groups == critic.groups &&
          generator.first_group == critic.first_group,
      kOp, ": expected the same groups of generators and critics, found [", generator.first_group,
      ", +", generator.groups, ") and [", critic.first_group, ", +", critic.groups, ")");
  if (generator.groups == 0) return;
  check_slabs("generator", s.generator, generator, s.generator_optimizer.kind);
  check_slabs("critic", s.critic, critic, s.critic_optimizer.kind);
  check_view(kOp, "data", batches.data);
  require<ShapeError>(batches.data.groups == 1 && batches.data.features() == s.critic.input, kOp,
                      ": expected data [N=1][B][", s.critic.input, "], found ",
                      describe(batches.data));
  const Index drawn = checked_multiply(s.critic_steps, s.batch);
  require<ShapeError>(steps >= 1, kOp, ": expected at least one M-step, found ", steps);
  require<ShapeError>(batches.row != nullptr && batches.group_stride >= drawn &&
                          (steps == 1 || batches.step_stride >= drawn),
                      kOp, ": expected ", drawn, " drawn rows per group and M-step, found strides ",
                      batches.group_stride, " and ", batches.step_stride);
  // Quads of normals are numbered in 32 bits.
  require<ShapeError>(checked_multiply(drawn, s.generator.input) <= (Index{1} << 34), kOp,
                      ": expected at most 2^34 noise values per M-step, found ",
                      drawn * s.generator.input);
  // Values and two states, read and written once per call, and the gathered rows.
  const NetworkMacs generator_macs = macs_of(s.generator), critic_macs = macs_of(s.critic);
  const auto groups = static_cast<double>(generator.groups);
  const OpCost cost{groups * (24 * (generator_macs.all + critic_macs.all) +
                              4 * static_cast<double>(steps * drawn * s.critic.input)),
                    groups * static_cast<double>(steps) *
                        m_step_flops(generator_macs, critic_macs, s)};
  dispatch<float>(
      ctx, kOp, cost,
      [&](auto& c) { cpu::mlp_step(c, generator, critic, batches, losses, key, steps, s); },
      [&](auto& c) { cuda::mlp_step(c, generator, critic, batches, losses, key, steps, s); });
}

Index mlp_step_workspace(const Context& ctx, const MlpStepSettings& settings, Index groups) {
  return ctx.on_cpu() ? cpu::mlp_step_workspace(settings)
                      : cuda::mlp_step_workspace(ctx, settings, groups);
}

}  // namespace ganmm::kernels
