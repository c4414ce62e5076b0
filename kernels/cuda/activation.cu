// activation_forward, activation_backward, activation_curvature: one pass over memory each,
// formulas in kernels/activation.h. The kind is a run-time switch: every thread takes the same
// branch, and the arithmetic hides behind the loads.
#include "kernels/backend.h"
#include "kernels/cuda/activation_phi.h"
#include "kernels/cuda/elements.h"

namespace ganmm::kernels::cuda {

namespace {

// No __restrict__: y may be x.
template <class T, unsigned W>
GANMM_KERNEL activation_forward_kernel(ElementWalk walk, Rows<Pack<T, W>> y,
                                       Rows<const Pack<T, W>> x, ActivationKind kind, float slope) {
  for_each_element(walk, [&](Index group, Index row, Index col) {
    Pack<T, W> v = at(x, group, row, col);
    for (unsigned i = 0; i < W; ++i) {
      v.value[i] = static_cast<T>(phi(kind, slope, static_cast<float>(v.value[i])));
    }
    at(y, group, row, col) = v;
  });
}

template <class T, unsigned W>
GANMM_KERNEL activation_backward_kernel(ElementWalk walk, Rows<Pack<T, W>> d_x,
                                        Rows<const Pack<T, W>> d_y, Rows<const Pack<T, W>> y,
                                        ActivationKind kind, float slope) {
  for_each_element(walk, [&](Index group, Index row, Index col) {
    Pack<T, W> d = at(d_y, group, row, col);
    const Pack<T, W> v = at(y, group, row, col);
    for (unsigned i = 0; i < W; ++i) {
      d.value[i] = static_cast<T>(phi_derivative_times(kind, slope, static_cast<float>(v.value[i]),
                                                       static_cast<float>(d.value[i])));
    }
    at(d_x, group, row, col) = d;
  });
}

// The curvature term of one element, for the smooth kinds. Products and the sum are rounded one by
// one, as on the CPU.
GANMM_DEVICE float curvature(ActivationKind kind, float r, float y, float u, float t) {
  const float slope = kind == ActivationKind::tanh ? (1.0f - y) * (1.0f + y) : y * (1.0f - y);
  if (slope == 0.0f) return 0.0f;
  // phi''/phi'^2 u t, in an order in which nothing underflows early: u / phi' is h.
  const float bend = kind == ActivationKind::tanh ? -2.0f * y : 1.0f - 2.0f * y;
  return add_rn(mul_rn(slope, r), mul_rn(mul_rn(bend, u / slope), t));
}

// No __restrict__: r_x may be r_y. Without r_y its data is null.
template <class T, unsigned W>
GANMM_KERNEL activation_curvature_kernel(ElementWalk walk, Rows<Pack<T, W>> r_x,
                                         Rows<const Pack<T, W>> r_y, Rows<const Pack<T, W>> y,
                                         Rows<const Pack<T, W>> u, Rows<const Pack<T, W>> t,
                                         ActivationKind kind) {
  for_each_element(walk, [&](Index group, Index row, Index col) {
    Pack<T, W> r{};
    if (r_y.data != nullptr) r = at(r_y, group, row, col);
    const Pack<T, W> v = at(y, group, row, col);
    const Pack<T, W> back = at(u, group, row, col);
    const Pack<T, W> tangent = at(t, group, row, col);
    for (unsigned i = 0; i < W; ++i) {
      r.value[i] = static_cast<T>(
          curvature(kind, static_cast<float>(r.value[i]), static_cast<float>(v.value[i]),
                    static_cast<float>(back.value[i]), static_cast<float>(tangent.value[i])));
    }
    at(r_x, group, row, col) = r;
  });
}

template <unsigned W, class T>
void forward(Context& ctx, ElementExtent extent, const GroupView<T>& y, const GroupView<const T>& x,
             const Activation& activation) {
  extent.cols /= W;
  const auto [walk, shape] = element_launch(ctx, extent);
  launch(ctx, "activation_forward", shape, activation_forward_kernel<T, W>, walk, packs<W>(y),
         packs<W>(x), activation.kind, static_cast<float>(activation.slope));
}

template <unsigned W, class T>
void backward(Context& ctx, ElementExtent extent, const GroupView<T>& d_x,
              const GroupView<const T>& d_y, const GroupView<const T>& y,
              const Activation& activation) {
  extent.cols /= W;
  const auto [walk, shape] = element_launch(ctx, extent);
  launch(ctx, "activation_backward", shape, activation_backward_kernel<T, W>, walk, packs<W>(d_x),
         packs<W>(d_y), packs<W>(y), activation.kind, static_cast<float>(activation.slope));
}

template <unsigned W, class T>
void curve(Context& ctx, ElementExtent extent, const GroupView<T>& r_x,
           const GroupView<const T>& r_y, const GroupView<const T>& y, const GroupView<const T>& u,
           const GroupView<const T>& t, ActivationKind kind) {
  extent.cols /= W;
  const auto [walk, shape] = element_launch(ctx, extent);
  launch(ctx, "activation_curvature", shape, activation_curvature_kernel<T, W>, walk, packs<W>(r_x),
         packs<W>(r_y), packs<W>(y), packs<W>(u), packs<W>(t), kind);
}

}  // namespace

template <class T>
void activation_forward(Context& ctx, GroupView<T> y, GroupView<const T> x, Activation activation) {
  const ElementExtent extent = joined_extent(y, x);
  if (extent.empty()) return;
  if (packs_fit<kWide<T>>(extent, y) && packs_fit<kWide<T>>(extent, x)) {
    forward<kWide<T>>(ctx, extent, y, x, activation);
  } else {
    forward<1>(ctx, extent, y, x, activation);
  }
}

template <class T>
void activation_backward(Context& ctx, GroupView<T> d_x, GroupView<const T> d_y,
                         GroupView<const T> y, Activation activation) {
  const ElementExtent extent = joined_extent(d_x, d_y, y);
  if (extent.empty()) return;
  if (packs_fit<kWide<T>>(extent, d_x) && packs_fit<kWide<T>>(extent, d_y) &&
      packs_fit<kWide<T>>(extent, y)) {
    backward<kWide<T>>(ctx, extent, d_x, d_y, y, activation);
  } else {
    backward<1>(ctx, extent, d_x, d_y, y, activation);
  }
}

template <class T>
void activation_curvature(Context& ctx, GroupView<T> r_x, GroupView<const T> r_y,
                          GroupView<const T> y, GroupView<const T> u, GroupView<const T> t,
                          Activation activation) {
  if (activation.piecewise_linear()) {
    if (r_y.data == nullptr) return cuda::fill<T>(ctx, r_x, 0.0);
    return cuda::activation_backward<T>(ctx, r_x, r_y, y, activation);
  }
  // Without r_y, r_x stands in where the layout of all views is compared.
  const GroupView<const T> seed = r_y.data == nullptr ? GroupView<const T>(r_x) : r_y;
  const ElementExtent extent = joined_extent(r_x, seed, y, u, t);
  if (extent.empty()) return;
  constexpr unsigned kPack = kWide<T>;
  if (packs_fit<kPack>(extent, r_x) && packs_fit<kPack>(extent, seed) &&
      packs_fit<kPack>(extent, y) && packs_fit<kPack>(extent, u) && packs_fit<kPack>(extent, t)) {
    curve<kPack>(ctx, extent, r_x, r_y, y, u, t, activation.kind);
  } else {
    curve<1>(ctx, extent, r_x, r_y, y, u, t, activation.kind);
  }
}

#define GANMM_INSTANTIATE(T)                                                                       \
  template void activation_forward<T>(Context&, GroupView<T>, GroupView<const T>, Activation);     \
  template void activation_backward<T>(Context&, GroupView<T>, GroupView<const T>,                 \
                                       GroupView<const T>, Activation);                            \
  template void activation_curvature<T>(Context&, GroupView<T>, GroupView<const T>,                \
                                        GroupView<const T>, GroupView<const T>,                    \
                                        GroupView<const T>, Activation);
GANMM_INSTANTIATE(float)
GANMM_INSTANTIATE(BFloat16)

}  // namespace ganmm::kernels::cuda
