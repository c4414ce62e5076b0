// activation_forward, activation_backward: one pass over memory each, formulas in
// kernels/activation.h. The kind is a run-time switch: every thread takes the same branch, and the
// arithmetic hides behind the loads.
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

#define GANMM_INSTANTIATE(T)                                                                       \
  template void activation_forward<T>(Context&, GroupView<T>, GroupView<const T>, Activation);     \
  template void activation_backward<T>(Context&, GroupView<T>, GroupView<const T>,                 \
                                       GroupView<const T>, Activation);
GANMM_INSTANTIATE(float)
GANMM_INSTANTIATE(BFloat16)

}  // namespace ganmm::kernels::cuda
