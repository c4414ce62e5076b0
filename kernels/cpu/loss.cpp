#include "kernels/loss.h"

#include "kernels/backend.h"

#include <algorithm>
#include <cmath>

namespace ganmm::kernels::cpu {

namespace {

// p = softmax(z); p may alias z. Returns log sum_k exp(z_k).
template <class T>
double softmax(T* p, const T* z, Index classes) {
  const T top = *std::max_element(z, z + classes);
  double sum = 0;
  for (Index k = 0; k < classes; ++k) {
    p[k] = std::exp(z[k] - top);
    sum += static_cast<double>(p[k]);
  }
  const T scale = static_cast<T>(1.0 / sum);
  for (Index k = 0; k < classes; ++k) p[k] *= scale;
  return static_cast<double>(top) + std::log(sum);
}

// The target distribution: `on` for the true class in addition to `off` for every class.
struct Target {
  double on;
  double off;
  Index label;

  double operator[](Index k) const { return (k == label ? on : 0.0) + off; }
};

// -sum_k target_k log softmax(z)_k, given lse = log sum_k exp(z_k); the target sums to 1.
template <class T>
double cross_entropy_of(const T* z, double lse, Index classes, const Target& target) {
  double expected = target.on * static_cast<double>(z[target.label]);
  if (target.off != 0) {
    for (Index k = 0; k < classes; ++k) expected += target.off * static_cast<double>(z[k]);
  }
  return lse - expected;
}

// Loss of one row and its gradient times `scale`; d may alias z.
template <class T>
double single_softmax_row(T* d, const T* z, Index classes, const Target& target, double scale) {
  // The logits are read before d overwrites them; what is left to add is log sum exp.
  const double without_lse = cross_entropy_of(z, 0.0, classes, target);
  const double lse = softmax(d, z, classes);
  for (Index k = 0; k < classes; ++k) {
    d[k] = static_cast<T>((static_cast<double>(d[k]) - target[k]) * scale);
  }
  return lse + without_lse;
}

// The same with p = softmax(z), q = softmax(p), loss = -sum target log q:
// dl/dp = q - target, dl/dz = p (dl/dp - sum p dl/dp).
template <class T>
double double_softmax_row(T* d, const T* z, Index classes, const Target& target, double scale) {
  softmax(d, z, classes);
  const T* p = d;
  double sum = 0;  // p is at most 1: no maximum to subtract
  for (Index k = 0; k < classes; ++k) sum += std::exp(static_cast<double>(p[k]));
  const double loss = cross_entropy_of(p, std::log(sum), classes, target);
  const auto d_p = [&](Index k) { return std::exp(static_cast<double>(p[k])) / sum - target[k]; };
  double mean = 0;
  for (Index k = 0; k < classes; ++k) mean += static_cast<double>(p[k]) * d_p(k);
  for (Index k = 0; k < classes; ++k) {
    d[k] = static_cast<T>(static_cast<double>(p[k]) * (d_p(k) - mean) * scale);
  }
  return loss;
}

}  // namespace

template <class T>
void wasserstein_signal(Context&, GroupView<T> d_score, Index real, Index fake) {
  const T for_real = real > 0 ? static_cast<T>(-1.0 / static_cast<double>(real)) : T{0};
  const T for_fake = fake > 0 ? static_cast<T>(1.0 / static_cast<double>(fake)) : T{0};
  for (Index g = 0; g < d_score.groups; ++g) {
    Index b = 0;
    for (; b < real; ++b) *d_score.row(g, b) = for_real;
    for (; b < real + fake; ++b) *d_score.row(g, b) = for_fake;
    for (; b < d_score.batch; ++b) *d_score.row(g, b) = T{1};
  }
}

// -1 / (1 + exp(f)) for real rows and 1 / (1 + exp(-f)) for the others: no difference of numbers
// near 1, and an exponential that overflows gives the limit 0.
template <class T>
void logistic_signal(Context&, GroupView<T> d_score, GroupView<const T> score, Index real,
                     Index fake) {
  for (Index g = 0; g < d_score.groups; ++g) {
    for (Index b = 0; b < d_score.batch; ++b) {
      const T sign = b < real ? T{-1} : T{1};
      const T rows = static_cast<T>(b < real ? real : fake);
      *d_score.row(g, b) = sign / (T{1} + std::exp(-sign * *score.row(g, b))) / rows;
    }
  }
}

template <class T>
void cross_entropy(Context&, ParamView<T> loss, GroupView<T> d_logits, GroupView<const T> logits,
                   const std::int32_t* label, const CrossEntropySettings& settings) {
  const Index classes = logits.features();
  const Index rows = classes > 0 ? logits.batch : 0;
  const double scale = rows > 0 ? 1.0 / static_cast<double>(rows) : 0.0;
  const double off = settings.label_smoothing / static_cast<double>(std::max<Index>(classes, 1));
  for (Index g = 0; g < logits.groups; ++g) {
    double total = 0;
    for (Index b = 0; b < rows; ++b) {
      const Target target{1.0 - settings.label_smoothing, off, label[b]};
      T* d = d_logits.row(g, b);
      const T* z = logits.row(g, b);
      total += settings.double_softmax ? double_softmax_row(d, z, classes, target, scale)
                                       : single_softmax_row(d, z, classes, target, scale);
    }
    *loss.group(g) = static_cast<T>(total * scale);
  }
}

template void wasserstein_signal<float>(Context&, GroupView<float>, Index, Index);
template void wasserstein_signal<double>(Context&, GroupView<double>, Index, Index);
template void logistic_signal<float>(Context&, GroupView<float>, GroupView<const float>, Index,
                                     Index);
template void logistic_signal<double>(Context&, GroupView<double>, GroupView<const double>, Index,
                                      Index);
template void cross_entropy<float>(Context&, ParamView<float>, GroupView<float>,
                                   GroupView<const float>, const std::int32_t*,
                                   const CrossEntropySettings&);
template void cross_entropy<double>(Context&, ParamView<double>, GroupView<double>,
                                    GroupView<const double>, const std::int32_t*,
                                    const CrossEntropySettings&);

}  // namespace ganmm::kernels::cpu
