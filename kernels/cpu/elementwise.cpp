#include "kernels/elementwise.h"

#include "kernels/backend.h"
#include "kernels/cpu/rows.h"

#include <algorithm>

namespace ganmm::kernels::cpu {

namespace {

constexpr Index kLanes = 64;  // columns that are handled at once

// Narrow tensors are treated as wider ones with a fraction of the rows, so that the inner loop is
// long enough to vectorise: this many neighbouring positions make one wide row.
Index positions_per_row(Index channels) { return std::max<Index>(1, kLanes / channels); }

// total[l] += sum over rows r of p[r * stride + l], l in [0, width), width <= kLanes. In double, so
// that what cancels exactly leaves nothing: Adam would make a step of the rest.
template <class T>
void add_rows(double* __restrict total, const T* __restrict p, Index rows, Index stride,
              Index width) {
  const auto wide = [](T x) { return static_cast<double>(x); };
  Index r = 0;
  for (; r + 4 <= rows; r += 4) {
    const T* a = p + r * stride;
    const T* b = a + stride;
    const T* c = b + stride;
    const T* d = c + stride;
    for (Index l = 0; l < width; ++l) {
      total[l] += (wide(a[l]) + wide(b[l])) + (wide(c[l]) + wide(d[l]));
    }
  }
  for (; r < rows; ++r) {
    for (Index l = 0; l < width; ++l) total[l] += wide(p[r * stride + l]);
  }
}

}  // namespace

template <class T>
void fill(Context&, GroupView<T> y, double value) {
  const Stretches s = stretches(y);
  for (Index g = 0; g < y.groups; ++g) {
    for (Index r = 0; r < s.count; ++r) std::fill_n(y.row(g, r), s.length, static_cast<T>(value));
  }
}

template <class To, class From>
void copy(Context&, GroupView<To> y, GroupView<const From> x) {
  const Stretches s = stretches(y, x);
  for (Index g = 0; g < y.groups; ++g) {
    for (Index r = 0; r < s.count; ++r) std::copy_n(x.row(g, r), s.length, y.row(g, r));
  }
}

template <class T>
void axpby(Context&, GroupView<T> y, double a, GroupView<const T> x, double b) {
  const T scale_x = static_cast<T>(a), scale_y = static_cast<T>(b);
  const Stretches s = stretches(y, x);
  for (Index g = 0; g < y.groups; ++g) {
    for (Index r = 0; r < s.count; ++r) {
      T* __restrict out = y.row(g, r);
      const T* __restrict in = x.row(g, r);
      if (b == 0.0) {
        for (Index i = 0; i < s.length; ++i) out[i] = scale_x * in[i];
      } else {
        for (Index i = 0; i < s.length; ++i) out[i] = scale_x * in[i] + scale_y * out[i];
      }
    }
  }
}

template <class T>
void add_bias(Context&, GroupView<T> x, ParamView<const T> bias) {
  const Index channels = bias.count();
  if (channels == 0) return;
  const Stretches s = stretches(x);
  const Index width = channels * positions_per_row(channels);
  T repeated[kLanes];
  for (Index g = 0; g < x.groups; ++g) {
    const T* pattern = bias.group(g);
    if (width > channels) {
      for (Index l = 0; l < width; l += channels) std::copy_n(pattern, channels, repeated + l);
      pattern = repeated;
    }
    for (Index r = 0; r < s.count; ++r) {
      T* row = x.row(g, r);
      for (Index first = 0; first < s.length; first += width) {
        T* __restrict y = row + first;
        const T* __restrict add = pattern;
        const Index n = std::min(width, s.length - first);
        for (Index l = 0; l < n; ++l) y[l] += add[l];
      }
    }
  }
}

template <class T>
void bias_grad(Context&, ParamView<T> d_bias, GroupView<const T> d_y, Write write) {
  const Index channels = d_bias.count();
  if (channels == 0) return;
  const Index positions = d_y.features() / channels;
  // Rows at one stride throughout: positions that touch, or items of a single position.
  const bool touching = d_y.rows_contiguous();
  const Index runs = touching || positions == 1 ? 1 : d_y.batch;
  const Index rows = runs == 1 ? d_y.batch * positions : positions;
  const Index stride = touching || positions > 1 ? channels : d_y.batch_stride;
  const Index fold = stride == channels ? positions_per_row(channels) : 1;

  for (Index g = 0; g < d_y.groups; ++g) {
    T* out = d_bias.group(g);
    for (Index first = 0; first < channels; first += kLanes) {
      const Index width = std::min(channels - first, kLanes);
      double total[kLanes] = {};
      for (Index run = 0; run < runs && d_y.batch > 0; ++run) {
        const T* p = d_y.row(g, run) + first;
        const Index wide = rows / fold, rest = rows % fold;
        add_rows(total, p, wide, fold * stride, fold * width);
        if (rest > 0) add_rows(total, p + wide * fold * stride, 1, 0, rest * width);
      }
      for (Index c = 0; c < width; ++c) {
        double sum = 0;
        for (Index k = 0; k < fold; ++k) sum += total[k * width + c];
        T& target = out[first + c];
        target =
            static_cast<T>(write == Write::accumulate ? static_cast<double>(target) + sum : sum);
      }
    }
  }
}

template <class T>
void crop(Context&, GroupView<T> y, GroupView<const T> x) {
  const Index height = y.item[0], kept = y.item[1] * y.item[2], full = x.item[1] * x.item[2];
  for (Index g = 0; g < y.groups; ++g) {
    for (Index b = 0; b < y.batch; ++b) {
      for (Index h = 0; h < height; ++h) {
        std::copy_n(x.row(g, b) + h * full, kept, y.row(g, b) + h * kept);
      }
    }
  }
}

template <class T>
void crop_backward(Context&, GroupView<T> x, GroupView<const T> y) {
  const Index height = y.item[0], kept = y.item[1] * y.item[2], full = x.item[1] * x.item[2];
  for (Index g = 0; g < x.groups; ++g) {
    for (Index b = 0; b < x.batch; ++b) {
      T* out = x.row(g, b);
      for (Index h = 0; h < height; ++h) {
        T* rest = std::copy_n(y.row(g, b) + h * kept, kept, out + h * full);
        std::fill_n(rest, full - kept, T{0});
      }
      std::fill_n(out + height * full, (x.item[0] - height) * full, T{0});
    }
  }
}

template void fill<float>(Context&, GroupView<float>, double);
template void fill<double>(Context&, GroupView<double>, double);
template void copy<float, float>(Context&, GroupView<float>, GroupView<const float>);
template void copy<double, double>(Context&, GroupView<double>, GroupView<const double>);
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

}  // namespace ganmm::kernels::cpu
