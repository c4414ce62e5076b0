// mlp_step: M-steps of small GANs in one launch. One block per GAN, for all M-steps of the call,
// as kernels/cuda/mlp_gan.h describes. Other blocks are needed to fill a device: GANs of several
// mixtures run side by side.
#include "kernels/backend.h"
#include "kernels/cuda/mlp_gan.h"

namespace ganmm::kernels::cuda {

namespace {

using namespace mlp;

template <bool resident>
GANMM_BLOCK_KERNEL(kMaxThreads)
mlp_step_kernel(Step s) {
  float* const shared = device::dynamic_shared<float>();
  const int group = device::block_index_x();
  const auto weights = [&](const Net& net) {
    return Weights<resident>{net, shared, resident ? shared + s.at.state1 : net.state1,
                             resident ? shared + s.at.state2 : net.state2, group};
  };
  const Gan<resident> gan{s,
                          weights(s.generator),
                          weights(s.critic),
                          shared,
                          group,
                          s.key.first_group + static_cast<std::uint32_t>(group),
                          step_of(s.key)};
  // Padding must be zero in weights, finite elsewhere, and is never written again.
  for (int i = thread_index_x(); i < s.at.floats; i += block_size_x()) shared[i] = 0;
  const int generator_updates = s.generator.step[group], critic_updates = s.critic.step[group];
  sync_threads();
  gan.generator.load();
  gan.critic.load();
  sync_threads();
  for (int step = 0; step < s.steps; ++step) {
    if (s.from.member != nullptr) {
      gan.draw_from_partition(step);
      sync_threads();
    }
    gan.generator_step(step, generator_updates + step + 1);
    gan.make_fakes(step);
    for (int c = 0; c < s.critic_steps; ++c) {
      gan.critic_step(step, c, critic_updates + step * s.critic_steps + c + 1);
    }
  }
  gan.generator.save();
  gan.critic.save();
  if (thread_index_x() == 0) {
    s.generator.step[group] = generator_updates + s.steps;
    s.critic.step[group] = critic_updates + s.steps * s.critic_steps;
  }
}

// Launches with everything but the rows given in `s`.
void run_steps(Context& ctx, const char* name, Step& s, const ParamSlabs<float>& generator,
               const ParamSlabs<float>& critic) {
  bind(s.generator, generator);
  bind(s.critic, critic);
  const auto bytes = [&](bool resident) {
    return static_cast<std::size_t>(lay_out(s, resident)) * sizeof(float);
  };
  const bool resident = bytes(true) <= shared_memory_limit(ctx);
  const LaunchShape shape{generator.groups, 1, 1, threads_for(s), bytes(resident)};
  launch(ctx, name, shape, resident ? mlp_step_kernel<true> : mlp_step_kernel<false>, s);
}

}  // namespace

std::string mlp_step_refusal(const Context& ctx, const MlpStepSettings& settings) {
  std::string reason = network_refusal("generator", settings.generator);
  if (reason.empty()) reason = network_refusal("critic", settings.critic);
  if (!reason.empty()) return reason;
  Step step = plan_step(settings);
  const Index bytes = lay_out(step, false) * static_cast<Index>(sizeof(float));
  const auto limit = static_cast<Index>(shared_memory_limit(ctx));
  if (bytes > limit) {
    return message("one GAN takes ", bytes, " bytes of shared memory, the device has ", limit);
  }
  return {};
}

Index mlp_step_workspace(const Context&, const MlpStepSettings&, Index) { return 0; }

void mlp_step(Context& ctx, const ParamSlabs<float>& generator, const ParamSlabs<float>& critic,
              const MlpStepBatches& batches, const MlpStepLosses& losses, const RandomKey& key,
              Index steps, const MlpStepSettings& settings) {
  Step s = plan_step(settings);
  s.steps = static_cast<int>(steps);
  s.data = {batches.data.data, batches.data.group_stride, batches.data.batch_stride};
  s.row = batches.row;
  s.row_group_stride = batches.group_stride;
  s.row_step_stride = batches.step_stride;
  s.losses = losses;
  s.key = key;
  run_steps(ctx, "mlp_step", s, generator, critic);
}

void mlp_partition_steps(Context& ctx, const ParamSlabs<float>& generator,
                         const ParamSlabs<float>& critic, const MlpPartition& partition,
                         const MlpStepLosses& losses, const RandomKey& key, Index steps,
                         const MlpStepSettings& settings) {
  Step s = plan_step(settings);
  s.steps = static_cast<int>(steps);
  const GroupView<const float>& data = partition.data;
  s.data = {data.data, data.group_stride, data.batch_stride};
  s.row = s.drawn = partition.row;
  s.row_group_stride = settings.critic_steps * settings.batch;
  s.from = {partition.member, partition.begin, partition.components, data.batch,
            generator.first_group};
  s.losses = losses;
  s.key = key;
  run_steps(ctx, "mlp_partition_steps", s, generator, critic);
}

}  // namespace ganmm::kernels::cuda
