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
      ctx, op, [&] { cpu::activation_forward(ctx, y, x, activation); },
      [&] {
        if constexpr (std::is_same_v<T, float>) cuda::activation_forward(ctx, y, x, activation);
      });
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
      ctx, op, [&] { cpu::activation_backward(ctx, d_x, d_y, y, activation); },
      [&] {
        if constexpr (std::is_same_v<T, float>) {
          cuda::activation_backward(ctx, d_x, d_y, y, activation);
        }
      });
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
  dispatch_cpu_only(ctx, op,
                    [&] { cpu::activation_curvature(ctx, r_x, r_y, y, u, t, activation); });
}

template void activation_forward<float>(Context&, GroupView<float>, GroupView<const float>,
                                        Activation);
template void activation_forward<double>(Context&, GroupView<double>, GroupView<const double>,
                                         Activation);
template void activation_backward<float>(Context&, GroupView<float>, GroupView<const float>,
                                         GroupView<const float>, Activation);
template void activation_backward<double>(Context&, GroupView<double>, GroupView<const double>,
                                          GroupView<const double>, Activation);
template void activation_curvature<float>(Context&, GroupView<float>, GroupView<const float>,
                                          GroupView<const float>, GroupView<const float>,
                                          GroupView<const float>, Activation);
template void activation_curvature<double>(Context&, GroupView<double>, GroupView<const double>,
                                           GroupView<const double>, GroupView<const double>,
                                           GroupView<const double>, Activation);

}  // namespace ganmm::kernels
