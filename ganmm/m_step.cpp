#include "ganmm/m_step.h"

#include "kernels/elementwise.h"
#include "kernels/loss.h"
#include "kernels/penalty.h"
#include "kernels/random.h"
#include "kernels/reduce.h"
#include "nn/gradient_penalty.h"

#include <algorithm>

namespace ganmm {
namespace {

bool has_penalty(const Settings& s) { return s.objective == Objective::wgan_gp; }

RandomKey key(const Settings& s, Purpose purpose, std::uint32_t step, Index first) {
  return {s.seed, purpose, step, static_cast<std::uint32_t>(first)};
}

ParamView<float> values(const Buffer<float>& buffer, Index first, Index groups) {
  return {buffer.data() + first, groups, {1}};
}

}  // namespace

MStep::MStep(Arena& arena, Context& ctx, const Mixture& mixture, const Settings& s, Index groups)
    : settings_(s), groups_(groups),
      fakes_(arena, "generator samples", mixture.generator, groups, s.critic_steps * s.batch,
             nn::TapeUse::forward, s.batch),
      generator_(arena, "generator step", mixture.generator, groups, s.batch,
                 nn::TapeUse::backward),
      critic_(arena, "critic step", mixture.critic, groups, (has_penalty(s) ? 3 : 2) * s.batch,
              has_penalty(s) ? nn::TapeUse::penalty : nn::TapeUse::backward, s.batch) {
  // Every batch size in use is announced: a library may need more for a smaller batch.
  for (const Index rows : {s.batch, s.critic_steps * s.batch}) {
    ctx.scratch().require_bytes(nn::workspace(mixture.generator, ctx, groups, rows));
  }
  for (const Index rows : {s.batch, 2 * s.batch, 3 * s.batch}) {
    ctx.scratch().require_bytes(nn::workspace(mixture.critic, ctx, groups, rows));
  }
}

MStep::Losses MStep::plan_losses(Arena& arena, Index components) {
  return {arena.request<float>("losses", components), arena.request<float>("losses", components),
          arena.request<float>("losses", components), arena.request<float>("losses", components)};
}

void MStep::run(Context& ctx, const Mixture& mixture, Index first, const Rows& rows,
                const Losses& losses, std::uint32_t iteration, bool clip) {
  generator_step(ctx, mixture, first, losses, iteration);
  make_fakes(ctx, mixture, first, iteration);
  for (Index step = 0; step < settings_.critic_steps; ++step) {
    critic_step(ctx, mixture, first, step, rows, losses, iteration, clip);
  }
}

// The generator minimises -mean f(G(z)).
void MStep::generator_step(Context& ctx, const Mixture& mixture, Index first, const Losses& losses,
                           std::uint32_t iteration) {
  const Index batch = settings_.batch;
  const auto generator = mixture.generator_params.range(first, groups_);
  const auto critic = mixture.critic_params.range(first, groups_);
  const std::size_t generator_out = generator_.depth(), critic_out = critic_.depth();

  kernels::fill_normal<float>(ctx, generator_.input(), 0.0, 1.0,
                              key(settings_, Purpose::generator_noise, iteration, first));
  mixture.generator.forward(ctx, generator, generator_, batch);
  kernels::axpby<float>(ctx, critic_.input().rows(0, batch), 1.0, generator_.output(), 0.0);
  mixture.critic.forward(ctx, critic, critic_, batch);
  kernels::group_mean<float>(ctx, values(losses.generated, first, groups_),
                             critic_.output().rows(0, batch));
  kernels::fill<float>(ctx, critic_.signal(critic_out).rows(0, batch),
                       -1.0 / static_cast<double>(batch));
  mixture.critic.backward(ctx, critic, critic_, {.rows = batch, .input_rows = batch});
  kernels::axpby<float>(ctx, generator_.signal(generator_out), 1.0,
                        critic_.signal(0).rows(0, batch), 0.0);
  mixture.generator.backward(ctx, generator, generator_, {.rows = batch, .param_rows = batch});
  kernels::optimizer_step<float>(ctx, generator.slabs(), settings_.optimizer());
}

// The generators stand still during the critic steps, so all their samples are made in one pass.
void MStep::make_fakes(Context& ctx, const Mixture& mixture, Index first, std::uint32_t iteration) {
  kernels::fill_normal<float>(ctx, fakes_.input(), 0.0, 1.0,
                              key(settings_, Purpose::noise, iteration, first));
  mixture.generator.forward(ctx, mixture.generator_params.range(first, groups_), fakes_,
                            fakes_.batch());
}

// The critic minimises mean f(fake) - mean f(real) (+ penalty).
void MStep::critic_step(Context& ctx, const Mixture& mixture, Index first, Index step,
                        const Rows& rows, const Losses& losses, std::uint32_t iteration,
                        bool clip) {
  const Index batch = settings_.batch, batches = settings_.critic_steps;
  const auto params = mixture.critic_params.range(first, groups_);
  const GroupView<float> real = critic_.input().rows(0, batch);
  const GroupView<float> fake = critic_.input().rows(batch, batch);

  kernels::gather_rows<float>(ctx, real, rows.data,
                              rows.row + first * batches * batch + step * batch, batches * batch);
  kernels::axpby<float>(ctx, fake, 1.0, fakes_.output().rows(step * batch, batch), 0.0);
  const Index all = critic_.batch();
  if (has_penalty(settings_)) {
    const auto steps = static_cast<std::uint32_t>(batches);
    kernels::interpolate<float>(ctx, critic_.input().rows(2 * batch, batch), real, fake,
                                key(settings_, Purpose::interpolation,
                                    iteration * steps + static_cast<std::uint32_t>(step), first));
  }
  mixture.critic.forward(ctx, params, critic_, all);
  kernels::wasserstein_signal<float>(ctx, critic_.signal(critic_.depth()), batch, batch);
  if (has_penalty(settings_)) {
    mixture.critic.backward(
        ctx, params, critic_,
        {.rows = all, .input_first = 2 * batch, .input_rows = batch, .param_rows = 2 * batch});
    nn::gradient_penalty<float>(ctx, mixture.critic, params, critic_, 2 * batch, batch,
                                settings_.penalty, values(losses.penalty, first, groups_));
  } else {
    mixture.critic.backward(ctx, params, critic_, {.rows = all, .param_rows = all});
  }
  kernels::OptimizerSettings optimizer = settings_.critic_optimizer();
  if (!clip) optimizer.clip = 0;
  kernels::optimizer_step<float>(ctx, params.slabs(), optimizer);
  if (step + 1 == batches) {
    kernels::group_mean<float>(ctx, values(losses.real, first, groups_),
                               critic_.output().rows(0, batch));
    kernels::group_mean<float>(ctx, values(losses.fake, first, groups_),
                               critic_.output().rows(batch, batch));
  }
}

}  // namespace ganmm
