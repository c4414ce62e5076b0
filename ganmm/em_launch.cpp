#include "ganmm/em_launch.h"

#include "nn/mlp.h"

namespace ganmm {
namespace {

kernels::MlpStepLosses of(const MStepLosses& losses) {
  return {losses.real.data(), losses.fake.data(), losses.penalty.data(), losses.generated.data()};
}

// Those of EM iterations.
kernels::EmStepBuffers buffers_of(GroupView<const float> data, const EStepBuffers& shared,
                                  const MStepLosses& losses, const kernels::PinView& pins) {
  return {
      data, shared.clock.data(), shared.label.data(), shared.posterior.data(), shared.row.data(),
      pins, shared.loss.data(),  of(losses)};
}

template <class T>
void launch(Context& ctx, const Mixture<T>& mixture, const kernels::EmStepBuffers& buffers,
            std::uint64_t seed, Index iterations, const kernels::EmStepSettings& settings) {
  kernels::em_step(ctx, mixture.generator_params.all().slabs(), mixture.critic_params.all().slabs(),
                   mixture.classifier_params.all().slabs(), buffers, seed, iterations, settings);
}

}  // namespace

template <class T>
EmLaunch<T>::EmLaunch(Context& ctx, const Mixture<T>& mixture, const Settings& s, Index data_rows,
                      bool wanted)
    : settings_(s) {
  if (!wanted) {
    no_pretraining_ = no_em_ = "so wanted";
    return;
  }
  if (ctx.on_cpu()) {
    no_pretraining_ = no_em_ = "on the CPU the components of a mixture are dealt out to lanes";
    return;
  }
  no_pretraining_ = no_em_ = describe_mlp_step(ctx, mixture, s, em_.gan);
  if (!no_em_.empty()) return;
  no_em_ = mixture.critics_assign() ? "critics assign the rows"
                                    : nn::describe_mlp(mixture.classifier.spec(), em_.classifier);
  em_.classifier_optimizer = s.classifier_optimizer();
  em_.entropy = {s.double_softmax, s.label_smoothing};
  em_.classifier_steps = s.classifier_steps;
  em_.single_class_batches = s.single_class_batches;
  em_.freeze_readout = s.freeze_readout;
  em_.temperature = s.temperature;
  em_.pool = s.pool;
  if (no_em_.empty()) no_em_ = kernels::em_step_refusal(ctx, em_);
  if (s.pool < data_rows) no_pretraining_ = no_em_;
  ctx.scratch().require_bytes(
      kernels::mlp_partition_steps_workspace(ctx, em_.gan, mixture.groups(), 0));
  if (no_em_.empty()) {
    ctx.scratch().require_bytes(kernels::em_step_workspace(ctx, em_, mixture.mixtures));
  }
}

template <class T>
void EmLaunch<T>::pretrain(Context& ctx, const Mixture<T>& mixture, GroupView<const float> data,
                           const EStepBuffers& shared, const MStepLosses& losses,
                           const kernels::PinView& pins, Index iterations) {
  kernels::EmStepSettings em = em_;
  if (!settings_.clip_in_pretraining) em.gan.critic_optimizer.clip = 0;
  if (settings_.pool < data.batch) {  // on rows of the pool, wherever it is
    em.foreign = 0;
    auto buffers = buffers_of(data, shared, losses, pins);
    buffers.label = shared.assigned.data();
    buffers.posterior = nullptr;
    launch(ctx, mixture, buffers, settings_.seed, iterations, em);
    return;
  }
  kernels::mlp_partition_steps(
      ctx, mixture.generator_params.all().slabs(), mixture.critic_params.all().slabs(),
      {data, shared.member.data(), shared.begin.data(), mixture.components, shared.row.data()},
      of(losses), {settings_.seed, Purpose::noise, 0, 0, &shared.clock.data()->step, 1}, iterations,
      em.gan);
  kernels::advance(ctx, shared.clock.data(), settings_.pool, data.batch, iterations);
}

template <class T>
void EmLaunch<T>::run(Context& ctx, const Mixture<T>& mixture, GroupView<const float> data,
                      const EStepBuffers& shared, const MStepLosses& losses,
                      const kernels::PinView& pins, Index foreign, Index iterations) {
  em_.foreign = foreign;
  launch(ctx, mixture, buffers_of(data, shared, losses, pins), settings_.seed, iterations, em_);
}

template class EmLaunch<float>;
template class EmLaunch<BFloat16>;

}  // namespace ganmm
