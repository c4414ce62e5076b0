// The implicit path of convolutions: checks, sizes and the choice of arithmetic; the kernel is in
// implicit_gemm.h. No scratch memory.
#include "kernels/cuda/conv_paths.h"
#include "kernels/cuda/implicit_gemm.h"

#include <bit>
#include <limits>

namespace ganmm::kernels::cuda {

namespace {

using namespace implicit;

// Offsets inside a group are ints in the kernels, with room for a step beyond the end.
constexpr Index kMostElements = std::numeric_limits<int>::max() / 2;
// Of a table in shared memory, 12 bytes each.
constexpr Index kMostTableEntries = 1024;

Index parities(const ConvGeometry& g) { return g.stride * g.stride; }

// Elements along the sum per step: 64 bytes.
template <class T>
constexpr Index kStep = std::is_same_v<T, float> ? Tf32::kStep : Bf16::kStep;
static_assert(Fp32::kStep == Tf32::kStep);

// Channels of a chunk: a power of two that divides them, so that a step is whole chunks.
template <class T>
Index chunk(Index channels) {
  return std::min(kStep<T>, channels & -channels);
}

// Chunks of taps in the sum of a row, padded to whole steps.
template <class T>
Index table_entries(Index taps, Index channels) {
  const Index per_step = kStep<T> / chunk<T>(channels);
  return (taps * (channels / chunk<T>(channels)) + per_step - 1) / per_step * per_step;
}

template <class T>
Dims dims_of(const ConvGeometry& g, Index groups, Index batch, Index summed_channels,
             Activation activation, Write write) {
  const auto narrow = [](Index value) { return static_cast<int>(value); };
  return {narrow(groups),
          narrow(batch),
          narrow(g.in_h),
          narrow(g.in_w),
          narrow(g.in_c),
          narrow(g.out_h),
          narrow(g.out_w),
          narrow(g.out_c),
          narrow(g.kernel),
          narrow(g.stride),
          narrow(g.pad_top),
          narrow(g.pad_left),
          std::countr_zero(static_cast<unsigned>(chunk<T>(summed_channels))),
          activation.kind,
          static_cast<float>(activation.slope),
          write == Write::accumulate};
}

// Whether a tensor can be copied a pack at a time. The stride between groups counts even for one
// group, so that it is computed like one of many.
template <class T>
bool in_packs(const T* data, Index group_stride, Index channels) {
  constexpr Index pack = kWide<T>;
  return reinterpret_cast<std::uintptr_t>(data) % 16 == 0 && group_stride % pack == 0 &&
         channels % pack == 0;
}

template <Map map, class T, class Out>
void run_as(Context& ctx, const char* name, const Extent& extent, const Dims& d,
            const Operands<T, Out>& operands) {
  if constexpr (std::is_same_v<T, BFloat16>) {
    run<Bf16, map, Out>(ctx, name, extent, d, operands);
  } else if (ctx.math() == MathMode::fp32) {
    run<Fp32, map, Out>(ctx, name, extent, d, operands);
  } else {
    run<Tf32, map, Out>(ctx, name, extent, d, operands);
  }
}

// Calls part(first group, groups, first item, items) for parts small enough for a launch.
template <class Part>
void for_each_part(const ConvGeometry& g, Index groups, Index batch, Index products_per_group,
                   const Part& part) {
  const Index most_groups = std::max<Index>(1, kMaxBlocksY / products_per_group);
  const Index most_items = kMostElements / std::max(g.input().count(), g.output().count());
  for (Index n = 0; n < groups; n += most_groups) {
    for (Index b = 0; b < batch; b += most_items) {
      part(n, std::min(most_groups, groups - n), b, std::min(most_items, batch - b));
    }
  }
}

template <class T>
ParamView<const Master<T>> bias_of(const Epilogue<T>& epilogue, Index first, Index count) {
  return epilogue.bias.data == nullptr ? epilogue.bias : epilogue.bias.slice(first, count);
}

}  // namespace

template <class T>
bool implicit_supports(MathMode, ConvOp op, const ConvGeometry& g) {
  if (g.kernel > kMaxKernel || g.filter().count() > kMostElements ||
      g.input().count() > kMostElements || g.output().count() > kMostElements) {
    return false;
  }
  switch (op) {
  case ConvOp::forward: return table_entries<T>(g.kernel * g.kernel, g.in_c) <= kMostTableEntries;
  case ConvOp::backward_data: {
    const Index taps = (g.kernel + g.stride - 1) / g.stride;  // of the class with most
    return parities(g) <= kMaxBlocksY &&
           table_entries<T>(taps * taps, g.out_c) <= kMostTableEntries;
  }
  case ConvOp::backward_weights: return true;
  }
  return false;
}

template <class T>
Index conv_workspace_implicit(const Context&, ConvOp, Index, Index, const ConvGeometry&) {
  return 0;
}

template <class T>
void conv_forward_implicit(Context& ctx, GroupView<T> y, GroupView<const T> x,
                           ParamView<const T> filter, const ConvGeometry& g,
                           const Epilogue<T>& epilogue) {
  const bool packs = in_packs(x.data, x.group_stride, g.in_c) &&
                     in_packs(filter.data, filter.group_stride, g.out_c) &&
                     in_packs(y.data, y.group_stride, g.out_c);
  for_each_part(g, y.groups, y.batch, 1, [&](Index n, Index groups, Index b, Index items) {
    const auto bias = bias_of(epilogue, n, groups);
    const Extent extent{items * g.out_h * g.out_w, g.out_c, groups,
                        table_entries<T>(g.kernel * g.kernel, g.in_c), packs};
    run_as<Map::forward, T, T>(
        ctx, "conv_forward_implicit", extent,
        dims_of<T>(g, groups, items, g.in_c, epilogue.activation, Write::overwrite),
        {x.row(n, b), filter.group(n), y.row(n, b), bias.data, x.group_stride, filter.group_stride,
         y.group_stride, bias.group_stride});
  });
}

template <class T>
void conv_backward_data_implicit(Context& ctx, GroupView<T> d_x, GroupView<const T> d_y,
                                 ParamView<const T> filter, const ConvGeometry& g,
                                 const Epilogue<T>& epilogue) {
  const bool packs = in_packs(d_y.data, d_y.group_stride, g.out_c) &&
                     in_packs(filter.data, filter.group_stride, g.out_c) &&
                     in_packs(d_x.data, d_x.group_stride, g.in_c);
  const Index taps = (g.kernel + g.stride - 1) / g.stride;
  const Index pixels_h = (g.in_h + g.stride - 1) / g.stride;
  const Index pixels_w = (g.in_w + g.stride - 1) / g.stride;
  const auto part = [&](Index n, Index groups, Index b, Index items) {
    const auto bias = bias_of(epilogue, n, groups);
    const Extent extent{items * pixels_h * pixels_w, g.in_c, groups * parities(g),
                        table_entries<T>(taps * taps, g.out_c), packs};
    run_as<Map::backward_data, T, T>(
        ctx, "conv_backward_data_implicit", extent,
        dims_of<T>(g, groups, items, g.out_c, epilogue.activation, Write::overwrite),
        {d_y.row(n, b), filter.group(n), d_x.row(n, b), bias.data, d_y.group_stride,
         filter.group_stride, d_x.group_stride, bias.group_stride});
  };
  for_each_part(g, d_x.groups, d_x.batch, parities(g), part);
}

template <class T>
void conv_backward_weights_implicit(Context& ctx, ParamView<Master<T>> d_filter,
                                    GroupView<const T> x, GroupView<const T> d_y,
                                    const ConvGeometry& g, Write write) {
  const bool packs = in_packs(x.data, x.group_stride, g.in_c) &&
                     in_packs(d_y.data, d_y.group_stride, g.out_c) &&
                     in_packs(d_filter.data, d_filter.group_stride, g.out_c);
  const auto part = [&](Index n, Index groups, Index b, Index items) {
    const Extent extent{g.kernel * g.kernel * g.in_c, g.out_c, groups, 0, packs};
    run_as<Map::backward_weights, T, Master<T>>(
        ctx, "conv_backward_weights_implicit", extent,
        dims_of<T>(g, groups, items, g.in_c, {}, b == 0 ? write : Write::accumulate),
        {x.row(n, b), d_y.row(n, b), d_filter.group(n), nullptr, x.group_stride, d_y.group_stride,
         d_filter.group_stride, 0});
  };
  for_each_part(g, d_filter.groups, d_y.batch, 1, part);
}

GANMM_INSTANTIATE_CONV_PATH(implicit, float)
GANMM_INSTANTIATE_CONV_PATH(implicit, BFloat16)

}  // namespace ganmm::kernels::cuda
