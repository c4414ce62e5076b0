// The cross-entropy of one row of logits and its gradient, in single precision with the maximum
// subtracted from the logits first.
#pragma once

#include "kernels/cuda/kernel.h"
#include "kernels/loss.h"

namespace ganmm::kernels::cuda {

// The target distribution: `on` for the true class in addition to `off` for every class.
struct Target {
  float on, off;
};
inline Target target_distribution(const CrossEntropySettings& settings, Index classes) {
  const double off = classes > 0 ? settings.label_smoothing / static_cast<double>(classes) : 0.0;
  return {static_cast<float>(1.0 - settings.label_smoothing), static_cast<float>(off)};
}

GANMM_DEVICE float target_of(const Target& target, Index k, Index label) {
  return (k == label ? target.on : 0.0f) + target.off;
}

// Loss of one row, its gradient times `scale` into d; d may be z.
GANMM_DEVICE float single_softmax_row(float* d, const float* z, float top, Index classes,
                                      const Target& target, Index label, float scale) {
  float sum = 0, expected = 0;
  for (Index k = 0; k < classes; ++k) {
    const float below = z[k] - top;
    sum += expf(below);
    expected += target_of(target, k, label) * below;
  }
  const float inverse = 1.0f / sum;
  for (Index k = 0; k < classes; ++k) {
    d[k] = (expf(z[k] - top) * inverse - target_of(target, k, label)) * scale;
  }
  return logf(sum) - expected;  // the target sums to 1, so `top` has left both terms
}

// The same with p = softmax(z), q = softmax(p), loss = -sum target log q:
// dl/dp = q - target, dl/dz = p (dl/dp - sum p dl/dp).
GANMM_DEVICE float double_softmax_row(float* d, const float* z, float top, Index classes,
                                      const Target& target, Index label, float scale) {
  float sum = 0;
  for (Index k = 0; k < classes; ++k) sum += expf(z[k] - top);
  const float inverse = 1.0f / sum;
  float outer = 0, weighted = 0, expected = 0;
  for (Index k = 0; k < classes; ++k) {
    const float p = expf(z[k] - top) * inverse;
    const float e = expf(p);  // p is at most 1: no maximum to subtract
    outer += e;
    weighted += p * e;
    expected += target_of(target, k, label) * p;
  }
  const float outer_inverse = 1.0f / outer;
  const float mean = weighted * outer_inverse - expected;
  for (Index k = 0; k < classes; ++k) {
    const float p = expf(z[k] - top) * inverse;
    const float d_p = expf(p) * outer_inverse - target_of(target, k, label);
    d[k] = p * (d_p - mean) * scale;
  }
  return logf(outer) - expected;
}

// Either of them; twice: the double softmax.
GANMM_DEVICE float cross_entropy_row(float* d, const float* z, Index classes, bool twice,
                                     const Target& target, Index label, float scale) {
  float top = z[0];
  for (Index k = 1; k < classes; ++k) top = z[k] > top ? z[k] : top;
  return twice ? double_softmax_row(d, z, top, classes, target, label, scale)
               : single_softmax_row(d, z, top, classes, target, label, scale);
}

}  // namespace ganmm::kernels::cuda
