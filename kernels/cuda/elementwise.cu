// fill, copy, axpby, add_bias, bias_grad, crop, crop_backward: formulas in kernels/elementwise.h.
//
// All are bound by memory bandwidth. All but bias_grad walk over their output once, 16 bytes at a
// time where the memory allows it (kernels/cuda/elements.h). Sums and products are rounded one by
// one, as on the CPU.
//
// bias_grad is a single launch with a fixed order of additions. The largest inputs are the feature
// maps of a critic, [N][150][14*14][64]: 7.5 MB per group. A block takes one group and 8
// neighbouring channels (32 bytes, the unit in which the L2 cache delivers; 80 blocks for 10 groups
// of 64 channels), its threads stride over the rows with 4 loads of 16 bytes in flight each: 64 KB
// per multiprocessor, where the memory needs about 30 to run at full rate on 80 of them. The
// neighbours of a block run at the same time and find the rest of each row in the L2 cache.
#include "kernels/backend.h"
#include "kernels/cuda/sums.h"

#include <algorithm>

namespace ganmm::kernels::cuda {

namespace {

template <class T, unsigned W>
GANMM_KERNEL fill_kernel(ElementWalk walk, Rows<Pack<T, W>> y, T value) {
  Pack<T, W> v;
  for (T& element : v.value) element = value;
  for_each_element(walk, [&](Index group, Index row, Index col) { at(y, group, row, col) = v; });
}

template <class To, class From, unsigned W>
GANMM_KERNEL copy_kernel(ElementWalk walk, Rows<Pack<To, W>> y, Rows<const Pack<From, W>> x) {
  for_each_element(walk, [&](Index group, Index row, Index col) {
    const Pack<From, W> in = at(x, group, row, col);
    Pack<To, W> out;
    for (unsigned i = 0; i < W; ++i) {
      if constexpr (std::is_same_v<To, From>) {
        out.value[i] = in.value[i];
      } else {
        out.value[i] = static_cast<To>(in.value[i]);
      }
    }
    at(y, group, row, col) = out;
  });
}

template <class T, unsigned W>
GANMM_KERNEL axpby_kernel(ElementWalk walk, Rows<Pack<T, W>> y, float a, Rows<const Pack<T, W>> x,
                          float b, bool reads_y) {
  for_each_element(walk, [&](Index group, Index row, Index col) {
    const Pack<T, W> in = at(x, group, row, col);
    Pack<T, W> out;
    if (reads_y) {
      out = at(y, group, row, col);
      for (unsigned i = 0; i < W; ++i) {
        out.value[i] = static_cast<T>(add_rn(mul_rn(a, static_cast<float>(in.value[i])),
                                             mul_rn(b, static_cast<float>(out.value[i]))));
      }
    } else {
      for (unsigned i = 0; i < W; ++i) {
        out.value[i] = static_cast<T>(mul_rn(a, static_cast<float>(in.value[i])));
      }
    }
    at(y, group, row, col) = out;
  });
}

// Items that are walked by rows of their own. Counted over all groups, they take the place of
// groups in an ElementWalk.
template <class T>
struct Items {
  T* data;
  Index group_stride;
  Index item_stride;
  Index row_stride;
};

struct ItemPlace {
  Index group, b;
};

// One division per item: the compiler takes it out of the loop over an item's rows, as long as it
// does not depend on a condition there.
GANMM_DEVICE ItemPlace item_place(Index item, Index batch) {
  const Index group = item / batch;
  return {group, item - group * batch};
}

template <class T>
GANMM_DEVICE T& at(const Items<T>& view, const ItemPlace& item, Index row, Index col) {
  return view.data[item.group * view.group_stride + item.b * view.item_stride +
                   row * view.row_stride + col];
}

// `row` elements from one row of an item to the next.
template <unsigned W, class T>
Items<Pack<T, W>> item_packs(const GroupView<T>& view, Index row) {
  return {reinterpret_cast<Pack<T, W>*>(view.data), view.group_stride / W, view.batch_stride / W,
          row / W};
}
template <unsigned W, class T>
Items<const Pack<T, W>> item_packs(const GroupView<const T>& view, Index row) {
  return {reinterpret_cast<const Pack<T, W>*>(view.data), view.group_stride / W,
          view.batch_stride / W, row / W};
}

template <class T, unsigned W>
GANMM_KERNEL add_bias_kernel(ElementWalk walk, Index batch, Items<Pack<T, W>> x,
                             Rows<const Pack<float, W>> bias) {
  for_each_element(walk, [&](Index number, Index row, Index col) {
    const ItemPlace item = item_place(number, batch);
    const Pack<float, W> shift = at(bias, item.group, 0, col);
    Pack<T, W>& place = at(x, item, row, col);
    Pack<T, W> v = place;
    for (unsigned i = 0; i < W; ++i) {
      v.value[i] = static_cast<T>(static_cast<float>(v.value[i]) + shift.value[i]);
    }
    place = v;
  });
}

template <class T, unsigned W>
GANMM_KERNEL crop_kernel(ElementWalk walk, Index batch, Items<Pack<T, W>> y,
                         Items<const Pack<T, W>> x) {
  for_each_element(walk, [&](Index number, Index row, Index col) {
    const ItemPlace item = item_place(number, batch);
    at(y, item, row, col) = at(x, item, row, col);
  });
}

template <class T, unsigned W>
GANMM_KERNEL crop_backward_kernel(ElementWalk walk, Index batch, Items<Pack<T, W>> x,
                                  Items<const Pack<T, W>> y, Index kept_rows, Index kept_cols) {
  for_each_element(walk, [&](Index number, Index row, Index col) {
    const ItemPlace item = item_place(number, batch);
    Pack<T, W> v;
    for (T& element : v.value) element = static_cast<T>(0.0f);
    if (row < kept_rows && col < kept_cols) v = at(y, item, row, col);
    at(x, item, row, col) = v;
  });
}

// Of bias_grad.
constexpr int kBlockChannels = 8;  // 32 bytes of float
constexpr int kRowsInFlight = 4;   // per thread
constexpr int kPartials = kBlockChannels * device::kWarpSize;

// Rows of channels, in the order of their numbers b * positions + p.
struct ChannelRows {
  Index count;      // of one group
  Index positions;  // per item
  Index channels;
};

// `kChannels` neighbouring channels per thread: 4, or 1 where the channels are no multiple of 4.
// Neighbouring threads take the rest of a block's channels, the others its rows. The order of the
// additions depends on the count of rows and channels alone.
template <class T, unsigned kChannels>
GANMM_KERNEL bias_grad_kernel(Rows<float> d_bias, Rows<const T> d_y, ChannelRows rows, int lanes,
                              bool packed, bool accumulate) {
  GANMM_SHARED(float, partial, kPartials);
  using Chunk = Pack<T, kChannels>;
  const int thread = device::thread_index_x();
  const int lane = thread % lanes;
  const Index first_row = thread / lanes;
  const Index step = device::block_size_x() / lanes;
  const Index group = device::block_index_y();
  const Index block_channel = Index{device::block_index_x()} * lanes * kChannels;
  const Index channel = block_channel + lane * Index{kChannels};

  float sum[kChannels] = {};
  if (channel < rows.channels && first_row < rows.count) {
    const T* base = d_y.data + group * d_y.group_stride + channel;
    const auto load = [&](const T* p) {
      Chunk chunk;
      if (packed) return *reinterpret_cast<const Chunk*>(p);
      for (unsigned i = 0; i < kChannels; ++i) chunk.value[i] = p[i];
      return chunk;
    };
    const Index step_items = step / rows.positions;
    const Index step_positions = step - step_items * rows.positions;
    Index b = first_row / rows.positions;
    Index position = first_row - b * rows.positions;
    const auto next = [&] {
      const Chunk chunk = load(base + b * d_y.row_stride + position * rows.channels);
      b += step_items;
      position += step_positions;
      if (position >= rows.positions) {
        position -= rows.positions;
        ++b;
      }
      return chunk;
    };
    Index left = (rows.count - first_row + step - 1) / step;
    for (; left >= kRowsInFlight; left -= kRowsInFlight) {
      Chunk chunk[kRowsInFlight];
      for (Chunk& c : chunk) c = next();
      for (const Chunk& c : chunk) {
        for (unsigned i = 0; i < kChannels; ++i) sum[i] += static_cast<float>(c.value[i]);
      }
    }
    for (; left > 0; --left) {
      const Chunk c = next();
      for (unsigned i = 0; i < kChannels; ++i) sum[i] += static_cast<float>(c.value[i]);
    }
  }

  // Over the rows of a warp, then over the warps.
  for (int mask = device::kWarpSize / 2; mask >= lanes; mask /= 2) {
    for (unsigned i = 0; i < kChannels; ++i) sum[i] += device::shuffle_xor(sum[i], mask);
  }
  const int width = lanes * static_cast<int>(kChannels);
  const int warp = thread / device::kWarpSize;
  if (thread % device::kWarpSize < lanes) {
    for (unsigned i = 0; i < kChannels; ++i) {
      partial[warp * width + lane * static_cast<int>(kChannels) + static_cast<int>(i)] = sum[i];
    }
  }
  device::sync_threads();
  if (thread < width && block_channel + thread < rows.channels) {
    float total = 0;
    for (int w = 0; w < device::block_size_x() / device::kWarpSize; ++w) {
      total += partial[w * width + thread];
    }
    float& target = at(d_bias, group, 0, block_channel + thread);
    target = accumulate ? target + total : total;
  }
}

// The launch of an element-wise kernel, 16 bytes of the widest type at a time if `wide`, else one
// element at a time: run(launch, width as a constant).
template <unsigned W>
struct Width {
  static constexpr unsigned value = W;
};

template <unsigned W, class Run>
void walk_elements(Context& ctx, ElementExtent extent, bool wide, Run run) {
  if (wide) {
    extent.cols /= W;
    run(element_launch(ctx, extent), Width<W>{});
  } else {
    run(element_launch(ctx, extent), Width<1>{});
  }
}

// Whether items can be visited by rows of `row` elements, of which `used` are touched, W at a time.
template <unsigned W, class T>
bool item_packs_fit(const GroupView<T>& view, Index row, Index used) {
  return row % W == 0 && packs_fit<W>({view.groups, view.batch, used}, view);
}

template <class T>
void launch_bias_grad(Context& ctx, const ParamView<float>& d_bias, const GroupView<const T>& d_y,
                      const ChannelRows& rows, bool packed, Write write) {
  constexpr int kMaxThreads = 1024;
  const bool by_four = rows.channels % 4 == 0;
  const int per_thread = by_four ? 4 : 1;
  const Index chunks = rows.channels / per_thread;
  int lanes = 1;
  while (lanes < kBlockChannels / per_thread && lanes < chunks) lanes *= 2;
  int threads = 2 * device::kWarpSize;
  while (threads < kMaxThreads && Index{threads / lanes} * kRowsInFlight < rows.count) threads *= 2;
  const auto kernel = by_four ? bias_grad_kernel<T, 4> : bias_grad_kernel<T, 1>;
  launch(ctx, "bias_grad", {(chunks + lanes - 1) / lanes, d_y.groups, 1, threads}, kernel,
         Rows<float>{d_bias.data, d_bias.group_stride, 0},
         Rows<const T>{d_y.data, d_y.group_stride, d_y.batch_stride}, rows, lanes, packed,
         write == Write::accumulate);
}

}  // namespace

template <class T>
void fill(Context& ctx, GroupView<T> y, double value) {
  const ElementExtent extent = joined_extent(y);
  if (extent.empty()) return;
  walk_elements<kWide<T>>(ctx, extent, packs_fit<kWide<T>>(extent, y),
                          [&](const ElementLaunch& plan, auto width) {
                            constexpr unsigned W = decltype(width)::value;
                            launch(ctx, "fill", plan.shape, fill_kernel<T, W>, plan.walk,
                                   packs<W>(y), static_cast<T>(value));
                          });
}

template <class To, class From>
void copy(Context& ctx, GroupView<To> y, GroupView<const From> x) {
  constexpr unsigned kPack = std::min(kWide<To>, kWide<From>);
  const ElementExtent extent = joined_extent(y, x);
  if (extent.empty()) return;
  walk_elements<kPack>(ctx, extent, packs_fit<kPack>(extent, y) && packs_fit<kPack>(extent, x),
                       [&](const ElementLaunch& plan, auto width) {
                         constexpr unsigned W = decltype(width)::value;
                         launch(ctx, "copy", plan.shape, copy_kernel<To, From, W>, plan.walk,
                                packs<W>(y), packs<W>(x));
                       });
}

template <class T>
void axpby(Context& ctx, GroupView<T> y, double a, GroupView<const T> x, double b) {
  const ElementExtent extent = joined_extent(y, x);
  if (extent.empty()) return;
  walk_elements<kWide<T>>(
      ctx, extent, packs_fit<kWide<T>>(extent, y) && packs_fit<kWide<T>>(extent, x),
      [&](const ElementLaunch& plan, auto width) {
        constexpr unsigned W = decltype(width)::value;
        launch(ctx, "axpby", plan.shape, axpby_kernel<T, W>, plan.walk, packs<W>(y),
               static_cast<float>(a), packs<W>(x), static_cast<float>(b), b != 0.0);
      });
}

template <class T>
void add_bias(Context& ctx, GroupView<T> x, ParamView<const Master<T>> bias) {
  constexpr unsigned kPack = kWide<Master<T>>;
  const Index channels = bias.count();
  if (x.groups == 0 || x.batch == 0 || x.features() == 0) return;
  // Rows that touch are those of one item per group.
  if (x.rows_contiguous()) {
    x = {x.data, x.groups, 1, {x.batch * x.features()}, x.group_stride, x.batch * x.features()};
  }
  const ElementExtent extent{x.groups * x.batch, x.features() / channels, channels};
  const GroupView<const float> shift(bias.data, bias.groups, 1, {channels}, bias.group_stride,
                                     channels);
  const bool wide = item_packs_fit<kPack>(x, channels, channels) &&
                    packs_fit<kPack>({bias.groups, 1, channels}, shift);
  walk_elements<kPack>(ctx, extent, wide, [&](const ElementLaunch& plan, auto width) {
    constexpr unsigned W = decltype(width)::value;
    launch(ctx, "add_bias", plan.shape, add_bias_kernel<T, W>, plan.walk, x.batch,
           item_packs<W>(x, channels), packs<W>(shift));
  });
}

template <class T>
void bias_grad(Context& ctx, ParamView<Master<T>> d_bias, GroupView<const T> d_y, Write write) {
  const Index channels = d_bias.count();
  if (d_y.groups == 0 || channels == 0) return;
  const Index positions = d_y.features() / channels;
  const bool packed = packs_fit<4>({d_y.groups, d_y.batch, channels}, d_y);
  launch_bias_grad(ctx, d_bias, d_y, {d_y.batch * positions, positions, channels}, packed, write);
}

template <class T>
void crop(Context& ctx, GroupView<T> y, GroupView<const T> x) {
  constexpr unsigned kPack = kWide<T>;
  const Index kept = y.item[1] * y.item[2], full = x.item[1] * x.item[2];
  const ElementExtent extent{y.groups * y.batch, y.item[0], kept};
  if (extent.empty()) return;
  const bool wide = item_packs_fit<kPack>(y, kept, kept) && item_packs_fit<kPack>(x, full, kept);
  walk_elements<kPack>(ctx, extent, wide, [&](const ElementLaunch& plan, auto width) {
    constexpr unsigned W = decltype(width)::value;
    launch(ctx, "crop", plan.shape, crop_kernel<T, W>, plan.walk, y.batch, item_packs<W>(y, kept),
           item_packs<W>(x, full));
  });
}

template <class T>
void crop_backward(Context& ctx, GroupView<T> x, GroupView<const T> y) {
  constexpr unsigned kPack = kWide<T>;
  const Index kept = y.item[1] * y.item[2], full = x.item[1] * x.item[2];
  const ElementExtent extent{x.groups * x.batch, x.item[0], full};
  if (extent.empty()) return;
  const bool wide = item_packs_fit<kPack>(y, kept, kept) && item_packs_fit<kPack>(x, full, full);
  walk_elements<kPack>(ctx, extent, wide, [&](const ElementLaunch& plan, auto width) {
    constexpr unsigned W = decltype(width)::value;
    launch(ctx, "crop_backward", plan.shape, crop_backward_kernel<T, W>, plan.walk, x.batch,
           item_packs<W>(x, full), item_packs<W>(y, kept), y.item[0], kept / W);
  });
}

#define GANMM_INSTANTIATE(T)                                                                       \
  template void fill<T>(Context&, GroupView<T>, double);                                           \
  template void copy<T, T>(Context&, GroupView<T>, GroupView<const T>);                            \
  template void axpby<T>(Context&, GroupView<T>, double, GroupView<const T>, double);              \
  template void add_bias<T>(Context&, GroupView<T>, ParamView<const Master<T>>);                   \
  template void bias_grad<T>(Context&, ParamView<Master<T>>, GroupView<const T>, Write);           \
  template void crop<T>(Context&, GroupView<T>, GroupView<const T>);                               \
  template void crop_backward<T>(Context&, GroupView<T>, GroupView<const T>);
GANMM_INSTANTIATE(float)
GANMM_INSTANTIATE(BFloat16)
template void copy<float, BFloat16>(Context&, GroupView<float>, GroupView<const BFloat16>);
template void copy<BFloat16, float>(Context&, GroupView<BFloat16>, GroupView<const float>);

}  // namespace ganmm::kernels::cuda
