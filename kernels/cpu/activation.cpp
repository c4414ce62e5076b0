// Activations, their derivatives and their curvature term: formulas in kernels/activation.h.
//
// identity, relu, leaky_relu and all derivatives use operations that IEEE 754 rounds alike
// everywhere and no sum of a product, so that a GPU gives the same bits. 1 - y^2 is computed as
// (1 - y)(1 + y), which also loses nothing where y is close to 1. tanh and exp are those of the
// C library.
#include "kernels/backend.h"
#include "kernels/cpu/rows.h"

#include <cmath>

namespace ganmm::kernels::cpu {

namespace {

// Calls run(group, stretch, length) for every contiguous stretch that all views share.
template <class F, class First, class... Rest>
void for_each_stretch(const F& run, const First& first, const Rest&... rest) {
  const Stretches all = stretches(first, rest...);
  for (Index g = 0; g < first.groups; ++g) {
    for (Index r = 0; r < all.count; ++r) run(g, r, all.length);
  }
}

// y[i] = f(x[i]). The case y = x has its own loop, because compilers vectorise either one pointer
// or two that do not overlap.
template <class T, class F>
void map(T* y, const T* x, Index count, const F& f) {
  if (y == x) {
    for (Index i = 0; i < count; ++i) y[i] = f(y[i]);
  } else {
    for (Index i = 0; i < count; ++i) y[i] = f(x[i]);
  }
}

template <class T, class F>
void map(T* d_x, const T* d_y, const T* y, Index count, const F& f) {
  if (d_x == d_y) {
    for (Index i = 0; i < count; ++i) d_x[i] = f(y[i], d_x[i]);
  } else {
    for (Index i = 0; i < count; ++i) d_x[i] = f(y[i], d_y[i]);
  }
}

// phi' from y, for the smooth kinds.
template <class T>
T derivative(ActivationKind kind, T y) {
  return kind == ActivationKind::tanh ? (T{1} - y) * (T{1} + y) : y * (T{1} - y);
}

}  // namespace

template <class T>
void activation_forward(Context&, GroupView<T> y, GroupView<const T> x, Activation activation) {
  const auto slope = static_cast<T>(activation.slope);
  const auto apply = [&](const auto& phi) {
    for_each_stretch([&](Index g, Index r, Index n) { map(y.row(g, r), x.row(g, r), n, phi); }, y,
                     x);
  };
  switch (activation.kind) {
  case ActivationKind::identity: return apply([](T z) { return z; });
  case ActivationKind::relu: return apply([](T z) { return z < 0 ? T{0} : z; });  // keeps NaN
  case ActivationKind::leaky_relu: return apply([slope](T z) { return z > 0 ? z : slope * z; });
  case ActivationKind::tanh: return apply([](T z) { return std::tanh(z); });
  case ActivationKind::sigmoid: return apply([](T z) { return T{1} / (T{1} + std::exp(-z)); });
  }
}

template <class T>
void activation_backward(Context&, GroupView<T> d_x, GroupView<const T> d_y, GroupView<const T> y,
                         Activation activation) {
  const auto slope = static_cast<T>(activation.slope);
  const auto apply = [&](const auto& times_derivative) {
    for_each_stretch(
        [&](Index g, Index r, Index n) {
          map(d_x.row(g, r), d_y.row(g, r), y.row(g, r), n, times_derivative);
        },
        d_x, d_y, y);
  };
  switch (activation.kind) {
  case ActivationKind::identity: return apply([](T, T d) { return d; });
  case ActivationKind::relu: return apply([](T v, T d) { return v > 0 ? d : T{0}; });
  case ActivationKind::leaky_relu:
    return apply([slope](T v, T d) { return v > 0 ? d : slope * d; });
  case ActivationKind::tanh:
    return apply([](T v, T d) { return derivative(ActivationKind::tanh, v) * d; });
  case ActivationKind::sigmoid:
    return apply([](T v, T d) { return derivative(ActivationKind::sigmoid, v) * d; });
  }
}

template <class T>
void activation_curvature(Context& ctx, GroupView<T> r_x, GroupView<const T> r_y,
                          GroupView<const T> y, GroupView<const T> u, GroupView<const T> t,
                          Activation activation) {
  const ActivationKind kind = activation.kind;
  const bool linear = activation.piecewise_linear();
  if (linear && r_y.data != nullptr) return cpu::activation_backward(ctx, r_x, r_y, y, activation);
  const auto run = [&](Index g, Index b, Index count) {
    T* out = r_x.row(g, b);
    const T* r = r_y.data == nullptr ? nullptr : r_y.row(g, b);
    const T* y_row = y.row(g, b);
    const T* u_row = u.row(g, b);
    const T* t_row = t.row(g, b);
    for (Index i = 0; i < count; ++i) {
      T sum = 0;
      const T slope = linear ? T{0} : derivative(kind, y_row[i]);
      if (slope != 0) {
        if (r != nullptr) sum = slope * r[i];
        // phi''/phi'^2 u t, in an order in which nothing underflows early: u / phi' is h.
        const T bend = kind == ActivationKind::tanh ? T{-2} * y_row[i] : T{1} - T{2} * y_row[i];
        sum += bend * (u_row[i] / slope) * t_row[i];
      }
      out[i] = sum;
    }
  };
  if (r_y.data == nullptr) {
    for_each_stretch(run, r_x, y, u, t);
  } else {
    for_each_stretch(run, r_x, r_y, y, u, t);
  }
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

}  // namespace ganmm::kernels::cpu
