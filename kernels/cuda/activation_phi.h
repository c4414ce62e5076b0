// The activation functions for kernels, formulas in kernels/activation.h.
//
// identity, relu, leaky_relu and all derivatives use single IEEE operations that cannot be
// contracted: the same bits as on the CPU. tanhf and expf are within 2 ulp of the exact value (CUDA
// programming guide, single precision functions), and so the sigmoid within 3 * 2^-23 of itself,
// down to the smallest normal number.
#pragma once

#include "kernels/activation.h"
#include "kernels/cuda/kernel.h"

namespace ganmm::kernels::cuda {

GANMM_DEVICE float phi(ActivationKind kind, float slope, float z) {
  switch (kind) {
  case ActivationKind::identity: return z;
  case ActivationKind::relu: return z < 0.0f ? 0.0f : z;  // keeps NaN
  case ActivationKind::leaky_relu: return z > 0.0f ? z : slope * z;
  case ActivationKind::tanh: return tanhf(z);
  case ActivationKind::sigmoid: return 1.0f / (1.0f + expf(-z));
  }
  return z;
}

// phi' * d, with phi' from y.
GANMM_DEVICE float phi_derivative_times(ActivationKind kind, float slope, float y, float d) {
  switch (kind) {
  case ActivationKind::identity: return d;
  case ActivationKind::relu: return y > 0.0f ? d : 0.0f;
  case ActivationKind::leaky_relu: return y > 0.0f ? d : slope * d;
  case ActivationKind::tanh: return (1.0f - y) * (1.0f + y) * d;
  case ActivationKind::sigmoid: return y * (1.0f - y) * d;
  }
  return d;
}

}  // namespace ganmm::kernels::cuda
