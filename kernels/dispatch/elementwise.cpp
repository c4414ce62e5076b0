#include "kernels/elementwise.h"

#include "kernels/backend.h"
#include "kernels/dispatch/dispatch.h"
#include "kernels/dispatch/view_check.h"

namespace ganmm::kernels {

namespace {

template <class A, class B>
void check_crop(const char* op, const GroupView<A>& whole, const GroupView<B>& part) {
  const Shape &w = whole.item, &p = part.item;
  const bool fits = whole.groups == part.groups && whole.batch == part.batch && w.rank() == 3 &&
                    p.rank() == 3 && p[0] <= w[0] && p[1] <= w[1] && p[2] == w[2];
  if (!fits) {
    throw ShapeError(message(op, ": expected x [N][B][H][W][C] and y [N][B][h][w][C], h <= H and ",
                             "w <= W, found x ", describe(whole), " and y ", describe(part),
                             "; crop rows and columns only"));
  }
  check_view(op, "x", whole);
  check_view(op, "y", part);
}

}  // namespace

template <class T>
void fill(Context& ctx, GroupView<T> y, double value) {
  check_view("fill", "y", y);
  dispatch_cpu_only(ctx, "fill", [&] { cpu::fill<T>(ctx, y, value); });
}

template <class T>
void axpby(Context& ctx, GroupView<T> y, double a, GroupView<const T> x, double b) {
  check_view("axpby", "y", y);
  check_like("axpby", "x", x, "y", y);
  dispatch_cpu_only(ctx, "axpby", [&] { cpu::axpby<T>(ctx, y, a, x, b); });
}

template <class T>
void add_bias(Context& ctx, GroupView<T> x, ParamView<const T> bias) {
  const char* op = "add_bias";
  check_view(op, "x", x);
  check_channels(op, "x", x);
  check_param(op, "bias", bias, x.groups, x.item.back(), "one value per channel of x");
  dispatch_cpu_only(ctx, op, [&] { cpu::add_bias<T>(ctx, x, bias); });
}

template <class T>
void bias_grad(Context& ctx, ParamView<T> d_bias, GroupView<const T> d_y, Write write) {
  const char* op = "bias_grad";
  check_view(op, "d_y", d_y);
  check_channels(op, "d_y", d_y);
  check_param(op, "d_bias", d_bias, d_y.groups, d_y.item.back(), "one value per channel of d_y");
  dispatch_cpu_only(ctx, op, [&] { cpu::bias_grad<T>(ctx, d_bias, d_y, write); });
}

template <class T>
void crop(Context& ctx, GroupView<T> y, GroupView<const T> x) {
  check_crop("crop", x, y);
  dispatch_cpu_only(ctx, "crop", [&] { cpu::crop<T>(ctx, y, x); });
}

template <class T>
void crop_backward(Context& ctx, GroupView<T> x, GroupView<const T> y) {
  check_crop("crop_backward", x, y);
  dispatch_cpu_only(ctx, "crop_backward", [&] { cpu::crop_backward<T>(ctx, x, y); });
}

template void fill<float>(Context&, GroupView<float>, double);
template void fill<double>(Context&, GroupView<double>, double);
template void axpby<float>(Context&, GroupView<float>, double, GroupView<const float>, double);
template void axpby<double>(Context&, GroupView<double>, double, GroupView<const double>, double);
template void add_bias<float>(Context&, GroupView<float>, ParamView<const float>);
template void add_bias<double>(Context&, GroupView<double>, ParamView<const double>);
template void bias_grad<float>(Context&, ParamView<float>, GroupView<const float>, Write);
template void bias_grad<double>(Context&, ParamView<double>, GroupView<const double>, Write);
template void crop<float>(Context&, GroupView<float>, GroupView<const float>);
template void crop<double>(Context&, GroupView<double>, GroupView<const double>);
template void crop_backward<float>(Context&, GroupView<float>, GroupView<const float>);
template void crop_backward<double>(Context&, GroupView<double>, GroupView<const double>);

}  // namespace ganmm::kernels
