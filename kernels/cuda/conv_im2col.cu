// Convolution as matrix products over unfolded windows in memory, for every geometry:
//
//   forward           y        = act(windows(x) filter + bias)
//   backward data     d_x      = act(fold(d_y filter^T) + bias)    fold = the adjoint of windows
//   backward weights  d_filter = windows(x)^T d_y                  one product over the whole batch
//
// windows(x) has a row per output position of every item and a column per (kh, kw, ci), the order
// of the filter. With channels last, the taps of one kh are one run of an image row, cut off where
// it leaves the row.
//
// unfold and fold are bound by memory bandwidth: they write or read the windows once, kernel^2 /
// stride^2 times the size of the image, a thread per 16 bytes where the channels allow it. fold
// gathers: a thread adds up all taps of its pixel in a fixed order, so that there are no atomics,
// and applies bias and activation. Windows of bfloat16 images are bfloat16, and so are the taps
// that fold sums (in single precision).
//
// Windows are kept for as many groups at a time as fit Context::column_budget(). If one group does
// not fit, forward and backward data split its batch; backward weights never does, since that would
// cut its sum: d_filter depends on the budget only through the library's choice of a kernel.
#include "kernels/backend.h"
#include "kernels/cuda/activation_phi.h"
#include "kernels/cuda/conv_paths.h"
#include "kernels/cuda/conv_taps.h"
#include "kernels/cuda/divider.h"
#include "kernels/cuda/elements.h"

#include <limits>

namespace ganmm::kernels::cuda {

namespace {

Index positions(const ConvGeometry& g) { return g.out_h * g.out_w; }
Index window(const ConvGeometry& g) { return g.kernel * g.kernel * g.in_c; }
Index item_columns(const ConvGeometry& g) { return checked_multiply(positions(g), window(g)); }

// A geometry inside a kernel. Channels are counted in packs; an item has fewer than 2^31 columns.
struct Taps {
  int in_h, in_w, in_c, out_h, out_w, kernel, stride, pad_top, pad_left;
  Divider by_run, by_kernel, by_out_w, by_in_c, by_in_w;
};

Taps taps_of(const ConvGeometry& g, Index pack) {
  require<ShapeError>(item_columns(g) <= std::numeric_limits<int>::max() &&
                          g.input().count() <= std::numeric_limits<int>::max(),
                      "convolution by im2col: expected fewer than 2^31 window elements per item, "
                      "found ",
                      item_columns(g), " and an input of ", g.input().count(),
                      "; use smaller images or another path");
  const Index in_c = g.in_c / pack;
  const auto small = [](Index value) { return static_cast<int>(value); };
  return {small(g.in_h),     small(g.in_w),
          small(in_c),       small(g.out_h),
          small(g.out_w),    small(g.kernel),
          small(g.stride),   small(g.pad_top),
          small(g.pad_left), Divider(g.kernel * in_c),
          Divider(g.kernel), Divider(g.out_w),
          Divider(in_c),     Divider(g.in_w)};
}

// columns[ho][wo][kh][kw][ci] of every item.
template <class P>
GANMM_KERNEL unfold_kernel(ElementWalk walk, Rows<P> columns, Rows<const P> x, Taps taps) {
  const int run = taps.kernel * taps.in_c;
  const int image_row = taps.in_w * taps.in_c;
  for_each_element(walk, [&](Index group, Index item, Index col) {
    const int element = static_cast<int>(col);
    const int tap_row = element / taps.by_run;
    const int position = tap_row / taps.by_kernel;
    const int ho = position / taps.by_out_w;
    const int h = ho * taps.stride + (tap_row - position * taps.kernel) - taps.pad_top;
    const int left = (position - ho * taps.out_w) * taps.stride - taps.pad_left;
    const int in_row = left * taps.in_c + (element - tap_row * run);
    const bool inside = h >= 0 && h < taps.in_h && in_row >= 0 && in_row < image_row;
    at(columns, group, item, col) = inside ? at(x, group, item, h * image_row + in_row) : P{};
  });
}

// d_x[h][w][ci] = act(sum of its taps + bias).
template <class T, unsigned W>
GANMM_KERNEL fold_kernel(ElementWalk walk, Rows<Pack<T, W>> d_x, Rows<const Pack<T, W>> columns,
                         Rows<const float> bias, Taps taps, PixelWindows windows,
                         ActivationKind kind, float slope) {
  for_each_element(walk, [&](Index group, Index item, Index col) {
    const int element = static_cast<int>(col);
    const int pixel = element / taps.by_in_c;
    const int channel = element - pixel * taps.in_c;
    const int h = pixel / taps.by_in_w;
    float sum[W] = {};
    for_each_window(windows, h, pixel - h * taps.in_w, [&](int ho, int wo, int kh, int kw) {
      const int row = ((ho * taps.out_w + wo) * taps.kernel + kh) * taps.kernel + kw;
      const Pack<T, W> tap = at(columns, group, item, row * taps.in_c + channel);
      for (unsigned i = 0; i < W; ++i) sum[i] += static_cast<float>(tap.value[i]);
    });
    Pack<T, W> result;
    for (unsigned i = 0; i < W; ++i) {
      float z = sum[i];
      if (bias.data != nullptr)
        z += at(bias, group, 0, channel * static_cast<int>(W) + static_cast<int>(i));
      result.value[i] = static_cast<T>(phi(kind, slope, z));
    }
    at(d_x, group, item, col) = result;
  });
}

// body(pack width as a constant): 16 bytes if all channels come in such packs, otherwise one.
template <class T, class Body, class... Views>
void with_packs(const ConvGeometry& g, Body&& body, const Views&... views) {
  constexpr unsigned kW = kWide<T>;
  bool fit = g.in_c % kW == 0;
  ((fit = fit && packs_fit<kW>({views.groups, views.batch, views.features()}, views)), ...);
  if (fit) return body(std::integral_constant<unsigned, kW>{});
  body(std::integral_constant<unsigned, 1>{});
}

template <class T>
void unfold(Context& ctx, const GroupView<T>& columns, const GroupView<const T>& x,
            const ConvGeometry& g) {
  with_packs<T>(
      g,
      [&](auto width) {
        constexpr unsigned kW = decltype(width)::value;
        const auto [walk, shape] =
            element_launch(ctx, {columns.groups, columns.batch, columns.features() / kW});
        launch(ctx, "unfold", shape, unfold_kernel<Pack<T, kW>>, walk, packs<kW>(columns),
               packs<kW>(x), taps_of(g, kW));
      },
      columns, x);
}

template <class T>
void fold(Context& ctx, const GroupView<T>& d_x, const GroupView<const T>& columns,
          const ConvGeometry& g, const Epilogue<T>& epilogue) {
  with_packs<T>(
      g,
      [&](auto width) {
        constexpr unsigned kW = decltype(width)::value;
        const auto [walk, shape] =
            element_launch(ctx, {d_x.groups, d_x.batch, d_x.features() / kW});
        launch(ctx, "fold", shape, fold_kernel<T, kW>, walk, packs<kW>(d_x), packs<kW>(columns),
               Rows<const float>{epilogue.bias.data, epilogue.bias.group_stride, 0}, taps_of(g, kW),
               PixelWindows(g), epilogue.activation.kind,
               static_cast<float>(epilogue.activation.slope));
      },
      d_x, columns);
}

// How many groups, and items of each, have their windows in memory at a time.
struct Slices {
  Index groups, items;
};

template <class T>
Slices slices(const Context& ctx, Index groups, Index batch, const ConvGeometry& g,
              bool whole_batch) {
  const Index budget = ctx.column_budget() / static_cast<Index>(sizeof(T));
  const Index item = item_columns(g);
  const Index group = checked_multiply(batch, item);
  if (whole_batch || group <= budget) return {std::clamp<Index>(budget / group, 1, groups), batch};
  return {1, std::clamp<Index>(budget / item, 1, batch)};
}

// body(first group, groups, first item, items) until all are done.
template <class Body>
void for_each_slice(const Slices& most, Index groups, Index batch, Body&& body) {
  for (Index group = 0; group < groups; group += most.groups) {
    for (Index item = 0; item < batch; item += most.items) {
      body(group, std::min(most.groups, groups - group), item, std::min(most.items, batch - item));
    }
  }
}

template <class T>
GroupView<T> columns_view(T* data, Index groups, Index items, const ConvGeometry& g) {
  return {data, groups, items, {g.out_h, g.out_w, window(g)}};
}

// Everything but the last axis as rows.
template <class T>
MatrixView<T> pixels(const GroupView<T>& view) {
  const Index cols = view.item.back();
  return {view.data, view.groups,       view.batch * (view.features() / cols),
          cols,      view.group_stride, cols};
}

}  // namespace

template <class T>
bool im2col_supports(MathMode, ConvOp, const ConvGeometry&) {
  return true;
}

template <class T>
Index conv_workspace_im2col(const Context& ctx, ConvOp op, Index groups, Index batch,
                            const ConvGeometry& g) {
  if (groups == 0 || batch == 0) return 0;
  // Of the slices of a smaller problem too: those are other ones, but within the same bounds.
  const Index budget = ctx.column_budget() / static_cast<Index>(sizeof(T));
  const Index item = item_columns(g);
  const Index group = checked_multiply(batch, item);
  const Index least = op == ConvOp::backward_weights ? group : item;
  return aligned_bytes<T>(std::max(least, std::min(budget, checked_multiply(groups, group))));
}

template <class T>
void conv_forward_im2col(Context& ctx, GroupView<T> y, GroupView<const T> x,
                         ParamView<const T> filter, const ConvGeometry& g,
                         const Epilogue<T>& epilogue) {
  const bool shared = x.group_stride == 0;  // the same windows for every group
  Slices most = slices<T>(ctx, shared ? 1 : y.groups, y.batch, g, false);
  Scratch::Frame frame(ctx.scratch());
  T* memory = frame.take<T>(most.groups * most.items * item_columns(g));
  if (shared) most.groups = y.groups;
  for_each_slice(most, y.groups, y.batch, [&](Index group, Index groups, Index item, Index items) {
    GroupView<T> columns = columns_view(memory, shared ? 1 : groups, items, g);
    unfold<T>(ctx, columns, x.slice(group, columns.groups).rows(item, items), g);
    if (shared) columns.group_stride = 0;
    columns.groups = groups;
    Epilogue<T> own = epilogue;
    if (own.bias.data != nullptr) own.bias = own.bias.slice(group, groups);
    cuda::gemm<T, T>(ctx, pixels(y.slice(group, groups).rows(item, items)), pixels(columns),
                     Transpose::no, matrix(filter.slice(group, groups)), Transpose::no,
                     Write::overwrite, own);
  });
}

template <class T>
void conv_backward_data_im2col(Context& ctx, GroupView<T> d_x, GroupView<const T> d_y,
                               ParamView<const T> filter, const ConvGeometry& g,
                               const Epilogue<T>& epilogue) {
  const Slices most = slices<T>(ctx, d_x.groups, d_x.batch, g, false);
  Scratch::Frame frame(ctx.scratch());
  T* memory = frame.take<T>(most.groups * most.items * item_columns(g));
  for_each_slice(
      most, d_x.groups, d_x.batch, [&](Index group, Index groups, Index item, Index items) {
        const GroupView<T> columns = columns_view(memory, groups, items, g);
        cuda::gemm<T, T>(ctx, pixels(columns), pixels(d_y.slice(group, groups).rows(item, items)),
                         Transpose::no, matrix(filter.slice(group, groups)), Transpose::yes,
                         Write::overwrite, {});
        Epilogue<T> own = epilogue;
        if (own.bias.data != nullptr) own.bias = own.bias.slice(group, groups);
        fold<T>(ctx, d_x.slice(group, groups).rows(item, items), columns, g, own);
      });
}

template <class T>
void conv_backward_weights_im2col(Context& ctx, ParamView<Master<T>> d_filter, GroupView<const T> x,
                                  GroupView<const T> d_y, const ConvGeometry& g, Write write) {
  const bool shared = x.group_stride == 0;
  Slices most = slices<T>(ctx, shared ? 1 : d_filter.groups, d_y.batch, g, true);
  Scratch::Frame frame(ctx.scratch());
  T* memory = frame.take<T>(most.groups * most.items * item_columns(g));
  if (shared) most.groups = d_filter.groups;
  for_each_slice(
      most, d_filter.groups, d_y.batch, [&](Index group, Index groups, Index item, Index items) {
        GroupView<T> columns = columns_view(memory, shared ? 1 : groups, items, g);
        unfold<T>(ctx, columns, x.slice(group, columns.groups).rows(item, items), g);
        if (shared) columns.group_stride = 0;
        columns.groups = groups;
        cuda::gemm<T, Master<T>>(ctx, matrix(d_filter.slice(group, groups)), pixels(columns),
                                 Transpose::yes, pixels(d_y.slice(group, groups).rows(item, items)),
                                 Transpose::no, write, {});
      });
}

GANMM_INSTANTIATE_CONV_PATH(im2col, float)
GANMM_INSTANTIATE_CONV_PATH(im2col, BFloat16)

}  // namespace ganmm::kernels::cuda
