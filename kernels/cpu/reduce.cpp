#include "kernels/reduce.h"

#include "kernels/backend.h"
#include "kernels/cpu/rows.h"

namespace ganmm::kernels::cpu {

template <class T>
void group_mean(Context&, ParamView<T> out, GroupView<const T> x) {
  const Index features = x.features();
  const double count = static_cast<double>(x.batch) * static_cast<double>(features);
  for (Index g = 0; g < x.groups; ++g) {
    const double sum = sum_terms(x.batch, [&](Index b) { return row_sum(x.row(g, b), features); });
    *out.group(g) = count > 0 ? static_cast<T>(sum / count) : T{0};
  }
}

template <class T>
void row_sums(Context&, GroupView<T> out, GroupView<const T> x) {
  const Index features = x.features();
  for (Index g = 0; g < x.groups; ++g) {
    for (Index b = 0; b < x.batch; ++b) {
      *out.row(g, b) = static_cast<T>(row_sum(x.row(g, b), features));
    }
  }
}

template <class T>
void row_squared_norms(Context&, GroupView<T> out, GroupView<const T> x) {
  const Index features = x.features();
  for (Index g = 0; g < x.groups; ++g) {
    for (Index b = 0; b < x.batch; ++b) {
      *out.row(g, b) = static_cast<T>(squared_norm(x.row(g, b), features));
    }
  }
}

template void group_mean<float>(Context&, ParamView<float>, GroupView<const float>);
template void group_mean<double>(Context&, ParamView<double>, GroupView<const double>);
template void row_sums<float>(Context&, GroupView<float>, GroupView<const float>);
template void row_sums<double>(Context&, GroupView<double>, GroupView<const double>);
template void row_squared_norms<float>(Context&, GroupView<float>, GroupView<const float>);
template void row_squared_norms<double>(Context&, GroupView<double>, GroupView<const double>);

}  // namespace ganmm::kernels::cpu
