#include "ganmm/m_step.h"

#include "kernels/core/trace.h"
#include "kernels/elementwise.h"
#include "kernels/loss.h"
#include "kernels/penalty.h"
#include "kernels/random.h"
#include "kernels/reduce.h"
#include "nn/gradient_penalty.h"
#include "nn/mlp.h"

#include <algorithm>
#include <type_traits>

namespace ganmm {
namespace {

bool has_penalty(const Settings& s) { return s.objective == Objective::wgan_gp; }

// Numbers of `per_count` steps in every iteration, this being the step-th.
RandomKey key(const Settings& s, Purpose purpose, Index first, const kernels::Clock* clock,
              Index step = 0, Index per_count = 1) {
  return {s.seed,
          purpose,
          static_cast<std::uint32_t>(step),
          static_cast<std::uint32_t>(first),
          &clock->step,
          static_cast<std::uint32_t>(per_count)};
}

ParamView<float> values(const Buffer<float>& buffer, Index first, Index groups) {
  return {buffer.data() + first, groups, {1}};
}

}  // namespace

template <class T>
std::string describe_mlp_step(const Context& ctx, const Mixture<T>& mixture, const Settings& s,
                              kernels::MlpStepSettings& step) {
  if (!std::is_same_v<T, float>) return "activations are kept as bfloat16";
  if (s.objective == Objective::gan) return "the objective is not Wasserstein's";
  std::string reason = nn::describe_mlp(mixture.generator.spec(), step.generator);
  if (reason.empty()) reason = nn::describe_mlp(mixture.critic.spec(), step.critic);
  step.generator_optimizer = s.optimizer();
  step.critic_optimizer = s.critic_optimizer();
  step.with_penalty = has_penalty(s);
  step.penalty = s.penalty;
  step.critic_steps = s.critic_steps;
  step.batch = s.batch;
  return reason.empty() ? kernels::mlp_step_refusal(ctx, step) : reason;
}

template <class T>
MStep<T>::MStep(Arena& arena, Context& ctx, const Mixture<T>& mixture, const Settings& s,
                Index groups, bool one_op)
    : settings_(s), groups_(groups),
      layer_by_layer_because_(one_op ? describe_mlp_step(ctx, mixture, s, mlp_) : "so wanted"),
      fakes_(arena, "generator samples", mixture.generator, taped_groups(),
             s.critic_steps * s.batch, nn::TapeUse::forward, s.batch),
      generator_(arena, "generator step", mixture.generator, taped_groups(), s.batch,
                 nn::TapeUse::backward),
      critic_(arena, "critic step", mixture.critic, taped_groups(),
              (has_penalty(s) ? 3 : 2) * s.batch,
              has_penalty(s) ? nn::TapeUse::penalty : nn::TapeUse::backward, s.batch) {
  if (layer_by_layer_because_.empty()) {
    ctx.scratch().require_bytes(kernels::mlp_step_workspace(ctx, mlp_, groups));
    return;
  }
  // Every batch size in use is announced: a library may need more for a smaller batch.
  for (const Index rows : {s.batch, s.critic_steps * s.batch}) {
    ctx.scratch().require_bytes(nn::workspace(mixture.generator, ctx, groups, rows));
  }
  for (const Index rows : {s.batch, 2 * s.batch, 3 * s.batch}) {
    ctx.scratch().require_bytes(nn::workspace(mixture.critic, ctx, groups, rows));
  }
}

MStepLosses::MStepLosses(Arena& arena, Index components)
    : real(arena.request<float>("losses", components)),
      fake(arena.request<float>("losses", components)),
      penalty(arena.request<float>("losses", components)),
      generated(arena.request<float>("losses", components)) {}

template <class T>
void MStep<T>::run(Context& ctx, const Mixture<T>& mixture, Index first, const MStepRows& rows,
                   const MStepLosses& losses, const kernels::Clock* clock, bool clip,
                   const std::function<void()>& generators_ready) {
  if (layer_by_layer_because_.empty()) {
    const Index drawn = settings_.critic_steps * settings_.batch;
    kernels::MlpStepSettings step = mlp_;
    if (!clip) step.critic_optimizer.clip = 0;
    kernels::mlp_step(ctx, mixture.generator_params.range(first, groups_).slabs(),
                      mixture.critic_params.range(first, groups_).slabs(),
                      {.data = rows.data, .row = rows.row + first * drawn, .group_stride = drawn},
                      {losses.real.data() + first, losses.fake.data() + first,
                       losses.penalty.data() + first, losses.generated.data() + first},
                      key(settings_, Purpose::noise, first, clock), 1, step);
    if (generators_ready) generators_ready();
    return;
  }
  generator_step(ctx, mixture, first, losses, clock);
  if (generators_ready) generators_ready();
  make_fakes(ctx, mixture, first, clock);
  for (Index step = 0; step < settings_.critic_steps; ++step) {
    critic_step(ctx, mixture, first, step, rows, losses, clock, clip);
  }
}

// The signal of `real` scores that the critic (or generator) wants high and `fake` that it wants
// low; further rows are interpolates.
template <class T>
void MStep<T>::signal(Context& ctx, Index rows, Index real, Index fake) {
  const GroupView<T> d_score = critic_.signal(critic_.depth()).rows(0, rows);
  if (settings_.objective == Objective::gan) {
    kernels::logistic_signal<T>(ctx, d_score, critic_.output().rows(0, rows), real, fake);
  } else {
    kernels::wasserstein_signal<T>(ctx, d_score, real, fake);
  }
}

// The generator minimises -mean f(G(z)), or of a sigmoid -mean log sigmoid(f(G(z))).
template <class T>
void MStep<T>::generator_step(Context& ctx, const Mixture<T>& mixture, Index first,
                              const MStepLosses& losses, const kernels::Clock* clock) {
  [[maybe_unused]] const TraceRange range("generator step");
  const Index batch = settings_.batch;
  const auto generator = mixture.generator_params.range(first, groups_);
  const auto critic = mixture.critic_params.range(first, groups_);
  const std::size_t generator_out = generator_.depth();

  kernels::fill_normal<T>(ctx, generator_.input(), 0.0, 1.0,
                          key(settings_, Purpose::generator_noise, first, clock));
  mixture.generator.forward(ctx, generator, generator_, batch);
  kernels::copy<T, T>(ctx, critic_.input().rows(0, batch), generator_.output());
  mixture.critic.forward(ctx, critic, critic_, batch);
  kernels::group_mean<T>(ctx, values(losses.generated, first, groups_),
                         critic_.output().rows(0, batch));
  signal(ctx, batch, batch, 0);
  mixture.critic.backward(ctx, critic, critic_, {.rows = batch, .input_rows = batch});
  kernels::copy<T, T>(ctx, generator_.signal(generator_out), critic_.signal(0).rows(0, batch));
  mixture.generator.backward(ctx, generator, generator_, {.rows = batch, .param_rows = batch});
  kernels::optimizer_step<float>(ctx, generator.slabs(), settings_.optimizer());
}

// The generators stand still during the critic steps, so all their samples are made in one pass.
template <class T>
void MStep<T>::make_fakes(Context& ctx, const Mixture<T>& mixture, Index first,
                          const kernels::Clock* clock) {
  [[maybe_unused]] const TraceRange range("generator samples");
  kernels::fill_normal<T>(ctx, fakes_.input(), 0.0, 1.0,
                          key(settings_, Purpose::noise, first, clock));
  mixture.generator.forward(ctx, mixture.generator_params.range(first, groups_), fakes_,
                            fakes_.batch());
}

// The critic minimises mean f(fake) - mean f(real) (+ penalty), or cross-entropy.
template <class T>
void MStep<T>::critic_step(Context& ctx, const Mixture<T>& mixture, Index first, Index step,
                           const MStepRows& rows, const MStepLosses& losses,
                           const kernels::Clock* clock, bool clip) {
  [[maybe_unused]] const TraceRange range("critic step");
  const Index batch = settings_.batch, batches = settings_.critic_steps;
  const auto params = mixture.critic_params.range(first, groups_);
  const GroupView<T> real = critic_.input().rows(0, batch);
  const GroupView<T> fake = critic_.input().rows(batch, batch);

  kernels::gather_rows<T>(ctx, real, rows.data, rows.row + first * batches * batch + step * batch,
                          batches * batch);
  kernels::copy<T, T>(ctx, fake, fakes_.output().rows(step * batch, batch));
  const Index all = critic_.batch();
  if (has_penalty(settings_)) {
    kernels::interpolate<T>(ctx, critic_.input().rows(2 * batch, batch), real, fake,
                            key(settings_, Purpose::interpolation, first, clock, step, batches));
  }
  mixture.critic.forward(ctx, params, critic_, all);
  signal(ctx, all, batch, batch);
  if (has_penalty(settings_)) {
    mixture.critic.backward(
        ctx, params, critic_,
        {.rows = all, .input_first = 2 * batch, .input_rows = batch, .param_rows = 2 * batch});
    nn::gradient_penalty<T>(ctx, mixture.critic, params, critic_, 2 * batch, batch,
                            settings_.penalty, values(losses.penalty, first, groups_));
  } else {
    mixture.critic.backward(ctx, params, critic_, {.rows = all, .param_rows = all});
  }
  kernels::OptimizerSettings optimizer = settings_.critic_optimizer();
  if (!clip) optimizer.clip = 0;
  kernels::optimizer_step<float>(ctx, params.slabs(), optimizer);
  if (step + 1 == batches) {
    kernels::group_mean<T>(ctx, values(losses.real, first, groups_),
                           critic_.output().rows(0, batch));
    kernels::group_mean<T>(ctx, values(losses.fake, first, groups_),
                           critic_.output().rows(batch, batch));
  }
}

template std::string describe_mlp_step(const Context&, const Mixture<float>&, const Settings&,
                                       kernels::MlpStepSettings&);
template std::string describe_mlp_step(const Context&, const Mixture<BFloat16>&, const Settings&,
                                       kernels::MlpStepSettings&);
template class MStep<float>;
template class MStep<BFloat16>;

}  // namespace ganmm
