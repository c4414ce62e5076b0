#include "kernels/penalty.h"

#include "kernels/backend.h"
#include "kernels/cpu/rows.h"

#include <algorithm>
#include <cmath>

namespace ganmm::kernels::cpu {

namespace {

constexpr double kNormFloor = 1e-12;  // below it a gradient has no direction

}  // namespace

template <class T>
void interpolate(Context&, GroupView<T> x_hat, GroupView<const T> real, GroupView<const T> fake,
                 const RandomKey& key) {
  const Index features = x_hat.features();
  for (Index g = 0; g < x_hat.groups; ++g) {
    for (Index first = 0; first < x_hat.batch; first += 4) {
      const Philox draw =
          philox(key, static_cast<std::uint32_t>(g), static_cast<std::uint32_t>(first / 4));
      const Index last = std::min(first + 4, x_hat.batch);
      for (Index b = first; b < last; ++b) {
        const T alpha = static_cast<T>(uniform01(draw.word[b - first]));
        const T beta = T{1} - alpha;
        T* __restrict y = x_hat.row(g, b);
        const T* __restrict x = real.row(g, b);
        const T* __restrict z = fake.row(g, b);
        for (Index i = 0; i < features; ++i) y[i] = alpha * x[i] + beta * z[i];
      }
    }
  }
}

template <class T>
void penalty_direction(Context&, GroupView<T> v, ParamView<T> penalty, GroupView<const T> g,
                       double lambda) {
  const Index features = g.features();
  const double weight = g.batch > 0 ? lambda / static_cast<double>(g.batch) : 0.0;
  for (Index n = 0; n < g.groups; ++n) {
    double total = 0;
    for (Index b = 0; b < g.batch; ++b) {
      const T* in = g.row(n, b);
      const double norm = std::sqrt(squared_norm(in, features));
      total += (norm - 1.0) * (norm - 1.0);
      T* out = v.row(n, b);
      if (norm <= kNormFloor) {
        std::fill_n(out, features, T{0});
        continue;
      }
      const T scale = static_cast<T>(2.0 * weight * (1.0 - 1.0 / norm));
#pragma GCC ivdep  // v may be g itself, and then element i depends on element i alone
      for (Index i = 0; i < features; ++i) out[i] = scale * in[i];
    }
    *penalty.group(n) = static_cast<T>(weight * total);
  }
}

template void interpolate<float>(Context&, GroupView<float>, GroupView<const float>,
                                 GroupView<const float>, const RandomKey&);
template void interpolate<double>(Context&, GroupView<double>, GroupView<const double>,
                                  GroupView<const double>, const RandomKey&);
template void penalty_direction<float>(Context&, GroupView<float>, ParamView<float>,
                                       GroupView<const float>, double);
template void penalty_direction<double>(Context&, GroupView<double>, ParamView<double>,
                                        GroupView<const double>, double);

}  // namespace ganmm::kernels::cpu
