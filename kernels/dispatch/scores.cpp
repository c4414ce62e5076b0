#include "kernels/scores.h"

#include "kernels/backend.h"
#include "kernels/dispatch/dispatch.h"
#include "kernels/dispatch/view_check.h"

namespace ganmm::kernels {

template <class T>
void score_statistics(Context& ctx, ParamView<Master<T>> centre, ParamView<Master<T>> scale,
                      GroupView<const T> score) {
  const char* op = "score_statistics";
  check_scores(op, "score", score);
  check_param(op, "centre", centre, score.groups, 1, "one number per critic");
  if (scale.data != nullptr) {
    check_param(op, "scale", scale, score.groups, 1, "one number per critic");
  }
  dispatch<T>(
      ctx, op, traffic(score, score),
      [&](auto& c) { cpu::score_statistics<T>(c, centre, scale, score); },
      [&](auto& c) { cuda::score_statistics<T>(c, centre, scale, score); });
}

template <class T>
void join_scores(Context& ctx, GroupView<Master<T>> logits, GroupView<const T> score,
                 ParamView<const Master<T>> centre, ParamView<const Master<T>> scale) {
  const char* op = "join_scores";
  check_scores(op, "score", score);
  check_view(op, "logits", logits);
  if (logits.features() < 1 || logits.batch != score.batch ||
      logits.groups * logits.features() != score.groups) {
    throw ShapeError(message(op, ": expected logits [R][B=", score.batch,
                             "][N], R x N = ", score.groups, " like the critics, found ",
                             describe(logits), "; give them a number per critic and row"));
  }
  check_param(op, "centre", centre, score.groups, 1, "one number per critic");
  check_param(op, "scale", scale, score.groups, 1, "one number per critic");
  dispatch<T>(
      ctx, op, traffic(logits, score),
      [&](auto& c) { cpu::join_scores<T>(c, logits, score, centre, scale); },
      [&](auto& c) { cuda::join_scores<T>(c, logits, score, centre, scale); });
}

void share_centres(Context& ctx, ParamView<float> centre, const std::int32_t* begin,
                   Index components, Index first) {
  const char* op = "share_centres";
  check_param(op, "centre", centre, centre.groups, 1, "one number per critic");
  require<ShapeError>(components >= 1 && first >= 0, op,
                      ": expected critics from 0 on in mixtures of at least one, found critic ",
                      first, " in mixtures of ", components);
  dispatch<float>(
      ctx, op, OpCost{12.0 * static_cast<double>(centre.groups), 0},
      [&](auto& c) { cpu::share_centres(c, centre, begin, components, first); },
      [&](auto& c) { cuda::share_centres(c, centre, begin, components, first); });
}

#define GANMM_INSTANTIATE(T)                                                                       \
  template void score_statistics<T>(Context&, ParamView<Master<T>>, ParamView<Master<T>>,          \
                                    GroupView<const T>);                                           \
  template void join_scores<T>(Context&, GroupView<Master<T>>, GroupView<const T>,                 \
                               ParamView<const Master<T>>, ParamView<const Master<T>>);

GANMM_FOR_EACH_TYPE(GANMM_INSTANTIATE)

}  // namespace ganmm::kernels
