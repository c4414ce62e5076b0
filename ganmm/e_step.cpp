#include "ganmm/e_step.h"

#include "kernels/elementwise.h"
#include "kernels/random.h"
#include "kernels/scores.h"

#include <algorithm>

namespace ganmm {

template <class T>
EStepBuffers::EStepBuffers(Arena& arena, const Mixture<T>& mixture, const Settings& s,
                           Index data_rows) {
  const Index mixtures = mixture.mixtures, components = mixture.components;
  const Index groups = mixture.groups();
  clock = arena.request<kernels::Clock>("clock", 1);
  if (!mixture.critics_assign()) {
    fakes = arena.request<float>(
        "classifier samples",
        checked_multiply(groups * s.batch, mixture.generator.output().count()));
    fake_label = arena.request<std::int32_t>("classifier targets", components * s.batch);
    loss = arena.request<float>("classifier loss", mixtures);
  }
  label = arena.request<std::int32_t>("pool labels", checked_multiply(mixtures, s.pool));
  posterior =
      arena.request<float>("pool posteriors", checked_multiply(mixtures * components, s.pool));
  member = arena.request<std::int32_t>("rows by component", checked_multiply(mixtures, s.pool));
  begin = arena.request<std::int32_t>("component bounds", mixtures * (components + 1));
  row =
      arena.request<std::int32_t>("drawn rows", checked_multiply(groups, s.critic_steps * s.batch));
  assigned = arena.request<std::int32_t>("assignments", checked_multiply(mixtures, data_rows));
  changed = arena.request<std::int32_t>("check counts", mixtures);
  size = arena.request<std::int32_t>("check counts", groups);
  confidence = arena.request<double>("check counts", mixtures);
}

template <class T>
EStep<T>::EStep(Arena& arena, Context& ctx, const Mixture<T>& mixture, const Settings& s,
                Index groups, Index mixtures, Index data_rows)
    : settings_(s), groups_(groups), mixtures_(mixtures),
      trained_(mixture.classifier_params.layout().slots()),
      generator_(arena, "E-step samples", mixture.generator,
                 mixture.critics_assign() && !s.scores_samples() ? 0 : groups, s.batch,
                 nn::TapeUse::forward),
      critic_(arena, "E-step scores", mixture.critic, s.scores_samples() ? groups : 0, s.batch,
              nn::TapeUse::forward, 0, true),
      train_(arena, "classifier step", mixture.classifier, mixture.critics_assign() ? 0 : mixtures,
             mixture.components * s.batch, nn::TapeUse::backward, 0, true),
      logits_(arena, ctx, mixture, mixtures) {
  // The published mlp classifier misses its read-out in the list of trained variables.
  if (s.freeze_readout && s.net != NetKind::conv) trained_.resize(trained_.size() - 2);
  if (s.pool < data_rows) {
    window_ = arena.request<float>("pool window", chunk() * mixture.critic.input().count());
  }
  ctx.scratch().require_bytes(
      std::max({nn::workspace(mixture.generator, ctx, generator_.groups(), s.batch),
                nn::workspace(mixture.critic, ctx, critic_.groups(), s.batch),
                nn::workspace(mixture.classifier, ctx, train_.groups(), train_.batch())}));
}

template <class T>
void EStep<T>::generate(Context& ctx, const Mixture<T>& mixture, Index first,
                        const RandomKey& key) {
  kernels::fill_normal<T>(ctx, generator_.input(), 0.0, 1.0, key);
  mixture.generator.forward(ctx, mixture.generator_params.range(first, groups_), generator_,
                            settings_.batch);
}

template <class T>
void EStep<T>::make_fakes(Context& ctx, const Mixture<T>& mixture, const EStepBuffers& shared,
                          Index first, const kernels::Clock* clock, Index step) {
  generate(ctx, mixture, first,
           {settings_.seed, Purpose::classifier_noise, static_cast<std::uint32_t>(step),
            static_cast<std::uint32_t>(first), &clock->step,
            static_cast<std::uint32_t>(settings_.classifier_steps)});
  const GroupView<float> fakes(shared.fakes.data(), mixture.groups(), settings_.batch,
                               mixture.generator.output());
  kernels::copy<float, T>(ctx, fakes.slice(first, groups_), generator_.output());
}

template <class T>
void EStep<T>::train_classifier(Context& ctx, const Mixture<T>& mixture, const EStepBuffers& shared,
                                Index first) {
  const Index batch = settings_.batch, components = mixture.components;
  const GroupView<float> fakes =
      GroupView<float>(shared.fakes.data(), mixture.groups(), batch, mixture.generator.output())
          .joined(mixture.mixtures)
          .slice(first, mixtures_);
  const auto params = mixture.classifier_params.range(first, mixtures_);
  const ParamView<float> loss(shared.loss.data() + first, mixtures_, {1});
  const kernels::CrossEntropySettings entropy{settings_.double_softmax, settings_.label_smoothing};

  const Index parts = settings_.single_class_batches ? components : 1;
  const Index rows = components * batch / parts;
  for (Index part = 0; part < parts; ++part) {
    train_.bind_input(fakes.rows(part * rows, rows));
    mixture.classifier.forward(ctx, params, train_, rows);
    const GroupView<float> signal = train_.signal(train_.depth()).rows(0, rows);
    kernels::cross_entropy<float>(ctx, loss, signal, train_.output().rows(0, rows),
                                  shared.fake_label.data() + part * rows, entropy);
    mixture.classifier.backward(ctx, params, train_, {.rows = rows, .param_rows = rows});
    auto slabs = params.slabs();
    slabs.slots = &trained_;
    kernels::optimizer_step<float>(ctx, slabs, settings_.classifier_optimizer());
  }
}

template <class T>
void EStep<T>::calibrate(Context& ctx, const Mixture<T>& mixture, const EStepBuffers& shared,
                         Index first, const kernels::Clock* clock) {
  if (settings_.critic_score == CriticScore::share) {
    kernels::share_centres(ctx, mixture.score_centre_of(first, groups_), shared.begin.data(),
                           mixture.components, first);
    return;
  }
  generate(ctx, mixture, first,
           {settings_.seed, Purpose::classifier_noise, 0, static_cast<std::uint32_t>(first),
            &clock->step, 1});
  critic_.bind_input(generator_.output());
  mixture.critic.forward(ctx, mixture.critic_params.range(first, groups_), critic_,
                         settings_.batch);
  const bool scaled = settings_.critic_score == CriticScore::standardized;
  kernels::score_statistics<T>(ctx, mixture.score_centre_of(first, groups_),
                               scaled ? mixture.score_scale_of(first, groups_) : ParamView<float>(),
                               critic_.output());
}

template <class T>
GroupView<const float> EStep<T>::pool_rows(Context& ctx, GroupView<const float> data,
                                           const kernels::Clock* clock, Index first, Index count) {
  if (window_.count() == 0) return data.rows(first, count);
  const GroupView<float> window(window_.data(), 1, count, data.item);
  kernels::window_rows<float>(ctx, window, data, &clock->first_row, first);
  return window;
}

template <class T>
void EStep<T>::classify(Context& ctx, const Mixture<T>& mixture, Index first_mixture,
                        GroupView<const float> rows, std::int32_t* label, Index label_stride,
                        GroupView<float> posterior, double temperature) {
  kernels::classify_rows<float>(ctx, posterior, label, label_stride,
                                logits_.of(ctx, mixture, first_mixture, rows), temperature);
}

template EStepBuffers::EStepBuffers(Arena&, const Mixture<float>&, const Settings&, Index);
template EStepBuffers::EStepBuffers(Arena&, const Mixture<BFloat16>&, const Settings&, Index);
template class EStep<float>;
template class EStep<BFloat16>;

}  // namespace ganmm
