#include "ganmm/e_step.h"

#include "kernels/elementwise.h"
#include "kernels/random.h"

#include <algorithm>

namespace ganmm {

template <class T>
EStepBuffers::EStepBuffers(Arena& arena, const Mixture<T>& mixture, const Settings& s,
                           Index data_rows) {
  const Index mixtures = mixture.mixtures, components = mixture.components;
  const Index groups = mixture.groups();
  clock = arena.request<kernels::Clock>("clock", 1);
  fakes = arena.request<float>(
      "classifier samples", checked_multiply(groups * s.batch, mixture.generator.output().count()));
  fake_label = arena.request<std::int32_t>("classifier targets", components * s.batch);
  loss = arena.request<float>("classifier loss", mixtures);
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

Index classify_chunk(const nn::Sequential<float>& classifier) {
  Index features = 0;
  for (const auto& layer : classifier.layers()) features += layer->output().count();
  return std::clamp<Index>((Index{4} << 20) / features, 32, 2048);
}

template <class T>
EStep<T>::EStep(Arena& arena, Context& ctx, const Mixture<T>& mixture, const Settings& s,
                Index groups, Index mixtures, Index data_rows)
    : settings_(s), groups_(groups), mixtures_(mixtures),
      trained_(mixture.classifier_params.layout().slots()),
      generator_(arena, "classifier sample pass", mixture.generator, groups, s.batch,
                 nn::TapeUse::forward),
      train_(arena, "classifier step", mixture.classifier, mixtures, mixture.components * s.batch,
             nn::TapeUse::backward, 0, true),
      classify_(arena, "classification", mixture.classifier, mixtures,
                classify_chunk(mixture.classifier), nn::TapeUse::forward, 0, true) {
  // The published mlp classifier misses its read-out in the list of trained variables.
  if (s.freeze_readout && s.net != NetKind::conv) trained_.resize(trained_.size() - 2);
  if (s.pool < data_rows) {
    window_ = arena.request<float>("pool window", chunk() * mixture.classifier.input().count());
  }
  ctx.scratch().require_bytes(std::max(
      {nn::workspace(mixture.generator, ctx, groups, s.batch),
       nn::workspace(mixture.classifier, ctx, mixtures, mixture.components * s.batch),
       nn::workspace(mixture.classifier, ctx, mixtures, classify_chunk(mixture.classifier))}));
}

template <class T>
void EStep<T>::make_fakes(Context& ctx, const Mixture<T>& mixture, const EStepBuffers& shared,
                          Index first, const kernels::Clock* clock, Index step) {
  const Index batch = settings_.batch;
  kernels::fill_normal<T>(ctx, generator_.input(), 0.0, 1.0,
                          {settings_.seed, Purpose::classifier_noise,
                           static_cast<std::uint32_t>(step), static_cast<std::uint32_t>(first),
                           &clock->step, static_cast<std::uint32_t>(settings_.classifier_steps)});
  mixture.generator.forward(ctx, mixture.generator_params.range(first, groups_), generator_, batch);
  const Shape item = mixture.generator.output();
  const GroupView<float> fakes(shared.fakes.data(), mixture.groups(), batch, item);
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
  classify_.bind_input({rows.data, mixtures_, rows.batch, rows.item, 0, rows.batch_stride});
  mixture.classifier.forward(ctx, mixture.classifier_params.range(first_mixture, mixtures_),
                             classify_, rows.batch);
  kernels::classify_rows<float>(ctx, posterior, label, label_stride,
                                classify_.output().rows(0, rows.batch), temperature);
}

template EStepBuffers::EStepBuffers(Arena&, const Mixture<float>&, const Settings&, Index);
template EStepBuffers::EStepBuffers(Arena&, const Mixture<BFloat16>&, const Settings&, Index);
template class EStep<float>;
template class EStep<BFloat16>;

}  // namespace ganmm
