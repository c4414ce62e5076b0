#include "kernels/conv.h"

#include "kernels/backend.h"
#include "kernels/dispatch/dispatch.h"

#include <algorithm>

namespace ganmm::kernels {

namespace {

void check_geometry(const char* op, const ConvGeometry& g) {
  require<ShapeError>(g.in_h > 0 && g.in_w > 0 && g.in_c > 0 && g.out_h > 0 && g.out_w > 0 &&
                          g.out_c > 0 && g.kernel > 0 && g.stride > 0,
                      op, ": expected a geometry with positive sizes, found input ",
                      to_string(g.input()), ", output ", to_string(g.output()), ", kernel ",
                      g.kernel, ", stride ", g.stride, "; build it with same_padding");
  require<ShapeError>(g.pad_top >= 0 && g.pad_left >= 0 && g.pad_top < g.kernel &&
                          g.pad_left < g.kernel,
                      op, ": expected padding in [0, kernel ", g.kernel, "), found top ", g.pad_top,
                      ", left ", g.pad_left, "; more would add outputs that see no input");
  // The last window must begin inside the image, or it sees nothing but padding.
  require<ShapeError>((g.out_h - 1) * g.stride - g.pad_top < g.in_h &&
                          (g.out_w - 1) * g.stride - g.pad_left < g.in_w,
                      op, ": expected every window to touch the input ", to_string(g.input()),
                      ", found output ", to_string(g.output()), " with stride ", g.stride,
                      "; reduce the output size");
}

template <class T>
void check_items(const char* op, const char* name, const GroupView<T>& view, const Shape& item,
                 Index groups, Index batch, bool shared_allowed) {
  require<ShapeError>(view.groups == groups && view.batch == batch && view.item == item, op,
                      ": expected ", name, " [", groups, "][", batch, "][", to_string(item),
                      "], found [", view.groups, "][", view.batch, "][", to_string(view.item),
                      "]; it must fit the geometry and the other tensor");
  const bool empty = groups == 0 || batch == 0;
  require<ShapeError>(empty || view.data != nullptr, op, ": expected memory for ", name,
                      ", found a null pointer; reserve the arena before running");
  require<ShapeError>(view.rows_contiguous(), op, ": expected contiguous items in ", name, " of ",
                      item.count(), " elements, found batch stride ", view.batch_stride,
                      "; copy it to a contiguous tensor first");
  require<ShapeError>(groups <= 1 || view.group_stride >= batch * item.count() ||
                          (shared_allowed && view.group_stride == 0),
                      op, ": expected a group stride of at least ", batch * item.count(),
                      shared_allowed ? " (or 0, shared)" : "", " in ", name, ", found ",
                      view.group_stride, "; groups must not overlap");
}

template <class T>
void check_filter(const char* op, const ParamView<T>& filter, Index groups,
                  const ConvGeometry& geometry) {
  require<ShapeError>(filter.groups == groups && filter.shape == geometry.filter(), op,
                      ": expected filters ", groups, " x [", to_string(geometry.filter()),
                      "], found ", filter.groups, " x [", to_string(filter.shape),
                      "]; order kernel, kernel, in_c, out_c");
  require<ShapeError>(groups == 0 || filter.data != nullptr, op,
                      ": expected memory for the filters, found a null pointer; reserve the arena "
                      "before running");
}

template <class T>
void check_bias(const char* op, const ParamView<T>& bias, Index groups, Index channels) {
  require<ShapeError>(bias.data == nullptr || (bias.groups == groups && bias.count() == channels),
                      op, ": expected a bias of ", groups, " x [", channels, "], found ",
                      bias.groups, " x [", to_string(bias.shape), "]; one value per channel");
}

// Multiplications with padded zeros are counted too: the same number for each of the three ops.
OpCost cost(const ConvGeometry& g, Index groups, Index batch, double bytes) {
  return {bytes, 2.0 * static_cast<double>(groups * batch * g.out_h * g.out_w * g.kernel *
                                           g.kernel * g.in_c * g.out_c)};
}

}  // namespace

ConvGeometry same_padding(Index in_h, Index in_w, Index in_c, Index out_c, Index kernel,
                          Index stride) {
  require<ShapeError>(in_h > 0 && in_w > 0 && in_c > 0 && out_c > 0 && kernel > 0 && stride > 0,
                      "same_padding: expected positive sizes, found input ",
                      to_string(Shape{in_h, in_w, in_c}), ", out_c ", out_c, ", kernel ", kernel,
                      ", stride ", stride, "; check the layer's settings");
  const Index out_h = (in_h + stride - 1) / stride;
  const Index out_w = (in_w + stride - 1) / stride;
  const Index pad_h = std::max<Index>((out_h - 1) * stride + kernel - in_h, 0);
  const Index pad_w = std::max<Index>((out_w - 1) * stride + kernel - in_w, 0);
  return {in_h, in_w, in_c, out_h, out_w, out_c, kernel, stride, pad_h / 2, pad_w / 2};
}

template <class T>
void conv_forward(Context& ctx, GroupView<T> y, GroupView<const T> x, ParamView<const T> filter,
                  const ConvGeometry& geometry, const Epilogue<T>& epilogue) {
  const char* op = "conv_forward";
  check_geometry(op, geometry);
  check_items(op, "y", y, geometry.output(), y.groups, y.batch, false);
  check_items(op, "x", x, geometry.input(), y.groups, y.batch, true);
  check_filter(op, filter, y.groups, geometry);
  check_bias(op, epilogue.bias, y.groups, geometry.out_c);
  if (y.groups == 0 || y.batch == 0) return;
  dispatch<T>(
      ctx, op, cost(geometry, y.groups, y.batch, bytes_of(y) + bytes_of(x) + bytes_of(filter)),
      [&](auto& c) { cpu::conv_forward<T>(c, y, x, filter, geometry, epilogue); },
      [&](auto& c) { cuda::conv_forward<T>(c, y, x, filter, geometry, epilogue); });
}

template <class T>
void conv_backward_data(Context& ctx, GroupView<T> d_x, GroupView<const T> d_y,
                        ParamView<const T> filter, const ConvGeometry& geometry,
                        const Epilogue<T>& epilogue) {
  const char* op = "conv_backward_data";
  check_geometry(op, geometry);
  check_items(op, "d_x", d_x, geometry.input(), d_x.groups, d_x.batch, false);
  check_items(op, "d_y", d_y, geometry.output(), d_x.groups, d_x.batch, true);
  check_filter(op, filter, d_x.groups, geometry);
  check_bias(op, epilogue.bias, d_x.groups, geometry.in_c);
  if (d_x.groups == 0 || d_x.batch == 0) return;
  dispatch<T>(
      ctx, op,
      cost(geometry, d_x.groups, d_x.batch, bytes_of(d_x) + bytes_of(d_y) + bytes_of(filter)),
      [&](auto& c) { cpu::conv_backward_data<T>(c, d_x, d_y, filter, geometry, epilogue); },
      [&](auto& c) { cuda::conv_backward_data<T>(c, d_x, d_y, filter, geometry, epilogue); });
}

template <class T>
void conv_backward_weights(Context& ctx, ParamView<Master<T>> d_filter, GroupView<const T> x,
                           GroupView<const T> d_y, const ConvGeometry& geometry, Write write) {
  const char* op = "conv_backward_weights";
  check_geometry(op, geometry);
  check_filter(op, d_filter, d_filter.groups, geometry);
  check_items(op, "x", x, geometry.input(), d_filter.groups, d_y.batch, true);
  check_items(op, "d_y", d_y, geometry.output(), d_filter.groups, d_y.batch, true);
  if (d_filter.groups == 0) return;
  dispatch<T>(
      ctx, op,
      cost(geometry, d_filter.groups, d_y.batch, bytes_of(d_filter) + bytes_of(x) + bytes_of(d_y)),
      [&](auto& c) { cpu::conv_backward_weights<T>(c, d_filter, x, d_y, geometry, write); },
      [&](auto& c) { cuda::conv_backward_weights<T>(c, d_filter, x, d_y, geometry, write); });
}

template <class T>
Index conv_workspace(const Context& ctx, Index groups, Index batch, const ConvGeometry& geometry) {
  const char* op = "conv_workspace";
  check_geometry(op, geometry);
  require<ShapeError>(groups >= 0 && batch >= 0, op, ": expected counts >= 0, found ", groups,
                      " groups of ", batch, " items; check the plan");
  if constexpr (!std::is_same_v<T, BFloat16>) {
    // On the CPU groups are computed one after the other and share it.
    if (ctx.on_cpu()) return cpu::conv_workspace<T>(batch, geometry);
  }
  if constexpr (!std::is_same_v<T, double>) {
    return cuda::conv_workspace<T>(ctx, groups, batch, geometry);
  }
  throw UnsupportedError(message(op, ": this element type does not exist on ",
                                 to_string(ctx.device()), "; choose the other backend"));
}

template <class T>
ConvPath conv_path_of(const Context& ctx, ConvOp op, const ConvGeometry& geometry) {
  check_geometry("conv_path_of", geometry);
  if constexpr (!std::is_same_v<T, double>) {
    if (!ctx.on_cpu()) return cuda::conv_path_of<T>(ctx, op, geometry);
  }
  return ConvPath::automatic;
}

template <class T>
std::string describe_conv(const Context& ctx, const ConvGeometry& geometry) {
  return message(
      "forward ", to_string(conv_path_of<T>(ctx, ConvOp::forward, geometry)), ", backward data ",
      to_string(conv_path_of<T>(ctx, ConvOp::backward_data, geometry)), ", backward weights ",
      to_string(conv_path_of<T>(ctx, ConvOp::backward_weights, geometry)));
}

#define GANMM_INSTANTIATE(T)                                                                       \
  template ConvPath conv_path_of<T>(const Context&, ConvOp, const ConvGeometry&);                  \
  template std::string describe_conv<T>(const Context&, const ConvGeometry&);                      \
  template Index conv_workspace<T>(const Context&, Index, Index, const ConvGeometry&);             \
  template void conv_forward<T>(Context&, GroupView<T>, GroupView<const T>, ParamView<const T>,    \
                                const ConvGeometry&, const Epilogue<T>&);                          \
  template void conv_backward_data<T>(Context&, GroupView<T>, GroupView<const T>,                  \
                                      ParamView<const T>, const ConvGeometry&,                     \
                                      const Epilogue<T>&);                                         \
  template void conv_backward_weights<T>(Context&, ParamView<Master<T>>, GroupView<const T>,       \
                                         GroupView<const T>, const ConvGeometry&, Write);

GANMM_FOR_EACH_TYPE(GANMM_INSTANTIATE)

}  // namespace ganmm::kernels
