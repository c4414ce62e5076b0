// Activation functions and their derivatives, of z and of y = phi(z).
#pragma once

#include "kernels/activation.h"
#include "tests/reference/values.h"

#include <cmath>

namespace ganmm::reference {

using kernels::Activation;
using kernels::ActivationKind;

inline double activate(const Activation& activation, double z) {
  switch (activation.kind) {
  case ActivationKind::identity: return z;
  case ActivationKind::relu: return z > 0 ? z : 0;
  case ActivationKind::leaky_relu: return z > 0 ? z : activation.slope * z;
  case ActivationKind::tanh: return std::tanh(z);
  case ActivationKind::sigmoid: return 1 / (1 + std::exp(-z));
  }
  return NAN;
}

inline Values activate(const Activation& activation, Values z) {
  for (double& value : z) value = activate(activation, value);
  return z;
}

inline double derivative_from_y(const Activation& activation, double y) {
  switch (activation.kind) {
  case ActivationKind::identity: return 1;
  case ActivationKind::relu: return y > 0 ? 1 : 0;
  case ActivationKind::leaky_relu: return y > 0 ? 1 : activation.slope;
  case ActivationKind::tanh: return 1 - y * y;
  case ActivationKind::sigmoid: return y * (1 - y);
  }
  return NAN;
}

// phi''(z) of the smooth ones through hyperbolic functions of z, not through y.
inline double second_derivative(const Activation& activation, double z) {
  if (activation.kind == ActivationKind::tanh) {
    return -2 * std::tanh(z) / (std::cosh(z) * std::cosh(z));
  }
  if (activation.kind == ActivationKind::sigmoid) {
    const double half_cosh = std::cosh(z / 2);
    return -std::tanh(z / 2) / (4 * half_cosh * half_cosh);
  }
  return 0;
}

}  // namespace ganmm::reference
