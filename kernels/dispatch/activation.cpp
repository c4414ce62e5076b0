#include "kernels/activation.h"

#include "kernels/backend.h"
#include "kernels/dispatch/dispatch.h"
#include "kernels/dispatch/view_check.h"

namespace ganmm::kernels {

namespace {

void check_slope(const char* op, const Activation& activation) {
  require<ConfigError>(activation.kind != ActivationKind::leaky_relu ||
                           (activation.slope > 0 && activation.slope < 1),
                       op, ": expected a leaky_relu slope in (0, 1), found ", activation.slope,
                       "; use relu for slope 0 and identity for slope 1");
}

}  // namespace

template <class T>
void activation_forward(Context& ctx, GroupView<T> y, GroupView<const T> x, Activation activation) {
  const char* op = "activation_forward";
  check_slope(op, activation);
  check_view(op, "y", y);
  check_like(op, "x", x, "y", y);
  dispatch<T>(
      ctx, op, traffic(y, x), [&](auto& c) { cpu::activation_forward<T>(c, y, x, activation); },
      [&](auto& c) { cuda::activation_forward<T>(c, y, x, activation); });
}

template <class T>
void activation_backward(Context& ctx, GroupView<T> d_x, GroupView<const T> d_y,
                         GroupView<const T> y, Activation activation) {
  const char* op = "activation_backward";
  check_slope(op, activation);
  check_view(op, "d_x", d_x);
  check_like(op, "d_y", d_y, "d_x", d_x);
  check_like(op, "y", y, "d_x", d_x);
  dispatch<T>(
      ctx, op, traffic(d_x, d_y, y),
      [&](auto& c) { cpu::activation_backward<T>(c, d_x, d_y, y, activation); },
      [&](auto& c) { cuda::activation_backward<T>(c, d_x, d_y, y, activation); });
}

template <class T>
void activation_curvature(Context& ctx, GroupView<T> r_x, GroupView<const T> r_y,
                          GroupView<const T> y, GroupView<const T> u, GroupView<const T> t,
                          Activation activation) {
  const char* op = "activation_curvature";
  check_slope(op, activation);
  check_view(op, "r_x", r_x);
  if (r_y.data != nullptr) check_like(op, "r_y", r_y, "r_x", r_x);
  check_like(op, "y", y, "r_x", r_x);
  check_like(op, "u", u, "r_x", r_x);
  check_like(op, "t", t, "r_x", r_x);
  dispatch<T>(
      ctx, op, traffic(r_x, r_y, y, u, t),
      [&](auto& c) { cpu::activation_curvature<T>(c, r_x, r_y, y, u, t, activation); },
      [&](auto& c) { cuda::activation_curvature<T>(c, r_x, r_y, y, u, t, activation); });
}

#define GANMM_INSTANTIATE(T)                                                                       \
  template void activation_forward<T>(Context&, GroupView<T>, GroupView<const T>, Activation);     \
  template void activation_backward<T>(Context&, GroupView<T>, GroupView<const T>,                 \
                                       GroupView<const T>, Activation);                            \
  template void activation_curvature<T>(Context&, GroupView<T>, GroupView<const T>,                \
                                        GroupView<const T>, GroupView<const T>,                    \
                                        GroupView<const T>, Activation);

GANMM_FOR_EACH_TYPE(GANMM_INSTANTIATE)

}  // namespace ganmm::kernels
