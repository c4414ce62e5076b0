#include "kernels/loss.h"

#include "kernels/backend.h"
#include "kernels/dispatch/dispatch.h"
#include "kernels/dispatch/view_check.h"

namespace ganmm::kernels {

template <class T>
void wasserstein_signal(Context& ctx, GroupView<T> d_score, Index real, Index fake) {
  const char* op = "wasserstein_signal";
  check_scores(op, "d_score", d_score);
  require<ShapeError>(
      real >= 0 && fake >= 0 && real <= d_score.batch && fake <= d_score.batch - real, op,
      ": expected real and fake rows within [N=", d_score.groups, "][B=", d_score.batch,
      "], found ", real, " real and ", fake, " fake; count the rows of the critic batch");
  dispatch<T>(
      ctx, op, traffic(d_score),
      [&](auto& c) { cpu::wasserstein_signal<T>(c, d_score, real, fake); },
      [&](auto& c) { cuda::wasserstein_signal<T>(c, d_score, real, fake); });
}

template <class T>
void logistic_signal(Context& ctx, GroupView<T> d_score, GroupView<const T> score, Index real,
                     Index fake) {
  const char* op = "logistic_signal";
  check_scores(op, "score", score);
  check_like(op, "d_score", d_score, "score", score);
  require<ShapeError>(real >= 0 && fake >= 0 && real <= score.batch && fake == score.batch - real,
                      op, ": expected real and fake rows that make up [N=", score.groups,
                      "][B=", score.batch, "], found ", real, " real and ", fake,
                      " fake; count the rows of the critic batch");
  dispatch<T>(
      ctx, op, traffic(d_score, score),
      [&](auto& c) { cpu::logistic_signal<T>(c, d_score, score, real, fake); },
      [&](auto& c) { cuda::logistic_signal<T>(c, d_score, score, real, fake); });
}

template <class T>
void cross_entropy(Context& ctx, ParamView<T> loss, GroupView<T> d_logits,
                   GroupView<const T> logits, const std::int32_t* label,
                   const CrossEntropySettings& settings) {
  const char* op = "cross_entropy";
  check_view(op, "logits", logits);
  check_like(op, "d_logits", d_logits, "logits", logits);
  check_param(op, "loss", loss, logits.groups, 1, "one number per group");
  require<ShapeError>(label != nullptr || logits.groups == 0 || logits.batch == 0, op,
                      ": expected ", logits.batch,
                      " labels [B], found a null pointer; pass one class number per row");
  require<ConfigError>(settings.label_smoothing >= 0 && settings.label_smoothing <= 1, op,
                       ": expected label smoothing in [0, 1], found ", settings.label_smoothing,
                       "; 0 turns it off");
  dispatch<T>(
      ctx, op, traffic(d_logits, logits),
      [&](auto& c) { cpu::cross_entropy<T>(c, loss, d_logits, logits, label, settings); },
      [&](auto& c) { cuda::cross_entropy<T>(c, loss, d_logits, logits, label, settings); });
}

#define GANMM_INSTANTIATE(T)                                                                       \
  template void wasserstein_signal<T>(Context&, GroupView<T>, Index, Index);                       \
  template void logistic_signal<T>(Context&, GroupView<T>, GroupView<const T>, Index, Index);
GANMM_FOR_EACH_TYPE(GANMM_INSTANTIATE)
#undef GANMM_INSTANTIATE

#define GANMM_INSTANTIATE(T)                                                                       \
  template void cross_entropy<T>(Context&, ParamView<T>, GroupView<T>, GroupView<const T>,         \
                                 const std::int32_t*, const CrossEntropySettings&);
GANMM_FOR_EACH_WIDE_TYPE(GANMM_INSTANTIATE)

}  // namespace ganmm::kernels
