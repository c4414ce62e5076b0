#include "kernels/mlp_step.h"

#include "kernels/backend.h"
#include "kernels/dispatch/dispatch.h"
#include "kernels/dispatch/mlp_check.h"
#include "kernels/dispatch/view_check.h"

#include <algorithm>

namespace ganmm::kernels {
namespace {

constexpr const char* kOp = "mlp_step";

// What both ops ask of their arguments.
void check_call(const char* op, const Context& ctx, const ParamSlabs<float>& generator,
                const ParamSlabs<float>& critic, const GroupView<const float>& data, Index steps,
                const MlpStepSettings& s) {
  const std::string reason = mlp_step_refusal(ctx, s);
  require<UnsupportedError>(reason.empty(), op, " on ", to_string(ctx.device()), ": ", reason,
                            "; take the general path");
  require<ShapeError>(
      generator.groups >= 0 && generator.first_group >= 0 && generator.groups == critic.groups &&
          generator.first_group == critic.first_group,
      op, ": expected the same groups of generators and critics, found [", generator.first_group,
      ", +", generator.groups, ") and [", critic.first_group, ", +", critic.groups, ")");
  if (generator.groups == 0) return;
  check_mlp_slabs(op, "generator", s.generator, generator, s.generator_optimizer.kind);
  check_mlp_slabs(op, "critic", s.critic, critic, s.critic_optimizer.kind);
  check_view(op, "data", data);
  require<ShapeError>(data.groups == 1 && data.features() == s.critic.input, op,
                      ": expected data [N=1][B][", s.critic.input, "], found ", describe(data));
  require<ShapeError>(steps >= 1, op, ": expected at least one M-step, found ", steps);
  // Quads of normals are numbered in 32 bits.
  const Index drawn = checked_multiply(s.critic_steps, s.batch);
  require<ShapeError>(checked_multiply(drawn, s.generator.input) <= (Index{1} << 34), op,
                      ": expected at most 2^34 noise values per M-step, found ",
                      drawn * s.generator.input);
}

// Values and two states, read and written once per call, and the gathered rows.
OpCost cost_of(Index groups, Index steps, const MlpStepSettings& s) {
  const NetworkMacs generator = macs_of(s.generator), critic = macs_of(s.critic);
  const auto all = static_cast<double>(groups);
  return {all * (24 * (generator.all + critic.all) +
                 4 * static_cast<double>(steps * s.critic_steps * s.batch * s.critic.input)),
          all * static_cast<double>(steps) * m_step_flops(generator, critic, s)};
}

}  // namespace

std::string mlp_step_refusal(const Context& ctx, const MlpStepSettings& s) {
  std::string reason = mlp_refusal("generator", s.generator);
  if (reason.empty()) reason = mlp_refusal("critic", s.critic);
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
  check_call(kOp, ctx, generator, critic, batches.data, steps, s);
  if (generator.groups == 0) return;
  const Index drawn = checked_multiply(s.critic_steps, s.batch);
  require<ShapeError>(batches.row != nullptr && batches.group_stride >= drawn &&
                          (steps == 1 || batches.step_stride >= drawn),
                      kOp, ": expected ", drawn, " drawn rows per group and M-step, found strides ",
                      batches.group_stride, " and ", batches.step_stride);
  dispatch<float>(
      ctx, kOp, cost_of(generator.groups, steps, s),
      [&](auto& c) { cpu::mlp_step(c, generator, critic, batches, losses, key, steps, s); },
      [&](auto& c) { cuda::mlp_step(c, generator, critic, batches, losses, key, steps, s); });
}

Index mlp_step_workspace(const Context& ctx, const MlpStepSettings& settings, Index groups) {
  return ctx.on_cpu() ? cpu::mlp_step_workspace(settings)
                      : cuda::mlp_step_workspace(ctx, settings, groups);
}

void mlp_partition_steps(Context& ctx, const ParamSlabs<float>& generator,
                         const ParamSlabs<float>& critic, const MlpPartition& partition,
                         const MlpStepLosses& losses, const RandomKey& key, Index steps,
                         const MlpStepSettings& s) {
  constexpr const char* kPartitionOp = "mlp_partition_steps";
  check_call(kPartitionOp, ctx, generator, critic, partition.data, steps, s);
  if (generator.groups == 0) return;
  const Index n = partition.data.batch;
  require<ShapeError>(partition.member != nullptr && partition.begin != nullptr &&
                          partition.row != nullptr && partition.components >= 1 && n >= 1 &&
                          n < Index{1} << 31,
                      kPartitionOp, ": expected a partition of 1 to 2^31 - 1 rows, found ", n,
                      " rows of ", partition.components, " components");
  if (!ctx.on_cpu()) {
    [[maybe_unused]] const TraceRange range(kPartitionOp);
    const Metered metered(ctx, kPartitionOp, cost_of(generator.groups, steps, s));
    cuda::mlp_partition_steps(ctx, generator, critic, partition, losses, key, steps, s);
    return;
  }
  const Index groups = generator.first_group + generator.groups;
  const Index mixtures = (groups + partition.components - 1) / partition.components;
  RandomKey now = key;
  for (Index step = 0; step < steps; ++step, ++now.step) {
    RandomKey draws = now;
    draws.purpose = Purpose::real_rows;
    draws.first_group -= static_cast<std::uint32_t>(generator.first_group);
    draw_rows(ctx, partition.row, generator.first_group, generator.groups,
              {nullptr, nullptr, mixtures, partition.components, n}, partition.member,
              partition.begin, {s.critic_steps, s.batch, 0, nullptr, draws});
    mlp_step(
        ctx, generator, critic,
        {.data = partition.data, .row = partition.row, .group_stride = s.critic_steps * s.batch},
        losses, now, 1, s);
  }
}

Index mlp_partition_steps_workspace(const Context& ctx, const MlpStepSettings& settings,
                                    Index groups, Index rows) {
  return std::max(mlp_step_workspace(ctx, settings, groups),
                  ctx.on_cpu() ? draw_workspace(ctx, groups, rows) : 0);
}

}  // namespace ganmm::kernels
