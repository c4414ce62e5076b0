// activation_forward, activation_backward: one pass over memory each, formulas in
// kernels/activation.h. The kind is a run-time switch: every thread takes the same branch, and the
// arithmetic hides behind the loads.
#include "kernels/backend.h"
#include "kernels/cuda/activation_phi.h"
#include "kernels/cuda/elements.h"

namespace ganmm::kernels::cuda {

namespace {

// No __restrict__: y may be x.
template <unsigned W>
GANMM_KERNEL activation_forward_kernel(ElementWalk walk, Rows<Pack<W>> y, Rows<const Pack<W>> x,
                                       ActivationKind kind, float slope) {
  for_each_element(walk, [&](Index group, Index row, Index col) {
    Pack<W> v = at(x, group, row, col);
    for (unsigned i = 0; i < W; ++i) v.value[i] = phi(kind, slope, v.value[i]);
    at(y, group, row, col) = v;
  });
}

template <unsigned W>
GANMM_KERNEL activation_backward_kernel(ElementWalk walk, Rows<Pack<W>> d_x,
                                        Rows<const Pack<W>> d_y, Rows<const Pack<W>> y,
                                        ActivationKind kind, float slope) {
  for_each_element(walk, [&](Index group, Index row, Index col) {
    Pack<W> d = at(d_y, group, row, col);
    const Pack<W> v = at(y, group, row, col);
    for (unsigned i = 0; i < W; ++i) {
      d.value[i] = phi_derivative_times(kind, slope, v.value[i], d.value[i]);
    }
    at(d_x, group, row, col) = d;
  });
}

constexpr unsigned kWide = 4;

template <unsigned W>
void forward(Context& ctx, ElementExtent extent, const GroupView<float>& y,
             const GroupView<const float>& x, const Activation& activation) {
  extent.cols /= W;
  const auto [walk, shape] = element_launch(ctx, extent);
  launch(ctx, "activation_forward", shape, activation_forward_kernel<W>, walk, packs<W>(y),
         packs<W>(x), activation.kind, static_cast<float>(activation.slope));
}

template <unsigned W>
void backward(Context& ctx, ElementExtent extent, const GroupView<float>& d_x,
              const GroupView<const float>& d_y, const GroupView<const float>& y,
              const Activation& activation) {
  extent.cols /= W;
  const auto [walk, shape] = element_launch(ctx, extent);
  launch(ctx, "activation_backward", shape, activation_backward_kernel<W>, walk, packs<W>(d_x),
         packs<W>(d_y), packs<W>(y), activation.kind, static_cast<float>(activation.slope));
}

}  // namespace

void activation_forward(Context& ctx, GroupView<float> y, GroupView<const float> x,
                        Activation activation) {
  const ElementExtent extent = joined_extent(y, x);
  if (extent.empty()) return;
  if (packs_fit<kWide>(extent, y) && packs_fit<kWide>(extent, x)) {
    forward<kWide>(ctx, extent, y, x, activation);
  } else {
    forward<1>(ctx, extent, y, x, activation);
  }
}

void activation_backward(Context& ctx, GroupView<float> d_x, GroupView<const float> d_y,
                         GroupView<const float> y, Activation activation) {
  const ElementExtent extent = joined_extent(d_x, d_y, y);
  if (extent.empty()) return;
  if (packs_fit<kWide>(extent, d_x) && packs_fit<kWide>(extent, d_y) &&
      packs_fit<kWide>(extent, y)) {
    backward<kWide>(ctx, extent, d_x, d_y, y, activation);
  } else {
    backward<1>(ctx, extent, d_x, d_y, y, activation);
  }
}

}  // namespace ganmm::kernels::cuda
