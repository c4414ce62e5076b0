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
  dispatch_cpu_only(ctx, op, [&] { cpu::wasserstein_signal<T>(ctx, d_score, real, fake); });
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
  dispatch_cpu_only(ctx, op,
                    [&] { cpu::cross_entropy<T>(ctx, loss, d_logits, logits, label, settings); });
}

template void wasserstein_signal<float>(Context&, GroupView<float>, Index, Index);
template void wasserstein_signal<double>(Context&, GroupView<double>, Index, Index);
template void cross_entropy<float>(Context&, ParamView<float>, GroupView<float>,
                                   GroupView<const float>, const std::int32_t*,
                                   const CrossEntropySettings&);
template void cross_entropy<double>(Context&, ParamView<double>, GroupView<double>,
                                    GroupView<const double>, const std::int32_t*,
                                    const CrossEntropySettings&);

}  // namespace ganmm::kernels
