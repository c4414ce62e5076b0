#include "ganmm/row_logits.h"

#include "kernels/elementwise.h"
#include "kernels/scores.h"

#include <algorithm>
#include <type_traits>

namespace ganmm {
namespace {

// Activations of one row in `networks` networks.
template <class T>
Index features_of(const nn::Sequential<T>& net, Index networks) {
  Index features = 0;
  for (const auto& layer : net.layers()) features += layer->output().count();
  return networks * features;
}

template <class T>
Index chunk_of(const Mixture<T>& mixture) {
  const Index features = mixture.critics_assign() ? features_of(mixture.critic, mixture.components)
                                                  : features_of(mixture.classifier, 1);
  return std::clamp<Index>((Index{4} << 20) / features, 32, 2048);
}

}  // namespace

template <class T>
RowLogits<T>::RowLogits(Arena& arena, Context& ctx, const Mixture<T>& mixture, Index mixtures)
    : mixtures_(mixtures), chunk_(chunk_of(mixture)),
      classifier_(arena, "classification", mixture.classifier,
                  mixture.critics_assign() ? 0 : mixtures, chunk_, nn::TapeUse::forward, 0, true),
      critic_(arena, "classification", mixture.critic,
              mixture.critics_assign() ? mixtures * mixture.components : 0, chunk_,
              nn::TapeUse::forward, 0, true) {
  if (!mixture.critics_assign()) {
    ctx.scratch().require_bytes(nn::workspace(mixture.classifier, ctx, mixtures, chunk_));
    return;
  }
  if (!std::is_same_v<T, float>) {
    rounded_ = arena.request<T>("classification rows", chunk_ * mixture.critic.input().count());
  }
  logits_ = arena.request<float>("classification logits", critic_.groups() * chunk_);
  ctx.scratch().require_bytes(nn::workspace(mixture.critic, ctx, critic_.groups(), chunk_));
}

template <class T>
GroupView<const T> RowLogits<T>::as_activations(Context& ctx, GroupView<const float> rows) {
  if constexpr (std::is_same_v<T, float>) {
    return rows;
  } else {
    const GroupView<T> rounded(rounded_.data(), 1, rows.batch, rows.item);
    kernels::copy<T, float>(ctx, rounded, rows);
    return rounded;
  }
}

template <class T>
GroupView<const float> RowLogits<T>::of(Context& ctx, const Mixture<T>& mixture, Index first,
                                        GroupView<const float> rows) {
  // All networks read the same rows.
  const auto shared = [](auto view, Index groups) {
    view.groups = groups;
    view.group_stride = 0;
    return view;
  };
  if (!mixture.critics_assign()) {
    classifier_.bind_input(shared(rows, mixtures_));
    mixture.classifier.forward(ctx, mixture.classifier_params.range(first, mixtures_), classifier_,
                               rows.batch);
    return classifier_.output().rows(0, rows.batch);
  }
  const Index components = mixture.components, critics = mixtures_ * components;
  critic_.bind_input(shared(as_activations(ctx, rows), critics));
  mixture.critic.forward(ctx, mixture.critic_params.range(first * components, critics), critic_,
                         rows.batch);
  const GroupView<float> logits(logits_.data(), mixtures_, rows.batch, {components});
  kernels::join_scores<T>(ctx, logits, critic_.output().rows(0, rows.batch),
                          mixture.score_centre_of(first * components, critics),
                          mixture.score_scale_of(first * components, critics));
  return logits;
}

template class RowLogits<float>;
template class RowLogits<BFloat16>;

}  // namespace ganmm
