// Activation functions y = phi(z) whose derivatives follow from y alone, so that z is never kept.
//
//             phi(z)             phi'            phi''/phi'^2
// relu        max(z, 0)          [y > 0]         0
// leaky_relu  z or slope z       1 or slope      0            (slope > 0: sign y = sign z)
// tanh        tanh z             1 - y^2         -2 y / (1 - y^2)
// sigmoid     1/(1 + e^-z)       y (1 - y)       (1 - 2 y) / (y (1 - y))
#pragma once

#include "kernels/core/context.h"
#include "kernels/core/view.h"

namespace ganmm::kernels {

enum class ActivationKind { identity, relu, leaky_relu, tanh, sigmoid };

struct Activation {
  ActivationKind kind = ActivationKind::identity;
  double slope = 0.2;  // leaky_relu only, in (0, 1)

  bool piecewise_linear() const {
    return kind != ActivationKind::tanh && kind != ActivationKind::sigmoid;
  }
  bool identity() const { return kind == ActivationKind::identity; }
};

// y = phi(x). Shapes equal. y may alias x.
template <class T>
void activation_forward(Context& ctx, GroupView<T> y, GroupView<const T> x, Activation activation);

// d_x = phi'(z) * d_y, with phi' from y. Both the backward pass and the tangent of the activation.
// Shapes equal. d_x may alias d_y.
template <class T>
void activation_backward(Context& ctx, GroupView<T> d_x, GroupView<const T> d_y,
                         GroupView<const T> y, Activation activation);

// The second-order term of a smooth activation in the penalty gradient (nn/gradient_penalty.h):
// r_x = phi' * r_y + phi'' * s * h, where u = phi' * h is the backward signal at z and
// t = phi' * s the tangent at y. r_y may be empty (data == nullptr): taken as zero.
// Where phi' is exactly 0 the second term is 0. Shapes equal. r_x may alias r_y.
// Derived: d/dz of the part phi'(z) s h of the tangent, with s and h held fixed, is phi'' s h; the
// signal r_y from above reaches z through phi'. From y, u and t: phi'' s h = (phi''/phi'^2) u t.
template <class T>
void activation_curvature(Context& ctx, GroupView<T> r_x, GroupView<const T> r_y,
                          GroupView<const T> y, GroupView<const T> u, GroupView<const T> t,
                          Activation activation);

}  // namespace ganmm::kernels
