#include "kernels/backend.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace ganmm::kernels::cpu {
namespace {

// One tensor of one group. The clip range is infinite when clipping is off, so that there is one
// loop and it vectorises.
template <class T>
void adam(T* __restrict p, const T* __restrict g, T* __restrict m, T* __restrict v, Index count,
          const OptimizerSettings& s, double step) {
  const T b1 = static_cast<T>(s.beta1), b2 = static_cast<T>(s.beta2);
  const T c1 = T{1} - b1, c2 = T{1} - b2;
  const T rate = static_cast<T>(s.learning_rate / (1.0 - std::pow(s.beta1, step)));
  const T root_scale = static_cast<T>(1.0 / std::sqrt(1.0 - std::pow(s.beta2, step)));
  const T epsilon = static_cast<T>(s.epsilon);
  const T limit = s.clip > 0 ? static_cast<T>(s.clip) : std::numeric_limits<T>::infinity();
  for (Index i = 0; i < count; ++i) {
    const T mi = b1 * m[i] + c1 * g[i];
    const T vi = b2 * v[i] + c2 * g[i] * g[i];
    m[i] = mi;
    v[i] = vi;
    const T next = p[i] - rate * mi / (std::sqrt(vi) * root_scale + epsilon);
    p[i] = std::min(std::max(next, -limit), limit);
  }
}

template <class T>
void rmsprop(T* __restrict p, const T* __restrict g, T* __restrict ms, Index count,
             const OptimizerSettings& s) {
  const T decay = static_cast<T>(s.beta2), fresh = T{1} - decay;
  const T rate = static_cast<T>(s.learning_rate), epsilon = static_cast<T>(s.epsilon);
  const T limit = s.clip > 0 ? static_cast<T>(s.clip) : std::numeric_limits<T>::infinity();
  for (Index i = 0; i < count; ++i) {
    const T mi = decay * ms[i] + fresh * g[i] * g[i];
    ms[i] = mi;
    const T next = p[i] - rate * g[i] / std::sqrt(mi + epsilon);
    p[i] = std::min(std::max(next, -limit), limit);
  }
}

}  // namespace

template <class T>
void optimizer_step(Context&, const ParamSlabs<T>& slabs, const OptimizerSettings& settings) {
  for (Index g = slabs.first_group; g < slabs.first_group + slabs.groups; ++g) {
    const double step = ++slabs.step[g];
    for (const TensorSlot& slot : *slabs.slots) {
      const Index at = slot.offset + g * slot.count;
      if (settings.kind == OptimizerKind::adam) {
        adam(slabs.value + at, slabs.grad + at, slabs.state1 + at, slabs.state2 + at, slot.count,
             settings, step);
      } else {
        rmsprop(slabs.value + at, slabs.grad + at, slabs.state1 + at, slot.count, settings);
      }
    }
  }
}

template <class T>
void optimizer_reset(Context&, const ParamSlabs<T>& slabs, const OptimizerSettings& settings) {
  const T start = settings.kind == OptimizerKind::rmsprop ? T{1} : T{0};
  for (Index g = slabs.first_group; g < slabs.first_group + slabs.groups; ++g) {
    slabs.step[g] = 0;
    for (const TensorSlot& slot : *slabs.slots) {
      const Index at = slot.offset + g * slot.count;
      std::fill_n(slabs.state1 + at, slot.count, start);
      if (settings.kind == OptimizerKind::adam) std::fill_n(slabs.state2 + at, slot.count, T{0});
    }
  }
}

template void optimizer_step<float>(Context&, const ParamSlabs<float>&, const OptimizerSettings&);
template void optimizer_step<double>(Context&, const ParamSlabs<double>&, const OptimizerSettings&);
template void optimizer_reset<float>(Context&, const ParamSlabs<float>&, const OptimizerSettings&);
template void optimizer_reset<double>(Context&, const ParamSlabs<double>&,
                                      const OptimizerSettings&);

}  // namespace ganmm::kernels::cpu
