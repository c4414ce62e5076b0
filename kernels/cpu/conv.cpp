// Convolution as matrix products over unfolded windows (im2col), group by group, in chunks of
// items whose windows fit the second-level cache:
//
//   forward           y      = act(windows(x) filter + bias)
//   backward weights  filter = windows(x)^T d_y          summed over chunks
//   backward data     d_x    = fold(d_y filter^T)        fold = the adjoint of windows
//
// windows(x) has a row per output position and a column per (kh, kw, ci), the order of the filter.
// With channels last, the taps of one kh that lie inside the image are one contiguous run of x.
// A row of y depends on its own window alone, computed in the same order wherever it stands: the
// same item gives the same bits at any place in any batch.

#include "kernels/backend.h"

#if GANMM_HAVE_ONEDNN
#include "kernels/cpu/onednn.h"
#endif

#include <algorithm>
#include <type_traits>

namespace ganmm::kernels::cpu {

namespace {

constexpr Index kChunkBytes = Index{512} << 10;  // half of a common second-level cache

Index positions(const ConvGeometry& g) { return g.out_h * g.out_w; }
Index window(const ConvGeometry& g) { return g.kernel * g.kernel * g.in_c; }

template <class T>
Index chunk_items(Index batch, const ConvGeometry& g) {
  const Index item_bytes = positions(g) * window(g) * static_cast<Index>(sizeof(T));
  return std::clamp<Index>(kChunkBytes / item_bytes, 1, std::max<Index>(batch, 1));
}

// The part of one window row kh that lies inside an image row: `count` elements that start at
// `image` there and at `column` in the window row.
struct Run {
  Index image, column, count;
};

Run run_at(const ConvGeometry& g, Index wo) {
  const Index left = wo * g.stride - g.pad_left;
  const Index first = std::max<Index>(left, 0);
  const Index last = std::min(left + g.kernel, g.in_w);
  return {first * g.in_c, (first - left) * g.in_c, (last - first) * g.in_c};
}

// body(width) with the widths of a single channel as constants: a run of five elements is too short
// for a loop or a call of memcpy.
template <class Body>
void with_width(Index width, Body&& body) {
  if (width == 3) return body(std::integral_constant<Index, 3>{});
  if (width == 5) return body(std::integral_constant<Index, 5>{});
  body(width);
}

// windows [ho][wo][kh][kw][ci] of one image.
template <class T>
void unfold(T* windows, const T* image, const ConvGeometry& g) {
  with_width(g.kernel * g.in_c, [&](auto width) {
    for (Index ho = 0; ho < g.out_h; ++ho) {
      for (Index wo = 0; wo < g.out_w; ++wo) {
        const Run run = run_at(g, wo);
        for (Index kh = 0; kh < g.kernel; ++kh, windows += width) {
          const Index h = ho * g.stride + kh - g.pad_top;
          if (h < 0 || h >= g.in_h) {
            std::fill_n(windows, Index{width}, T{0});
            continue;
          }
          const T* source = image + h * g.in_w * g.in_c + run.image;
          if (run.count == width) {
            for (Index i = 0; i < width; ++i) windows[i] = source[i];
            continue;
          }
          std::fill(windows, windows + run.column, T{0});
          std::copy(source, source + run.count, windows + run.column);
          std::fill(windows + run.column + run.count, windows + width, T{0});
        }
      }
    }
  });
}

// The adjoint of unfold: adds every window back to where it came from.
template <class T>
void fold(T* image, const T* windows, const ConvGeometry& g) {
  std::fill(image, image + g.input().count(), T{0});
  with_width(g.kernel * g.in_c, [&](auto width) {
    for (Index ho = 0; ho < g.out_h; ++ho) {
      for (Index wo = 0; wo < g.out_w; ++wo) {
        const Run run = run_at(g, wo);
        for (Index kh = 0; kh < g.kernel; ++kh, windows += width) {
          const Index h = ho * g.stride + kh - g.pad_top;
          if (h < 0 || h >= g.in_h) continue;
          T* target = image + h * g.in_w * g.in_c + run.image;
          const T* source = windows + run.column;
          if (run.count == width) {
            for (Index i = 0; i < width; ++i) target[i] += source[i];
          } else {
            for (Index i = 0; i < run.count; ++i) target[i] += source[i];
          }
        }
      }
    }
  });
}

// One group's matrix of `rows` x `cols`, contiguous.
template <class T>
MatrixView<T> block(T* data, Index rows, Index cols) {
  return {data, 1, rows, cols, 0, cols};
}

// Items [first, first + count) of a group and their windows, a matrix in scratch.
template <class T>
struct Chunk {
  Index group, first, count;
  MatrixView<T> windows;

  T* windows_of(Index i, const ConvGeometry& g) const {
    return windows.data + i * positions(g) * window(g);
  }
  void unfold_items(const GroupView<const T>& x, const ConvGeometry& g) const {
    for (Index i = 0; i < count; ++i) unfold(windows_of(i, g), x.row(group, first + i), g);
  }
};

// body(chunk) for all items of all groups, in order.
template <class T, class Body>
void for_each_chunk(Context& ctx, Index groups, Index batch, const ConvGeometry& g, Body&& body) {
  const Index most = chunk_items<T>(batch, g);
  Scratch::Frame frame(ctx.scratch());
  T* windows = frame.take<T>(most * positions(g) * window(g));
  for (Index group = 0; group < groups; ++group) {
    for (Index first = 0; first < batch; first += most) {
      const Index count = std::min(most, batch - first);
      body(Chunk<T>{group, first, count, block(windows, count * positions(g), window(g))});
    }
  }
}

// The filter of a group as a matrix of taps x output channels.
template <class T>
MatrixView<T> filter_of(const ParamView<T>& filter, Index group, const ConvGeometry& g) {
  return block(filter.group(group), window(g), g.out_c);
}

// The outputs of a chunk as a matrix of positions x output channels.
template <class Out, class T>
MatrixView<Out> outputs_of(const GroupView<Out>& y, const Chunk<T>& chunk, const ConvGeometry& g) {
  return block(y.row(chunk.group, chunk.first), chunk.windows.rows, g.out_c);
}

// Bias and activation of `rows` pixels of `channels` values.
template <class T>
void finish(Context& ctx, T* data, Index rows, Index channels, const T* bias,
            Activation activation) {
  if (activation.piecewise_linear() && (bias != nullptr || !activation.identity())) {
    const bool relu = activation.kind == ActivationKind::relu;
    const T slope = activation.identity() ? T{1} : static_cast<T>(activation.slope);
    for (Index i = 0; i < rows; ++i) {
      T* row = data + i * channels;
      for (Index c = 0; c < channels; ++c) {
        const T z = bias == nullptr ? row[c] : row[c] + bias[c];
        row[c] = z < T{0} ? (relu ? T{0} : slope * z) : z;
      }
    }
    return;
  }
  const GroupView<T> pixels(data, 1, rows, {channels});
  if (bias != nullptr) cpu::add_bias<T>(ctx, pixels, ParamView<const T>(bias, 1, {channels}));
  if (!activation.identity()) cpu::activation_forward<T>(ctx, pixels, pixels, activation);
}

template <class T>
const T* bias_of(const Epilogue<T>& epilogue, Index g) {
  return epilogue.bias.data == nullptr ? nullptr : epilogue.bias.group(g);
}

template <class T>
Epilogue<T> of_group(const Epilogue<T>& epilogue, Index g) {
  if (epilogue.bias.data == nullptr) return epilogue;
  return {epilogue.bias.slice(g, 1), epilogue.activation};
}

#if GANMM_HAVE_ONEDNN

// oneDNN's primitives beat the unfolded product by 1.2 to 5 times. The exception is backward data
// to few channels, where its loops leave most vector lanes empty: 3 to 7 times slower at one
// channel, 1.2 to 2.4 at four, at eight faster or slower depending on the width of the other side.
constexpr Index kFewChannels = 4;

template <class T>
bool use_library(ConvOp op, Index batch, const ConvGeometry& g) {
  if (!std::is_same_v<T, float>) return false;
  if (op == ConvOp::backward_data && g.in_c <= kFewChannels) return false;
  return onednn::conv_available(op, batch, g);
}

#endif

}  // namespace

template <class T>
Index conv_workspace(Index batch, const ConvGeometry& geometry) {
  const Index windows = checked_multiply(chunk_items<T>(batch, geometry),
                                         checked_multiply(positions(geometry), window(geometry)));
  Index bytes = aligned_bytes<T>(windows);
#if GANMM_HAVE_ONEDNN
  if constexpr (std::is_same_v<T, float>) {
    for (const ConvOp op : {ConvOp::forward, ConvOp::backward_data, ConvOp::backward_weights}) {
      if (batch > 0 && use_library<T>(op, batch, geometry)) {
        bytes = std::max(bytes, onednn::conv_workspace(op, batch, geometry));
      }
    }
  }
#endif
  return bytes;
}

template <class T>
void conv_forward(Context& ctx, GroupView<T> y, GroupView<const T> x, ParamView<const T> filter,
                  const ConvGeometry& geometry, const Epilogue<T>& epilogue) {
#if GANMM_HAVE_ONEDNN
  if constexpr (std::is_same_v<T, float>) {
    if (use_library<T>(ConvOp::forward, y.batch, geometry)) {
      for (Index g = 0; g < y.groups; ++g) {
        onednn::conv_forward(ctx.scratch(), y.row(g, 0), x.row(g, 0), filter.group(g), y.batch,
                             geometry, [&](Index b) {
                               finish(ctx, y.row(g, b), positions(geometry), geometry.out_c,
                                      bias_of(epilogue, g), epilogue.activation);
                             });
      }
      return;
    }
  }
#endif
  for_each_chunk<T>(ctx, y.groups, y.batch, geometry, [&](const Chunk<T>& chunk) {
    chunk.unfold_items(x, geometry);
    cpu::gemm<T>(ctx, outputs_of(y, chunk, geometry), chunk.windows, Transpose::no,
                 filter_of(filter, chunk.group, geometry), Transpose::no, Write::overwrite,
                 of_group(epilogue, chunk.group));
  });
}

template <class T>
void conv_backward_data(Context& ctx, GroupView<T> d_x, GroupView<const T> d_y,
                        ParamView<const T> filter, const ConvGeometry& geometry,
                        const Epilogue<T>& epilogue) {
  const Index pixels = geometry.in_h * geometry.in_w;
#if GANMM_HAVE_ONEDNN
  if constexpr (std::is_same_v<T, float>) {
    if (use_library<T>(ConvOp::backward_data, d_x.batch, geometry)) {
      for (Index g = 0; g < d_x.groups; ++g) {
        onednn::conv_backward_data(ctx.scratch(), d_x.row(g, 0), d_y.row(g, 0), filter.group(g),
                                   d_x.batch, geometry, [&](Index b) {
                                     finish(ctx, d_x.row(g, b), pixels, geometry.in_c,
                                            bias_of(epilogue, g), epilogue.activation);
                                   });
      }
      return;
    }
  }
#endif
  for_each_chunk<T>(ctx, d_x.groups, d_x.batch, geometry, [&](const Chunk<T>& chunk) {
    cpu::gemm<T>(ctx, chunk.windows, outputs_of(d_y, chunk, geometry), Transpose::no,
                 filter_of(filter, chunk.group, geometry), Transpose::yes, Write::overwrite, {});
    for (Index i = 0; i < chunk.count; ++i) {
      T* item = d_x.row(chunk.group, chunk.first + i);
      fold<T>(item, chunk.windows_of(i, geometry), geometry);
      finish(ctx, item, pixels, geometry.in_c, bias_of(epilogue, chunk.group), epilogue.activation);
    }
  });
}

template <class T>
void conv_backward_weights(Context& ctx, ParamView<T> d_filter, GroupView<const T> x,
                           GroupView<const T> d_y, const ConvGeometry& geometry, Write write) {
  if (d_y.batch == 0) {
    for (Index g = 0; g < d_filter.groups && write == Write::overwrite; ++g) {
      std::fill_n(d_filter.group(g), d_filter.count(), T{0});
    }
    return;
  }
#if GANMM_HAVE_ONEDNN
  if constexpr (std::is_same_v<T, float>) {
    if (use_library<T>(ConvOp::backward_weights, d_y.batch, geometry)) {
      for (Index g = 0; g < d_filter.groups; ++g) {
        onednn::conv_backward_weights(ctx.scratch(), d_filter.group(g), x.row(g, 0), d_y.row(g, 0),
                                      d_y.batch, geometry, write);
      }
      return;
    }
  }
#endif
  for_each_chunk<T>(ctx, d_filter.groups, d_y.batch, geometry, [&](const Chunk<T>& chunk) {
    chunk.unfold_items(x, geometry);
    cpu::gemm<T>(ctx, filter_of(d_filter, chunk.group, geometry), chunk.windows, Transpose::yes,
                 outputs_of(d_y, chunk, geometry), Transpose::no,
                 chunk.first == 0 ? write : Write::accumulate, {});
  });
}

#define GANMM_INSTANTIATE(T)                                                                       \
  template Index conv_workspace<T>(Index, const ConvGeometry&);                                    \
  template void conv_forward<T>(Context&, GroupView<T>, GroupView<const T>, ParamView<const T>,    \
                                const ConvGeometry&, const Epilogue<T>&);                          \
  template void conv_backward_data<T>(Context&, GroupView<T>, GroupView<const T>,                  \
                                      ParamView<const T>, const ConvGeometry&,                     \
                                      const Epilogue<T>&);                                         \
  template void conv_backward_weights<T>(Context&, ParamView<T>, GroupView<const T>,               \
                                         GroupView<const T>, const ConvGeometry&, Write);
GANMM_INSTANTIATE(float)
GANMM_INSTANTIATE(double)
#undef GANMM_INSTANTIATE

}  // namespace ganmm::kernels::cpu
