#include "ganmm/em_launch.h"

#include "nn/mlp.h"

namespace ganmm {

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
  no_em_ = nn::describe_mlp(mixture.classifier.spec(), em_.classifier);
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
  kernels::MlpStepSettings step = em_.gan;
  if (!settings_.clip_in_pretraining) step.critic_optimizer.clip = 0;
  if (settings_.pool < data.batch) {  // on rows of the pool, wherever it is
    kernels::EmStepSettings em = em_;
    em.gan = step;
    em.foreign = 0;
    kernels::em_step(
        ctx, mixture.generator_params.all().slabs(), mixture.critic_params.all().slabs(),
        mixture.classifier_params.all().slabs(),
        {data,
         shared.clock.data(),
         shared.assigned.data(),
         nullptr,
         shared.row.data(),
         pins,
         shared.loss.data(),
         {losses.real.data(), losses.fake.data(), losses.penalty.data(), losses.generated.data()}},
        settings_.seed, iterations, em);
    return;
  }
  kernels::mlp_partition_steps(
      ctx, mixture.generator_params.all().slabs(), mixture.critic_params.all().slabs(),
      {data, shared.member.data(), shared.begin.data(), mixture.components, shared.row.data()},
      {losses.real.data(), losses.fake.data(), losses.penalty.data(), losses.generated.data()},
      {settings_.seed, Purpose::noise, 0, 0, &shared.clock.data()->step, 1}, iterations, step);
  kernels::advance(ctx, shared.clock.data(), settings_.pool, data.batch, iterations);
}

template <class T>
void EmLaunch<T>::run(Context& ctx, const Mixture<T>& mixture, GroupView<const float> data,
                      const EStepBuffers& shared, const MStepLosses& losses,
                      const kernels::PinView& pins, Index foreign, Index iterations) {
  em_.foreign = foreign;
  kernels::em_step(
      ctx, mixture.generator_params.all().slabs(), mixture.critic_params.all().slabs(),
      mixture.classifier_params.all().slabs(),
      {data,
       shared.clock.data(),
       shared.label.data(),
       shared.posterior.data(),
       shared.row.data(),
       pins,
       shared.loss.data(),
       {losses.real.data(), losses.fake.data(), losses.penalty.data(), losses.generated.data()}},
      settings_.seed, iterations, em_);
}

template class EmLaunch<float>;
template class EmLaunch<BFloat16>;

}  // namespace ganmm
