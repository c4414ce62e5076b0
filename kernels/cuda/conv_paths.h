// The interchangeable ways to convolve on CUDA; kernels/cuda/conv.cpp chooses among them.
//
// Every path has the three ops of kernels/conv.h under names that end in the path's, with the same
// contracts and for the same types (float and BFloat16), and beside them
//
//   NAME_supports<T>       whether the path computes an op for a geometry in a math mode; never
//                          depends on groups or batch, as memory is planned for the largest.
//   conv_workspace_NAME<T> scratch bytes of one op for `groups` groups of up to `batch` items: no
//                          fewer than for fewer groups or a smaller batch.
//
// The ops are called with at least one group and one item, after the checks of kernels/dispatch.
#pragma once

#include "kernels/conv.h"

namespace ganmm::kernels::cuda {

#define GANMM_CONV_PATH(name)                                                                      \
  template <class T>                                                                               \
  bool name##_supports(MathMode math, ConvOp op, const ConvGeometry& geometry);                    \
  template <class T>                                                                               \
  Index conv_workspace_##name(const Context& ctx, ConvOp op, Index groups, Index batch,            \
                              const ConvGeometry& geometry);                                       \
  template <class T>                                                                               \
  void conv_forward_##name(Context& ctx, GroupView<T> y, GroupView<const T> x,                     \
                           ParamView<const T> filter, const ConvGeometry& geometry,                \
                           const Epilogue<T>& epilogue);                                           \
  template <class T>                                                                               \
  void conv_backward_data_##name(Context& ctx, GroupView<T> d_x, GroupView<const T> d_y,           \
                                 ParamView<const T> filter, const ConvGeometry& geometry,          \
                                 const Epilogue<T>& epilogue);                                     \
  template <class T>                                                                               \
  void conv_backward_weights_##name(Context& ctx, ParamView<Master<T>> d_filter,                   \
                                    GroupView<const T> x, GroupView<const T> d_y,                  \
                                    const ConvGeometry& geometry, Write write);

GANMM_CONV_PATH(im2col)    // conv_im2col.cu: serves everything
GANMM_CONV_PATH(direct)    // conv_direct.cu
GANMM_CONV_PATH(implicit)  // conv_implicit.cu
GANMM_CONV_PATH(library)   // conv_library.cpp, or kernels/no_cudnn/
#undef GANMM_CONV_PATH

// Whether cuDNN had nothing that computes an op when memory was planned for it: known from then on,
// per context. Its workspace is that of im2col then.
template <class T>
bool library_refused(const Context& ctx, ConvOp op, const ConvGeometry& geometry);

// In the file of a path: all of the above for one element type.
#define GANMM_INSTANTIATE_CONV_PATH(name, T)                                                       \
  template bool name##_supports<T>(MathMode, ConvOp, const ConvGeometry&);                         \
  template Index conv_workspace_##name<T>(const Context&, ConvOp, Index, Index,                    \
                                          const ConvGeometry&);                                    \
  template void conv_forward_##name<T>(Context&, GroupView<T>, GroupView<const T>,                 \
                                       ParamView<const T>, const ConvGeometry&,                    \
                                       const Epilogue<T>&);                                        \
  template void conv_backward_data_##name<T>(Context&, GroupView<T>, GroupView<const T>,           \
                                             ParamView<const T>, const ConvGeometry&,              \
                                             const Epilogue<T>&);                                  \
  template void conv_backward_weights_##name<T>(Context&, ParamView<Master<T>>,                    \
                                                GroupView<const T>, GroupView<const T>,            \
                                                const ConvGeometry&, Write);

}  // namespace ganmm::kernels::cuda
