// Grouped 2-D convolution and its two adjoints. A transposed convolution is the backward-data op of
// the convolution that maps its output to its input; no op of its own is needed.
#pragma once

#include "kernels/core/context.h"
#include "kernels/core/view.h"
#include "kernels/gemm.h"

#include <string>

namespace ganmm::kernels {

// y[ho, wo, co] = sum over kh, kw, ci of x[ho*stride + kh - pad_top, wo*stride + kw - pad_left, ci]
//                 * filter[kh, kw, ci, co], x = 0 outside.
// Padding after the image is whatever the output size implies, so asymmetric padding (TensorFlow's
// SAME) is the general case.
struct ConvGeometry {
  Index in_h = 0, in_w = 0, in_c = 0;
  Index out_h = 0, out_w = 0, out_c = 0;
  Index kernel = 0, stride = 0;
  Index pad_top = 0, pad_left = 0;

  bool operator==(const ConvGeometry&) const = default;
  Shape input() const { return {in_h, in_w, in_c}; }
  Shape output() const { return {out_h, out_w, out_c}; }
  Shape filter() const { return {kernel, kernel, in_c, out_c}; }
};

// TensorFlow's SAME: out = ceil(in / stride), total padding max((out - 1) stride + kernel - in, 0),
// the smaller half before. 28 -> 14 -> 7 with kernel 5, stride 2 pads 1 before and 2 after.
ConvGeometry same_padding(Index in_h, Index in_w, Index in_c, Index out_c, Index kernel,
                          Index stride);

enum class ConvOp { forward, backward_data, backward_weights };
inline constexpr ConvOp kConvOps[] = {ConvOp::forward, ConvOp::backward_data,
                                      ConvOp::backward_weights};

// y = act(conv(x) + bias).
// Shapes    x [N][B][in_h][in_w][in_c] (group stride 0 allowed), y [N][B][out_h][out_w][out_c],
//           filter [N][k][k][in_c][out_c], bias [N][out_c] or none. Rows contiguous.
// Workspace conv_workspace(...) bytes of scratch, for each of the three ops.
// Throws    ShapeError.
template <class T>
void conv_forward(Context& ctx, GroupView<T> y, GroupView<const T> x, ParamView<const T> filter,
                  const ConvGeometry& geometry, const Epilogue<T>& epilogue = {});

// d_x = act(conv^T(d_y) + bias): the adjoint of conv_forward in x. With an epilogue (bias over
// in_c) it is the forward pass of a transposed convolution. Shapes as above.
template <class T>
void conv_backward_data(Context& ctx, GroupView<T> d_x, GroupView<const T> d_y,
                        ParamView<const T> filter, const ConvGeometry& geometry,
                        const Epilogue<T>& epilogue = {});

// d_filter (=|+=) the adjoint of conv_forward in the filter, for input x and output signal d_y.
template <class T>
void conv_backward_weights(Context& ctx, ParamView<Master<T>> d_filter, GroupView<const T> x,
                           GroupView<const T> d_y, const ConvGeometry& geometry, Write write);

// Scratch bytes that any of the three ops needs for `groups` groups of up to `batch` items.
template <class T>
Index conv_workspace(const Context& ctx, Index groups, Index batch, const ConvGeometry& geometry);

// The path on which an op is computed: that of the context where it serves the geometry, otherwise
// the one taken instead. On the CPU, which has no choice, `automatic`.
template <class T>
ConvPath conv_path_of(const Context& ctx, ConvOp op, const ConvGeometry& geometry);

// The same for people: "forward direct, backward data direct, backward weights im2col".
template <class T>
std::string describe_conv(const Context& ctx, const ConvGeometry& geometry);

}  // namespace ganmm::kernels
