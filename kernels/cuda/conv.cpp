// Which path a convolution takes.
//
//   named path, serves the op      that path
//   named path, does not serve it  im2col, which serves everything
//   automatic                      the first of kPreferred that serves the op
//
// The choice depends on geometry, op, element type and math mode alone, so that the memory planned
// for the largest batch serves all and N groups take the path that one group takes. Only what the
// library refuses is known no earlier than when memory is planned.
#include "kernels/backend.h"
#include "kernels/cuda/conv_paths.h"

#include <algorithm>

namespace ganmm::kernels::cuda {

namespace {

// Direct comes first: with few channels a tensor core tile is mostly padding. The library is
// convolved group by group and has to be asked for.
constexpr ConvPath kPreferred[] = {ConvPath::direct, ConvPath::implicit};

template <class T>
bool supports(ConvPath path, MathMode math, ConvOp op, const ConvGeometry& geometry) {
  switch (path) {
  case ConvPath::automatic: return false;
  case ConvPath::im2col: return im2col_supports<T>(math, op, geometry);
  case ConvPath::direct: return direct_supports<T>(math, op, geometry);
  case ConvPath::implicit: return implicit_supports<T>(math, op, geometry);
  case ConvPath::library: return library_supports<T>(math, op, geometry);
  }
  return false;
}

template <class T>
Index workspace(ConvPath path, const Context& ctx, ConvOp op, Index groups, Index batch,
                const ConvGeometry& geometry) {
  switch (path) {
  case ConvPath::direct: return conv_workspace_direct<T>(ctx, op, groups, batch, geometry);
  case ConvPath::implicit: return conv_workspace_implicit<T>(ctx, op, groups, batch, geometry);
  case ConvPath::library: return conv_workspace_library<T>(ctx, op, groups, batch, geometry);
  case ConvPath::automatic:
  case ConvPath::im2col: break;
  }
  return conv_workspace_im2col<T>(ctx, op, groups, batch, geometry);
}

}  // namespace

template <class T>
ConvPath conv_path_of(const Context& ctx, ConvOp op, const ConvGeometry& geometry) {
  const ConvPath named = ctx.conv_path();
  if (named != ConvPath::automatic) {
    const bool refused = named == ConvPath::library && library_refused<T>(ctx, op, geometry);
    return supports<T>(named, ctx.math(), op, geometry) && !refused ? named : ConvPath::im2col;
  }
  for (const ConvPath path : kPreferred) {
    if (supports<T>(path, ctx.math(), op, geometry)) return path;
  }
  return ConvPath::im2col;
}

template <class T>
Index conv_workspace(const Context& ctx, Index groups, Index batch, const ConvGeometry& geometry) {
  Index bytes = 0;
  for (const ConvOp op : kConvOps) {
    const ConvPath path = cuda::conv_path_of<T>(ctx, op, geometry);
    bytes = std::max(bytes, workspace<T>(path, ctx, op, groups, batch, geometry));
  }
  return bytes;
}

template <class T>
void conv_forward(Context& ctx, GroupView<T> y, GroupView<const T> x, ParamView<const T> filter,
                  const ConvGeometry& geometry, const Epilogue<T>& epilogue) {
  switch (cuda::conv_path_of<T>(ctx, ConvOp::forward, geometry)) {
  case ConvPath::direct: return conv_forward_direct<T>(ctx, y, x, filter, geometry, epilogue);
  case ConvPath::implicit: return conv_forward_implicit<T>(ctx, y, x, filter, geometry, epilogue);
  case ConvPath::library: return conv_forward_library<T>(ctx, y, x, filter, geometry, epilogue);
  case ConvPath::automatic:
  case ConvPath::im2col: return conv_forward_im2col<T>(ctx, y, x, filter, geometry, epilogue);
  }
}

template <class T>
void conv_backward_data(Context& ctx, GroupView<T> d_x, GroupView<const T> d_y,
                        ParamView<const T> filter, const ConvGeometry& geometry,
                        const Epilogue<T>& epilogue) {
  switch (cuda::conv_path_of<T>(ctx, ConvOp::backward_data, geometry)) {
  case ConvPath::direct:
    return conv_backward_data_direct<T>(ctx, d_x, d_y, filter, geometry, epilogue);
  case ConvPath::implicit:
    return conv_backward_data_implicit<T>(ctx, d_x, d_y, filter, geometry, epilogue);
  case ConvPath::library:
    return conv_backward_data_library<T>(ctx, d_x, d_y, filter, geometry, epilogue);
  case ConvPath::automatic:
  case ConvPath::im2col:
    return conv_backward_data_im2col<T>(ctx, d_x, d_y, filter, geometry, epilogue);
  }
}

template <class T>
void conv_backward_weights(Context& ctx, ParamView<Master<T>> d_filter, GroupView<const T> x,
                           GroupView<const T> d_y, const ConvGeometry& geometry, Write write) {
  if (d_y.batch == 0) {
    for (Index g = 0; g < d_filter.groups && write == Write::overwrite; ++g) {
      ctx.clear(d_filter.group(g), static_cast<std::size_t>(d_filter.count()) * sizeof(Master<T>));
    }
    return;
  }
  switch (cuda::conv_path_of<T>(ctx, ConvOp::backward_weights, geometry)) {
  case ConvPath::direct:
    return conv_backward_weights_direct<T>(ctx, d_filter, x, d_y, geometry, write);
  case ConvPath::implicit:
    return conv_backward_weights_implicit<T>(ctx, d_filter, x, d_y, geometry, write);
  case ConvPath::library:
    return conv_backward_weights_library<T>(ctx, d_filter, x, d_y, geometry, write);
  case ConvPath::automatic:
  case ConvPath::im2col:
    return conv_backward_weights_im2col<T>(ctx, d_filter, x, d_y, geometry, write);
  }
}

#define GANMM_INSTANTIATE(T)                                                                       \
  template ConvPath conv_path_of<T>(const Context&, ConvOp, const ConvGeometry&);                  \
  template Index conv_workspace<T>(const Context&, Index, Index, const ConvGeometry&);             \
  template void conv_forward<T>(Context&, GroupView<T>, GroupView<const T>, ParamView<const T>,    \
                                const ConvGeometry&, const Epilogue<T>&);                          \
  template void conv_backward_data<T>(Context&, GroupView<T>, GroupView<const T>,                  \
                                      ParamView<const T>, const ConvGeometry&,                     \
                                      const Epilogue<T>&);                                         \
  template void conv_backward_weights<T>(Context&, ParamView<Master<T>>, GroupView<const T>,       \
                                         GroupView<const T>, const ConvGeometry&, Write);
GANMM_INSTANTIATE(float)
GANMM_INSTANTIATE(BFloat16)
#undef GANMM_INSTANTIATE

}  // namespace ganmm::kernels::cuda
