// The gradient penalty without autograd: forward over reverse.
//
// P = lambda * mean_b (|g_b| - 1)^2, g_b the gradient of the critic f at interpolate b. With
// v_b = dP/dg_b held fixed, dP/dw = d/dw sum_b v_b . grad_x f(x_b), and v . grad_x f is the tangent
// of f along v. So, after a forward pass and a backward pass with seed 1:
//
//   1. v from g (kernels/penalty.h);
//   2. tangents t of v through every layer, masks fixed;
//   3. top down, every layer adds its part: a linear map its bilinear form of (u, t); a smooth
//      activation or a norm also a second-order signal r, which runs down like a backward pass
//      from there and gives the layers below further terms from (x, r).
//
// For linear maps with piecewise-linear activations r never appears, biases get nothing and step 3
// is one weight-gradient multiply per layer.
// Source: derived by differentiating the tangent; checked by central differences in
// tests/nn/gradient_penalty_test.cpp.
#pragma once

#include "nn/sequential.h"

namespace ganmm::nn {

// Adds dP/dw of rows [first, first + rows) to the parameter gradients and writes P to penalty[n].
// The tape (planned with TapeUse::penalty) must hold the forward pass of these rows and, from
// Sequential::backward with seed 1, their signals at all boundaries, the input included.
// Shapes: penalty [N][1].
template <class T>
void gradient_penalty(Context& ctx, const Sequential<T>& net, const ParamRange<T>& params,
                      Tape<T>& tape, Index first, Index rows, double lambda,
                      ParamView<Master<T>> penalty);

}  // namespace ganmm::nn
