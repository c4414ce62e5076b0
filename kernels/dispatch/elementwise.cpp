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
  dispatch<T>(
      ctx, "fill", traffic(y), [&](auto& c) { cpu::fill<T>(c, y, value); },
      [&](auto& c) { cuda::fill<T>(c, y, value); });
}

template <class To, class From>
void copy(Context& ctx, GroupView<To> y, GroupView<const From> x) {
  check_view("copy", "y", y);
  check_like("copy", "x", x, "y", y);
  // Either side may be bfloat16.
  using Narrow = std::conditional_t<std::is_same_v<From, BFloat16>, From, To>;
  dispatch<Narrow>(
      ctx, "copy", traffic(y, x), [&](auto& c) { cpu::copy<To, From>(c, y, x); },
      [&](auto& c) { cuda::copy<To, From>(c, y, x); });
}

template <class T>
void axpby(Context& ctx, GroupView<T> y, double a, GroupView<const T> x, double b) {
  check_view("axpby", "y", y);
  check_like("axpby", "x", x, "y", y);
  dispatch<T>(
      ctx, "axpby", traffic(y, y, x), [&](auto& c) { cpu::axpby<T>(c, y, a, x, b); },
      [&](auto& c) { cuda::axpby<T>(c, y, a, x, b); });
}

template <class T>
void add_bias(Context& ctx, GroupView<T> x, ParamView<const Master<T>> bias) {
  const char* op = "add_bias";
  check_view(op, "x", x);
  check_channels(op, "x", x);
  check_param(op, "bias", bias, x.groups, x.item.back(), "one value per channel of x");
  dispatch<T>(
      ctx, op, traffic(x, x, bias), [&](auto& c) { cpu::add_bias<T>(c, x, bias); },
      [&](auto& c) { cuda::add_bias<T>(c, x, bias); });
}

template <class T>
void bias_grad(Context& ctx, ParamView<Master<T>> d_bias, GroupView<const T> d_y, Write write) {
  const char* op = "bias_grad";
  check_view(op, "d_y", d_y);
  check_channels(op, "d_y", d_y);
  check_param(op, "d_bias", d_bias, d_y.groups, d_y.item.back(), "one value per channel of d_y");
  dispatch<T>(
      ctx, op, traffic(d_bias, d_y), [&](auto& c) { cpu::bias_grad<T>(c, d_bias, d_y, write); },
      [&](auto& c) { cuda::bias_grad<T>(c, d_bias, d_y, write); });
}

template <class T>
void crop(Context& ctx, GroupView<T> y, GroupView<const T> x) {
  check_crop("crop", x, y);
  dispatch<T>(
      ctx, "crop", traffic(y, y), [&](auto& c) { cpu::crop<T>(c, y, x); },
      [&](auto& c) { cuda::crop<T>(c, y, x); });
}

template <class T>
void crop_backward(Context& ctx, GroupView<T> x, GroupView<const T> y) {
  check_crop("crop_backward", x, y);
  dispatch<T>(
      ctx, "crop_backward", traffic(x, y), [&](auto& c) { cpu::crop_backward<T>(c, x, y); },
      [&](auto& c) { cuda::crop_backward<T>(c, x, y); });
}

#define GANMM_INSTANTIATE(T)                                                                       \
  template void fill<T>(Context&, GroupView<T>, double);                                           \
  template void copy<T, T>(Context&, GroupView<T>, GroupView<const T>);                            \
  template void axpby<T>(Context&, GroupView<T>, double, GroupView<const T>, double);              \
  template void add_bias<T>(Context&, GroupView<T>, ParamView<const Master<T>>);                   \
  template void bias_grad<T>(Context&, ParamView<Master<T>>, GroupView<const T>, Write);           \
  template void crop<T>(Context&, GroupView<T>, GroupView<const T>);                               \
  template void crop_backward<T>(Context&, GroupView<T>, GroupView<const T>);

GANMM_FOR_EACH_TYPE(GANMM_INSTANTIATE)

template void copy<float, BFloat16>(Context&, GroupView<float>, GroupView<const BFloat16>);
template void copy<BFloat16, float>(Context&, GroupView<BFloat16>, GroupView<const float>);

}  // namespace ganmm::kernels
