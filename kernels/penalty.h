// Gradient penalty of WGAN-GP: lambda * mean_b (|g_b| - 1)^2 with g = gradient of the critic at an
// interpolate. The passes around these ops are in nn/gradient_penalty.h.
// Source: Gulrajani et al. 2017 (arXiv 1704.00028), eq. 3; v derived here.
#pragma once

#include "kernels/core/context.h"
#include "kernels/core/rng.h"
#include "kernels/core/view.h"

namespace ganmm::kernels {

// x_hat = alpha real + (1 - alpha) fake, alpha uniform in [0, 1) per item: element b of group n
// under `key`. Shapes equal, [N][B][...].
template <class T>
void interpolate(Context& ctx, GroupView<T> x_hat, GroupView<const T> real, GroupView<const T> fake,
                 const RandomKey& key);

// v_b = (2 lambda / B) (1 - 1/|g_b|) g_b and penalty[n] = lambda/B sum_b (|g_b| - 1)^2.
// Where |g_b| <= 1e-12, v_b = 0 (the direction is undefined). v may alias g.
// Shapes v, g [N][B][...], penalty [N][1].
template <class T>
void penalty_direction(Context& ctx, GroupView<T> v, ParamView<Master<T>> penalty,
                       GroupView<const T> g, double lambda);

}  // namespace ganmm::kernels
