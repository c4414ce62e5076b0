// interpolate, penalty_direction: formulas in kernels/penalty.h.
//
// interpolate is an element-wise walk. Every thread draws the weight of its item itself: 100
// integer instructions per 16 bytes hide behind three memory streams. Product, product and sum are
// rounded one by one, as on the CPU.
//
// penalty_direction is one launch. An item belongs to 1 to 32 neighbouring threads
// (kernels/cuda/sums.h). The mean over a group needs all its norms in one place, and there is no
// memory to collect them in: block 0 of a group computes all norms for the mean, while the other
// blocks compute each norm once more, for the direction. g is small (a batch of images: 150 KB per
// group) and stays in the L2 cache. When v is g, nothing may be written before all is read, and
// block 0 does both, with the same bits: correct, but on one multiprocessor per group.
// Bound by latency: two passes over an item with an exchange and a square root in between.
#include "kernels/backend.h"
#include "kernels/cuda/sums.h"

#include <algorithm>

namespace ganmm::kernels::cuda {

namespace {

constexpr double kNormFloor = 1e-12;   // below it a gradient has no direction
constexpr int kPenaltyThreads = 1024;  // at most: block 0 has a whole batch to go through

template <class T, unsigned W>
GANMM_KERNEL interpolate_kernel(ElementWalk walk, Rows<Pack<T, W>> x_hat,
                                Rows<const Pack<T, W>> real, Rows<const Pack<T, W>> fake,
                                RandomKey key) {
  key.step = step_of(key);  // one read of the counter per thread
  key.counter = nullptr;
  for_each_element(walk, [&](Index group, Index row, Index col) {
    const Pack<T, W> x = at(real, group, row, col);
    const Pack<T, W> z = at(fake, group, row, col);
    const Philox draw =
        philox(key, static_cast<std::uint32_t>(group), static_cast<std::uint32_t>(row / 4));
    // Not draw.word[row % 4]: an index known at run time would put the words into local memory.
    const auto which = static_cast<unsigned>(row) % 4;
    const std::uint32_t low = which % 2 == 0 ? draw.word[0] : draw.word[1];
    const std::uint32_t high = which % 2 == 0 ? draw.word[2] : draw.word[3];
    const float alpha = uniform01(which < 2 ? low : high);
    const float beta = 1.0f - alpha;
    Pack<T, W> out;
    for (unsigned i = 0; i < W; ++i) {
      out.value[i] = static_cast<T>(add_rn(mul_rn(alpha, static_cast<float>(x.value[i])),
                                           mul_rn(beta, static_cast<float>(z.value[i]))));
    }
    at(x_hat, group, row, col) = out;
  });
}

template <unsigned W, class T>
void interpolate_packs(Context& ctx, ElementExtent extent, const GroupView<T>& x_hat,
                       const GroupView<const T>& real, const GroupView<const T>& fake,
                       const RandomKey& key) {
  extent.cols /= W;
  const auto [walk, shape] = element_launch(ctx, extent);
  launch(ctx, "interpolate", shape, interpolate_kernel<T, W>, walk, packs<W>(x_hat), packs<W>(real),
         packs<W>(fake), key);
}

// out = scale * in, elements dealt out as in row_part. out may be in.
template <class T>
GANMM_DEVICE void scale_row(T* out, const T* in, Index features, int lane, int lanes, bool packed,
                            float scale) {
  using Chunk = Pack<T, kRowChunk>;
  const Index step = Index{kRowChunk} * lanes;
  Index i = Index{kRowChunk} * lane;
  if (packed) {
    for (; i < features; i += step) {
      Chunk chunk = *reinterpret_cast<const Chunk*>(in + i);
      for (T& value : chunk.value) value = static_cast<T>(scale * static_cast<float>(value));
      *reinterpret_cast<Chunk*>(out + i) = chunk;
    }
  } else {
    for (; i < features; i += step) {
      for (Index j = i; j < i + kRowChunk && j < features; ++j) {
        out[j] = static_cast<T>(scale * static_cast<float>(in[j]));
      }
    }
  }
}

struct PenaltyShape {
  Index batch, features;
  Index items_per_block;  // of the blocks after block 0
  int lanes;              // threads per item
  bool packed;
  bool in_place;
};

// No __restrict__: v may be g.
template <class T>
GANMM_KERNEL penalty_direction_kernel(PenaltyShape shape, Rows<T> v, float* penalty,
                                      Index penalty_stride, Rows<const T> g, double weight) {
  GANMM_SHARED(double, scratch, device::kWarpSize);
  const int lane = device::thread_index_x() % shape.lanes;
  const int slot = device::thread_index_x() / shape.lanes;
  const int slots = device::block_size_x() / shape.lanes;
  const Index group = device::block_index_y();
  const bool whole_group = device::block_index_x() == 0;
  const bool writes = shape.in_place || !whole_group;
  Index first = 0, last = shape.batch;
  if (!whole_group) {
    first = (device::block_index_x() - 1) * shape.items_per_block;
    last = first + shape.items_per_block < last ? first + shape.items_per_block : last;
  }

  double total = 0;
  for (Index start = first; start < last; start += slots) {
    const Index b = start + slot;
    const bool used = b < last;  // every thread goes on to the exchange of sums
    double square = 0;
    if (used) {
      square =
          row_part(row_at(g, group, b), shape.features, lane, shape.lanes, shape.packed, Square{});
    }
    const double norm = sqrt(lanes_sum(square, shape.lanes));
    if (used && lane == 0) total += (norm - 1.0) * (norm - 1.0);
    if (used && writes) {
      const bool flat = norm <= kNormFloor;
      const double scale = flat ? 0.0 : 2.0 * weight * (1.0 - 1.0 / norm);
      scale_row(row_at(v, group, b), row_at(g, group, b), shape.features, lane, shape.lanes,
                shape.packed, static_cast<float>(scale));
    }
  }
  if (!whole_group) return;
  total = block_sum(total, scratch);
  if (device::thread_index_x() == 0) {
    penalty[group * penalty_stride] = static_cast<float>(weight * total);
  }
}

}  // namespace

template <class T>
void interpolate(Context& ctx, GroupView<T> x_hat, GroupView<const T> real, GroupView<const T> fake,
                 const RandomKey& key) {
  const ElementExtent extent{x_hat.groups, x_hat.batch, x_hat.features()};
  if (extent.empty()) return;
  constexpr unsigned kPack = kWide<T>;
  if (packs_fit<kPack>(extent, x_hat) && packs_fit<kPack>(extent, real) &&
      packs_fit<kPack>(extent, fake)) {
    interpolate_packs<kPack>(ctx, extent, x_hat, real, fake, key);
  } else {
    interpolate_packs<1>(ctx, extent, x_hat, real, fake, key);
  }
}

template <class T>
void penalty_direction(Context& ctx, GroupView<T> v, ParamView<Master<T>> penalty,
                       GroupView<const T> g, double lambda) {
  if (g.groups == 0) return;
  PenaltyShape shape{};
  shape.batch = g.batch;
  shape.features = g.features();
  shape.lanes = threads_per_row(shape.features);
  const int threads = threads_for_rows(g.batch, shape.lanes, kPenaltyThreads);
  // A quarter of what a block has threads for, so that a batch is spread over more of the device.
  shape.items_per_block = std::max(1, threads / shape.lanes / 4);
  const ElementExtent extent{g.groups, g.batch, g.features()};
  shape.packed = packs_fit<kRowChunk>(extent, v) && packs_fit<kRowChunk>(extent, g);
  shape.in_place = v.data == g.data;
  const Index others =
      shape.in_place ? 0 : (g.batch + shape.items_per_block - 1) / shape.items_per_block;
  launch(ctx, "penalty_direction", {1 + others, g.groups, 1, threads}, penalty_direction_kernel<T>,
         shape, Rows<T>{v.data, v.group_stride, v.batch_stride}, penalty.data, penalty.group_stride,
         Rows<const T>{g.data, g.group_stride, g.batch_stride},
         g.batch > 0 ? lambda / static_cast<double>(g.batch) : 0.0);
}

#define GANMM_INSTANTIATE(T)                                                                       \
  template void interpolate<T>(Context&, GroupView<T>, GroupView<const T>, GroupView<const T>,     \
                               const RandomKey&);                                                  \
  template void penalty_direction<T>(Context&, GroupView<T>, ParamView<Master<T>>,                 \
                                     GroupView<const T>, double);
GANMM_INSTANTIATE(float)
GANMM_INSTANTIATE(BFloat16)

}  // namespace ganmm::kernels::cuda
