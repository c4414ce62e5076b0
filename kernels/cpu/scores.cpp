#include "kernels/scores.h"

#include "kernels/backend.h"
#include "kernels/cpu/rows.h"

#include <cmath>

namespace ganmm::kernels::cpu {

template <class T>
void score_statistics(Context&, ParamView<T> centre, ParamView<T> scale, GroupView<const T> score) {
  const auto rows = static_cast<double>(score.batch);
  for (Index g = 0; g < score.groups; ++g) {
    const auto value = [&](Index b) { return static_cast<double>(*score.row(g, b)); };
    const double mean = score.batch > 0 ? sum_terms(score.batch, value) / rows : 0.0;
    *centre.group(g) = static_cast<T>(mean);
    if (scale.data == nullptr) continue;
    const double squares = sum_terms(score.batch, [&](Index b) {
      const double deviation = value(b) - mean;
      return deviation * deviation;
    });
    *scale.group(g) = squares > 0 ? static_cast<T>(1 / std::sqrt(squares / rows)) : T{1};
  }
}

template <class T>
void join_scores(Context&, GroupView<T> logits, GroupView<const T> score, ParamView<const T> centre,
                 ParamView<const T> scale) {
  const Index components = logits.features();
  for (Index r = 0; r < logits.groups; ++r) {
    for (Index i = 0; i < components; ++i) {
      const Index g = r * components + i;
      const T middle = *centre.group(g), factor = *scale.group(g);
      for (Index b = 0; b < logits.batch; ++b) {
        logits.row(r, b)[i] = (*score.row(g, b) - middle) * factor;
      }
    }
  }
}

void share_centres(Context&, ParamView<float> centre, const std::int32_t* begin, Index components,
                   Index first) {
  for (Index g = 0; g < centre.groups; ++g) {
    const Index mixture = (first + g) / components, component = (first + g) % components;
    const std::int32_t* bounds = begin + mixture * (components + 1);
    const double own = bounds[component + 1] - bounds[component];
    const double share =
        (own + 1) / (static_cast<double>(bounds[components]) + static_cast<double>(components));
    *centre.group(g) = static_cast<float>(-std::log(share));
  }
}

#define GANMM_INSTANTIATE(T)                                                                       \
  template void score_statistics<T>(Context&, ParamView<T>, ParamView<T>, GroupView<const T>);     \
  template void join_scores<T>(Context&, GroupView<T>, GroupView<const T>, ParamView<const T>,     \
                               ParamView<const T>);
GANMM_INSTANTIATE(float)
GANMM_INSTANTIATE(double)

}  // namespace ganmm::kernels::cpu
