// Batch norm and layer norm, formulas in kernels/norm.h. Every op is a pass that sums over a set
// and a pass that uses the sums, both in one kernel: a block owns its sets, so nothing is exchanged
// between blocks. The second pass finds most of its data in the caches. Bound by memory bandwidth.
//
//   per channel (batch norm, parameter gradients): a block takes a chunk of neighbouring channels,
//     four per thread and row, threads side by side over the chunk and then over rows. Chunks are
//     up to 64 channels wide and get narrower, down to the 32 bytes that memory moves at once,
//     until there are two blocks per multiprocessor.
//   per item (layer norm): a block takes an item.
// Chunks and statistics batches, or items, are on grid.x, groups on grid.y.
//
// Sums are in double and in a fixed order: a thread's own rows, a tree in the warp, the warps one
// after another. The variance comes from one pass, shifted by the first element a of the set:
// sum (x-a)^2 is at most m+1 times the sum of squares about the mean, since a is one of the m
// elements, so that the subtraction costs log2(m+1) of 53 bits.
#include "kernels/backend.h"
#include "kernels/cuda/elements.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace ganmm::kernels::cuda {

namespace {

constexpr unsigned kPack = 4;  // channels of an access; more would take too many registers for sums
constexpr int kChunk = 64;     // channels of a block at most
constexpr int kThreads = 256;  // of a block at most
constexpr int kMaxWarps = kThreads / device::kWarpSize;

template <class T, unsigned W>
using PackRows = Rows<Pack<T, W>>;
template <class T, unsigned W>
using ConstPackRows = Rows<const Pack<T, W>>;

// ---- walking over a set -------------------------------------------------------------------------

// Places 0 .. count-1, place p = outer * inner + (inner index), every step-th of them for a thread.
struct Walk {
  Index count, inner, step;
  Index step_outer, step_inner;
};

Walk walk_of(Index count, Index inner, Index step) {
  inner = std::max<Index>(inner, 1);
  return {count, inner, step, step / inner, step % inner};
}

// load(k, outer, inner) for up to `AtOnce` places, then use(k, outer, inner) for the same places,
// so that many loads are on their way at once even where use() stores.
template <unsigned AtOnce, class Load, class Use>
GANMM_DEVICE void for_each_place(const Walk& walk, Index first, Load load, Use use) {
  Index outer = first / walk.inner;
  Index inner = first - outer * walk.inner;
  for (Index place = first; place < walk.count; place += AtOnce * walk.step) {
    Index outers[AtOnce], inners[AtOnce];
    for (unsigned k = 0; k < AtOnce; ++k) {
      outers[k] = outer;
      inners[k] = inner;
      if (place + k * walk.step < walk.count) load(k, outer, inner);
      outer += walk.step_outer;
      inner += walk.step_inner;
      if (inner >= walk.inner) {
        inner -= walk.inner;
        ++outer;
      }
    }
    for (unsigned k = 0; k < AtOnce; ++k) {
      if (place + k * walk.step < walk.count) use(k, outers[k], inners[k]);
    }
  }
}

template <class T, unsigned W>
GANMM_DEVICE float value(const Pack<T, W>& pack, unsigned i) {
  return static_cast<float>(pack.value[i]);
}

// ---- per channel --------------------------------------------------------------------------------

// Rows of one statistics batch (or of the whole batch), in chunks of lanes * W channels.
struct ChannelShape {
  Walk walk;            // outer: item, inner: position
  Index items;          // of a statistics batch
  Index channel_packs;  // of a row
  Index chunks;         // of a row
  int lanes;            // threads side by side, a power of two up to 32
};

// Where a thread works.
struct ChannelPlace {
  Index group, set, pack;  // pack: number of its channels in a row, in packs
  Index chunk_channel;     // first channel of the chunk
  Index first_row;
  bool active;  // else beyond the last channel
};

template <unsigned W>
GANMM_DEVICE ChannelPlace channel_place(const ChannelShape& shape) {
  const Index set = device::block_index_x() / shape.chunks;
  const Index first = (device::block_index_x() - set * shape.chunks) * shape.lanes;
  const int row = device::thread_index_x() / shape.lanes;
  const Index pack = first + (device::thread_index_x() - row * shape.lanes);
  return {device::block_index_y(), set, pack, first * W, row, pack < shape.channel_packs};
}

// Adds the sums of the threads that share channels. Afterwards channel_total(shared, ...) is the
// total of one of the S sums of channel c of the chunk. Ends with a barrier.
template <unsigned W, unsigned S>
GANMM_DEVICE void add_rows(double (&sum)[S][W], int lanes, double* shared) {
  for (int mask = lanes; mask < device::kWarpSize; mask *= 2) {
    for (unsigned s = 0; s < S; ++s) {
      for (unsigned i = 0; i < W; ++i) sum[s][i] += device::shuffle_xor(sum[s][i], mask);
    }
  }
  const Index warp = device::thread_index_x() / device::kWarpSize;
  const Index lane = device::thread_index_x() % device::kWarpSize;
  if (lane < lanes) {
    for (unsigned s = 0; s < S; ++s) {
      for (unsigned i = 0; i < W; ++i) {
        shared[(warp * S + s) * kChunk + lane * W + i] = sum[s][i];
      }
    }
  }
  device::sync_threads();
}

template <int S>
GANMM_DEVICE double channel_total(const double* shared, int s, int c) {
  double total = 0.0;
  for (int warp = 0; warp < device::block_size_x() / device::kWarpSize; ++warp) {
    total += shared[(warp * S + s) * kChunk + c];
  }
  return total;
}

// f(c, channel) for the channels of the chunk, spread over the block.
template <unsigned W, class F>
GANMM_DEVICE void for_each_channel(const ChannelShape& shape, const ChannelPlace& place, F f) {
  const Index left = shape.channel_packs * W - place.chunk_channel;
  for (int c = device::thread_index_x(); c < shape.lanes * static_cast<int>(W) && c < left;
       c += device::block_size_x()) {
    f(c, place.chunk_channel + c);
  }
}

template <class T, unsigned W>
GANMM_KERNEL batch_forward_kernel(ChannelShape shape, PackRows<T, W> z, Rows<float> mean,
                                  Rows<float> inv_sigma, ConstPackRows<T, W> x,
                                  Rows<const float> gamma, Rows<const float> beta, double epsilon) {
  constexpr unsigned kAtOnce = 4;
  GANMM_SHARED(double, sums, kMaxWarps * 2 * kChunk);
  GANMM_SHARED(float, factors, 3 * kChunk);
  const ChannelPlace place = channel_place<W>(shape);
  const Index first_item = place.set * shape.items;
  const auto col = [&](Index position) { return position * shape.channel_packs + place.pack; };

  double sum[2][W] = {};
  if (place.active) {
    const Pack<T, W> shift = at(x, place.group, first_item, place.pack);
    Pack<T, W> in[kAtOnce] = {};
    for_each_place<kAtOnce>(
        shape.walk, place.first_row,
        [&](unsigned k, Index item, Index position) {
          in[k] = at(x, place.group, first_item + item, col(position));
        },
        [&](unsigned k, Index, Index) {
          for (unsigned i = 0; i < W; ++i) {
            const double d =
                static_cast<double>(value(in[k], i)) - static_cast<double>(value(shift, i));
            sum[0][i] += d;
            sum[1][i] += d * d;
          }
        });
  }
  add_rows<W, 2>(sum, shape.lanes, sums);
  for_each_channel<W>(shape, place, [&](int c, Index channel) {
    const Pack<T, W>& pack = at(x, place.group, first_item, channel / W);
    const double shift = static_cast<double>(value(pack, static_cast<unsigned>(channel % W)));
    const double m = static_cast<double>(shape.walk.count);
    const double offset = channel_total<2>(sums, 0, c) / m;
    const double variance = channel_total<2>(sums, 1, c) / m - offset * offset;
    const float mu = static_cast<float>(shift + offset);
    const float inv =
        static_cast<float>(1.0 / std::sqrt((variance > 0.0 ? variance : 0.0) + epsilon));
    const Index statistic = place.set * shape.channel_packs * W + channel;
    at(mean, place.group, 0, statistic) = mu;
    at(inv_sigma, place.group, 0, statistic) = inv;
    factors[c] = mu;
    factors[kChunk + c] = at(gamma, place.group, 0, channel) * inv;
    factors[2 * kChunk + c] = at(beta, place.group, 0, channel);
  });
  device::sync_threads();
  if (!place.active) return;
  float low[W], scale[W], shift[W];
  for (unsigned i = 0; i < W; ++i) {
    const Index c = place.pack * W + i - place.chunk_channel;
    low[i] = factors[c];
    scale[i] = factors[kChunk + c];
    shift[i] = factors[2 * kChunk + c];
  }
  Pack<T, W> in[kAtOnce] = {};
  for_each_place<kAtOnce>(
      shape.walk, place.first_row,
      [&](unsigned k, Index item, Index position) {
        in[k] = at(x, place.group, first_item + item, col(position));
      },
      [&](unsigned k, Index item, Index position) {
        Pack<T, W> out;
        for (unsigned i = 0; i < W; ++i) {
          out.value[i] = static_cast<T>((value(in[k], i) - low[i]) * scale[i] + shift[i]);
        }
        at(z, place.group, first_item + item, col(position)) = out;
      });
}

// y = scale (v - m1 - xhat m2): backward pass and tangent of batch norm in one, since gamma is
// constant over a set.
template <class T, unsigned W>
GANMM_KERNEL batch_project_kernel(ChannelShape shape, PackRows<T, W> y, ConstPackRows<T, W> v,
                                  ConstPackRows<T, W> x, Rows<const float> mean,
                                  Rows<const float> inv_sigma, Rows<const float> gamma) {
  constexpr unsigned kAtOnce = 4;
  GANMM_SHARED(double, sums, kMaxWarps * 2 * kChunk);
  GANMM_SHARED(float, factors, 3 * kChunk);
  const ChannelPlace place = channel_place<W>(shape);
  const Index first_item = place.set * shape.items;
  const Index statistics = place.set * shape.channel_packs * W;
  const auto col = [&](Index position) { return position * shape.channel_packs + place.pack; };

  float mu[W] = {}, inv[W] = {};
  double sum[2][W] = {};
  Pack<T, W> q[kAtOnce] = {}, in[kAtOnce] = {};
  const auto load = [&](unsigned k, Index item, Index position) {
    q[k] = at(v, place.group, first_item + item, col(position));
    in[k] = at(x, place.group, first_item + item, col(position));
  };
  if (place.active) {
    for (unsigned i = 0; i < W; ++i) {
      mu[i] = at(mean, place.group, 0, statistics + place.pack * W + i);
      inv[i] = at(inv_sigma, place.group, 0, statistics + place.pack * W + i);
    }
    for_each_place<kAtOnce>(shape.walk, place.first_row, load, [&](unsigned k, Index, Index) {
      for (unsigned i = 0; i < W; ++i) {
        const float xhat = (value(in[k], i) - mu[i]) * inv[i];
        sum[0][i] += static_cast<double>(value(q[k], i));
        sum[1][i] += static_cast<double>(value(q[k], i) * xhat);
      }
    });
  }
  add_rows<W, 2>(sum, shape.lanes, sums);
  for_each_channel<W>(shape, place, [&](int c, Index channel) {
    const double m = static_cast<double>(shape.walk.count);
    factors[c] = static_cast<float>(channel_total<2>(sums, 0, c) / m);
    factors[kChunk + c] = static_cast<float>(channel_total<2>(sums, 1, c) / m);
    factors[2 * kChunk + c] =
        at(gamma, place.group, 0, channel) * at(inv_sigma, place.group, 0, statistics + channel);
  });
  device::sync_threads();
  if (!place.active) return;
  float m1[W], m2[W], scale[W];
  for (unsigned i = 0; i < W; ++i) {
    const Index c = place.pack * W + i - place.chunk_channel;
    m1[i] = factors[c];
    m2[i] = factors[kChunk + c];
    scale[i] = factors[2 * kChunk + c];
  }
  for_each_place<kAtOnce>(
      shape.walk, place.first_row, load, [&](unsigned k, Index item, Index position) {
        Pack<T, W> out;
        for (unsigned i = 0; i < W; ++i) {
          const float xhat = (value(in[k], i) - mu[i]) * inv[i];
          out.value[i] = static_cast<T>(scale[i] * (value(q[k], i) - m1[i] - xhat * m2[i]));
        }
        at(y, place.group, first_item + item, col(position)) = out;
      });
}

// Stores the two sums of every channel of the chunk.
template <unsigned W>
GANMM_DEVICE void store_params(const ChannelShape& shape, const ChannelPlace& place,
                               const double* sums, Rows<float> d_gamma, Rows<float> d_beta,
                               Write write) {
  for_each_channel<W>(shape, place, [&](int c, Index channel) {
    float& scale = at(d_gamma, place.group, 0, channel);
    float& shift = at(d_beta, place.group, 0, channel);
    const bool add = write == Write::accumulate;
    scale =
        static_cast<float>((add ? static_cast<double>(scale) : 0.0) + channel_total<2>(sums, 0, c));
    shift =
        static_cast<float>((add ? static_cast<double>(shift) : 0.0) + channel_total<2>(sums, 1, c));
  });
}

// Layer norm: one walk over the whole batch, the statistics are those of the row's item. Batch
// norm: one walk per statistics batch, whose statistics stay in registers.
template <class T, unsigned W, bool layer>
GANMM_KERNEL backward_params_kernel(ChannelShape shape, Index sets, Rows<float> d_gamma,
                                    Rows<float> d_beta, ConstPackRows<T, W> d_z,
                                    ConstPackRows<T, W> x, Rows<const float> mean,
                                    Rows<const float> inv_sigma, Write write) {
  constexpr unsigned kAtOnce = 4;
  GANMM_SHARED(double, sums, kMaxWarps * 2 * kChunk);
  const ChannelPlace place = channel_place<W>(shape);
  const auto col = [&](Index position) { return position * shape.channel_packs + place.pack; };
  double sum[2][W] = {};
  for (Index set = 0; place.active && set < sets; ++set) {
    const Index first_item = set * shape.items;
    float mu[W] = {}, inv[W] = {};
    if constexpr (!layer) {
      for (unsigned i = 0; i < W; ++i) {
        const Index statistic = (set * shape.channel_packs + place.pack) * W + i;
        mu[i] = at(mean, place.group, 0, statistic);
        inv[i] = at(inv_sigma, place.group, 0, statistic);
      }
    }
    Pack<T, W> q[kAtOnce] = {}, in[kAtOnce] = {};
    float item_mu[kAtOnce] = {}, item_inv[kAtOnce] = {};
    for_each_place<kAtOnce>(
        shape.walk, place.first_row,
        [&](unsigned k, Index item, Index position) {
          q[k] = at(d_z, place.group, first_item + item, col(position));
          in[k] = at(x, place.group, first_item + item, col(position));
          if constexpr (layer) {
            item_mu[k] = at(mean, place.group, 0, item);
            item_inv[k] = at(inv_sigma, place.group, 0, item);
          }
        },
        [&](unsigned k, Index, Index) {
          for (unsigned i = 0; i < W; ++i) {
            const float xhat =
                (value(in[k], i) - (layer ? item_mu[k] : mu[i])) * (layer ? item_inv[k] : inv[i]);
            sum[0][i] += static_cast<double>(value(q[k], i) * xhat);
            sum[1][i] += static_cast<double>(value(q[k], i));
          }
        });
  }
  add_rows<W, 2>(sum, shape.lanes, sums);
  store_params<W>(shape, place, sums, d_gamma, d_beta, write);
}

// ---- per item -----------------------------------------------------------------------------------

// The elements of an item; outer: position, inner: pack of channels.
struct ItemShape {
  Walk walk;
  double size;  // elements
};

// Adds S sums over the block; every thread gets the totals. `shared` has room for S per warp.
template <unsigned S>
GANMM_DEVICE void add_block(double (&sum)[S], double* shared) {
  for (int mask = device::kWarpSize / 2; mask > 0; mask /= 2) {
    for (unsigned s = 0; s < S; ++s) sum[s] += device::shuffle_xor(sum[s], mask);
  }
  const Index warps = device::block_size_x() / device::kWarpSize;
  if (warps == 1) return;
  if (device::thread_index_x() % device::kWarpSize == 0) {
    const Index warp = device::thread_index_x() / device::kWarpSize;
    for (unsigned s = 0; s < S; ++s) shared[warp * S + s] = sum[s];
  }
  device::sync_threads();
  for (unsigned s = 0; s < S; ++s) {
    sum[s] = 0.0;
    for (Index warp = 0; warp < warps; ++warp) sum[s] += shared[warp * S + s];
  }
}

// W neighbouring channels of a parameter, 16-byte aligned if W > 1.
template <unsigned W>
GANMM_DEVICE Pack<float, W> channels_of(const Rows<const float>& param, Index group, Index pack) {
  Pack<float, W> out;
  if constexpr (W == 1) {
    out.value[0] = at(param, group, 0, pack);
  } else {
    for (unsigned j = 0; j < W; j += 4) {
      const float* from = &at(param, group, 0, pack * W + j);
      const auto quad = *reinterpret_cast<const Pack<float, 4>*>(from);
      for (unsigned i = 0; i < 4; ++i) out.value[j + i] = quad.value[i];
    }
  }
  return out;
}

template <class T, unsigned W>
GANMM_KERNEL layer_forward_kernel(ItemShape shape, PackRows<T, W> z, Rows<float> mean,
                                  Rows<float> inv_sigma, ConstPackRows<T, W> x,
                                  Rows<const float> gamma, Rows<const float> beta, double epsilon) {
  constexpr unsigned kAtOnce = 4;
  GANMM_SHARED(double, sums, kMaxWarps * 2);
  const Index item = device::block_index_x(), group = device::block_index_y();
  Pack<T, W> in[kAtOnce] = {};
  const auto load = [&](unsigned k, Index outer, Index inner) {
    in[k] = at(x, group, item, outer * shape.walk.inner + inner);
  };
  const Pack<T, W>& first = at(x, group, item, 0);
  const double a = static_cast<double>(value(first, 0));
  double sum[2] = {};
  for_each_place<kAtOnce>(shape.walk, device::thread_index_x(), load,
                          [&](unsigned k, Index, Index) {
                            for (unsigned i = 0; i < W; ++i) {
                              const double d = static_cast<double>(value(in[k], i)) - a;
                              sum[0] += d;
                              sum[1] += d * d;
                            }
                          });
  // z may be x: nobody stores before everybody has read. One warp is in step without a barrier.
  add_block(sum, sums);
  const double offset = sum[0] / shape.size;
  const double variance = sum[1] / shape.size - offset * offset;
  const float mu = static_cast<float>(a + offset);
  const float inv =
      static_cast<float>(1.0 / std::sqrt((variance > 0.0 ? variance : 0.0) + epsilon));
  if (device::thread_index_x() == 0) {
    at(mean, group, 0, item) = mu;
    at(inv_sigma, group, 0, item) = inv;
  }
  for_each_place<kAtOnce>(
      shape.walk, device::thread_index_x(), load, [&](unsigned k, Index outer, Index inner) {
        const Pack<float, W> scale = channels_of<W>(gamma, group, inner);
        const Pack<float, W> shift = channels_of<W>(beta, group, inner);
        Pack<T, W> out;
        for (unsigned i = 0; i < W; ++i) {
          out.value[i] =
              static_cast<T>((value(in[k], i) - mu) * inv * scale.value[i] + shift.value[i]);
        }
        at(z, group, item, outer * shape.walk.inner + inner) = out;
      });
}

// mean(q) and mean(xhat q) of an item: with them P q = q - mean - xhat moment.
struct Projection {
  float mean, moment;
};

GANMM_DEVICE Projection projection(const double* sums, double size) {
  return {static_cast<float>(sums[0] / size), static_cast<float>(sums[1] / size)};
}
GANMM_DEVICE float project(const Projection& p, float q, float xhat) {
  return q - p.mean - xhat * p.moment;
}

// tangent: y = gamma P(v) / sigma, else y = P(gamma v) / sigma.
template <class T, unsigned W, bool tangent>
GANMM_KERNEL layer_project_kernel(ItemShape shape, PackRows<T, W> y, ConstPackRows<T, W> v,
                                  ConstPackRows<T, W> x, Rows<const float> mean,
                                  Rows<const float> inv_sigma, Rows<const float> gamma) {
  constexpr unsigned kAtOnce = 4;
  GANMM_SHARED(double, sums, kMaxWarps * 2);
  const Index item = device::block_index_x(), group = device::block_index_y();
  const float mu = at(mean, group, 0, item), inv = at(inv_sigma, group, 0, item);
  Pack<T, W> q[kAtOnce] = {}, in[kAtOnce] = {};
  const auto load = [&](unsigned k, Index outer, Index inner) {
    q[k] = at(v, group, item, outer * shape.walk.inner + inner);
    in[k] = at(x, group, item, outer * shape.walk.inner + inner);
  };
  double sum[2] = {};
  for_each_place<kAtOnce>(
      shape.walk, device::thread_index_x(), load, [&](unsigned k, Index, Index inner) {
        const Pack<float, W> factor =
            tangent ? Pack<float, W>{} : channels_of<W>(gamma, group, inner);
        for (unsigned i = 0; i < W; ++i) {
          const float xhat = (value(in[k], i) - mu) * inv;
          const float term = tangent ? value(q[k], i) : factor.value[i] * value(q[k], i);
          sum[0] += static_cast<double>(term);
          sum[1] += static_cast<double>(term * xhat);
        }
      });
  add_block(sum, sums);
  const Projection p = projection(sum, shape.size);
  for_each_place<kAtOnce>(
      shape.walk, device::thread_index_x(), load, [&](unsigned k, Index outer, Index inner) {
        const Pack<float, W> factor = channels_of<W>(gamma, group, inner);
        Pack<T, W> out;
        for (unsigned i = 0; i < W; ++i) {
          const float xhat = (value(in[k], i) - mu) * inv;
          const float g = factor.value[i], term = value(q[k], i);
          out.value[i] = static_cast<T>(tangent ? g * inv * project(p, term, xhat)
                                                : inv * project(p, g * term, xhat));
        }
        at(y, group, item, outer * shape.walk.inner + inner) = out;
      });
}

// r_x, and the projection of the tangent for penalty_params_kernel: [N][B]. Three passes over the
// item, since phi is a sum of projected terms. `seed` (r_z) may be null.
template <class T, unsigned W>
GANMM_KERNEL layer_penalty_kernel(ItemShape shape, PackRows<T, W> r_x, ConstPackRows<T, W> seed,
                                  ConstPackRows<T, W> u, ConstPackRows<T, W> t_x,
                                  ConstPackRows<T, W> x, Rows<const float> mean,
                                  Rows<const float> inv_sigma, Rows<const float> gamma,
                                  Rows<Projection> project_tangent) {
  constexpr unsigned kAtOnce = 2;
  GANMM_SHARED(double, sums, kMaxWarps * 6);
  GANMM_SHARED(double, phi_sums, kMaxWarps);
  const Index item = device::block_index_x(), group = device::block_index_y();
  const float mu = at(mean, group, 0, item), inv = at(inv_sigma, group, 0, item);
  Pack<T, W> signal[kAtOnce] = {}, tangent[kAtOnce] = {}, in[kAtOnce] = {}, seeds[kAtOnce] = {};
  const auto load = [&](unsigned k, Index outer, Index inner) {
    const Index at_pack = outer * shape.walk.inner + inner;
    signal[k] = at(u, group, item, at_pack);
    tangent[k] = at(t_x, group, item, at_pack);
    in[k] = at(x, group, item, at_pack);
    if (seed.data != nullptr) seeds[k] = at(seed, group, item, at_pack);
  };
  double sum[6] = {};
  for_each_place<kAtOnce>(shape.walk, device::thread_index_x(), load,
                          [&](unsigned k, Index, Index inner) {
                            const Pack<float, W> factor = channels_of<W>(gamma, group, inner);
                            for (unsigned i = 0; i < W; ++i) {
                              const float xhat = (value(in[k], i) - mu) * inv;
                              const float gamma_u = factor.value[i] * value(signal[k], i);
                              const float t = value(tangent[k], i);
                              sum[0] += static_cast<double>(gamma_u);
                              sum[1] += static_cast<double>(gamma_u * xhat);
                              sum[2] += static_cast<double>(t);
                              sum[3] += static_cast<double>(t * xhat);
                              if (seed.data == nullptr) continue;
                              const float gamma_r = factor.value[i] * value(seeds[k], i);
                              sum[4] += static_cast<double>(gamma_r);
                              sum[5] += static_cast<double>(gamma_r * xhat);
                            }
                          });
  add_block(sum, sums);
  const Projection p_u = projection(sum, shape.size);
  const Projection p_t = projection(sum + 2, shape.size);
  const Projection p_r = projection(sum + 4, shape.size);
  double phi[1] = {};
  for_each_place<kAtOnce>(
      shape.walk, device::thread_index_x(), load, [&](unsigned k, Index, Index inner) {
        const Pack<float, W> factor = channels_of<W>(gamma, group, inner);
        for (unsigned i = 0; i < W; ++i) {
          const float xhat = (value(in[k], i) - mu) * inv;
          const float gamma_u = factor.value[i] * value(signal[k], i);
          phi[0] += static_cast<double>(value(tangent[k], i) * project(p_u, gamma_u, xhat));
        }
      });
  add_block(phi, phi_sums);
  // The header's sums divided by m: two of them are the moments of the projections.
  const float by_xhat = inv * inv * static_cast<float>(phi[0] / shape.size);
  const float by_t = inv * inv * p_u.moment, by_u = inv * inv * p_t.moment;
  for_each_place<kAtOnce>(
      shape.walk, device::thread_index_x(), load, [&](unsigned k, Index outer, Index inner) {
        const Pack<float, W> factor = channels_of<W>(gamma, group, inner);
        Pack<T, W> out;
        for (unsigned i = 0; i < W; ++i) {
          const float xhat = (value(in[k], i) - mu) * inv;
          const float gamma_u = factor.value[i] * value(signal[k], i);
          float r = -(by_xhat * xhat + by_t * project(p_t, value(tangent[k], i), xhat) +
                      by_u * project(p_u, gamma_u, xhat));
          if (seed.data != nullptr) {
            r += inv * project(p_r, factor.value[i] * value(seeds[k], i), xhat);
          }
          out.value[i] = static_cast<T>(r);
        }
        at(r_x, group, item, outer * shape.walk.inner + inner) = out;
      });
  if (device::thread_index_x() == 0) at(project_tangent, group, 0, item) = p_t;
}

template <class T, unsigned W>
GANMM_KERNEL penalty_params_kernel(ChannelShape shape, Rows<float> d_gamma, Rows<float> d_beta,
                                   ConstPackRows<T, W> seed, ConstPackRows<T, W> u,
                                   ConstPackRows<T, W> t_x, ConstPackRows<T, W> x,
                                   Rows<const float> mean, Rows<const float> inv_sigma,
                                   Rows<const Projection> project_tangent) {
  constexpr unsigned kAtOnce = 2;
  GANMM_SHARED(double, sums, kMaxWarps * 2 * kChunk);
  const ChannelPlace place = channel_place<W>(shape);
  double sum[2][W] = {};
  if (place.active) {
    Pack<T, W> signal[kAtOnce] = {}, tangent[kAtOnce] = {}, in[kAtOnce] = {}, seeds[kAtOnce] = {};
    float mu[kAtOnce] = {}, inv[kAtOnce] = {};
    Projection p[kAtOnce] = {};
    for_each_place<kAtOnce>(
        shape.walk, place.first_row,
        [&](unsigned k, Index item, Index position) {
          const Index col = position * shape.channel_packs + place.pack;
          signal[k] = at(u, place.group, item, col);
          tangent[k] = at(t_x, place.group, item, col);
          in[k] = at(x, place.group, item, col);
          if (seed.data != nullptr) seeds[k] = at(seed, place.group, item, col);
          mu[k] = at(mean, place.group, 0, item);
          inv[k] = at(inv_sigma, place.group, 0, item);
          p[k] = at(project_tangent, place.group, 0, item);
        },
        [&](unsigned k, Index, Index) {
          for (unsigned i = 0; i < W; ++i) {
            const float xhat = (value(in[k], i) - mu[k]) * inv[k];
            const float projected = project(p[k], value(tangent[k], i), xhat);
            sum[0][i] += static_cast<double>(value(signal[k], i) * projected * inv[k]);
            if (seed.data == nullptr) continue;
            sum[0][i] += static_cast<double>(value(seeds[k], i) * xhat);
            sum[1][i] += static_cast<double>(value(seeds[k], i));
          }
        });
  }
  add_rows<W, 2>(sum, shape.lanes, sums);
  store_params<W>(shape, place, sums, d_gamma, d_beta, Write::accumulate);
}

// ---- launching ----------------------------------------------------------------------------------

template <class T>
Rows<T> rows(const ParamView<T>& view) {
  return {view.data, view.group_stride, 0};
}

int whole_warps(Index threads) {
  const Index warps = std::max<Index>(1, (threads + device::kWarpSize - 1) / device::kWarpSize);
  return static_cast<int>(std::min<Index>(warps * device::kWarpSize, kThreads));
}

// Sizes of a batch and what the kernels need to know of them.
struct Geometry {
  Index groups, batch, positions, channels;

  bool empty() const { return groups == 0 || batch == 0 || positions == 0 || channels == 0; }
};

template <class T>
Geometry geometry_of(const GroupView<T>& x) {
  const Index channels = x.item.back();
  return {x.groups, x.batch, channels > 0 ? x.features() / channels : 0, channels};
}

template <unsigned W, class... Views>
bool views_fit(const Geometry& g, const Views&... views) {
  return g.channels % W == 0 &&
         (packs_fit<W>(ElementExtent{g.groups, g.batch, g.positions * g.channels}, views) && ...);
}

// Whether channels_of can read it W at a time.
bool param_fits(const ParamView<const float>& param) {
  return reinterpret_cast<std::uintptr_t>(param.data) % sizeof(Pack<float, 4>) == 0 &&
         (param.groups <= 1 || param.group_stride % 4 == 0);
}

struct ChannelLaunch {
  ChannelShape shape;
  LaunchShape launch;
};

// Blocks for `sets` sets of `items` items each. `joined`: the rows of neighbouring items lie one
// after another in every view.
template <class T, unsigned W>
ChannelLaunch channel_launch(Context& ctx, const Geometry& g, Index sets, Index items,
                             bool joined) {
  const Index packs = g.channels / W;
  const int narrowest = std::max(1, static_cast<int>(32 / (sizeof(T) * W)));
  int lanes = 1;
  while (lanes < packs && lanes < device::kWarpSize && lanes * static_cast<int>(W) < kChunk) {
    lanes *= 2;
  }
  const auto chunks = [&] { return (packs + lanes - 1) / lanes; };
  while (lanes > narrowest && 4 * chunks() * sets * g.groups < resident_blocks(ctx)) lanes /= 2;
  const Index set_rows = items * g.positions;
  const int threads = whole_warps(set_rows * lanes);
  const Walk walk = walk_of(set_rows, joined ? set_rows : g.positions, threads / lanes);
  return {{walk, items, packs, chunks(), lanes}, {chunks() * sets, g.groups, 1, threads}};
}

struct ItemLaunch {
  ItemShape shape;
  LaunchShape launch;
};

template <unsigned W>
ItemLaunch item_launch(const Geometry& g) {
  const Index packs = g.channels / W;
  const int threads = whole_warps(g.positions * packs);
  return {
      {walk_of(g.positions * packs, packs, threads), static_cast<double>(g.positions * g.channels)},
      {g.batch, g.groups, 1, threads}};
}

template <unsigned W, class T>
void forward(Context& ctx, const Geometry& g, GroupView<T> z, ParamView<float> mean,
             ParamView<float> inv_sigma, GroupView<const T> x, ParamView<const float> gamma,
             ParamView<const float> beta, const NormSettings& settings) {
  if (settings.kind == NormKind::layer) {
    const auto [shape, blocks] = item_launch<W>(g);
    launch(ctx, "layer_forward", blocks, layer_forward_kernel<T, W>, shape, packs<W>(z), rows(mean),
           rows(inv_sigma), packs<W>(x), rows(gamma), rows(beta), settings.epsilon);
  } else {
    const bool joined = z.rows_contiguous() && x.rows_contiguous();
    const auto [shape, blocks] =
        channel_launch<T, W>(ctx, g, g.batch / settings.stat_batch, settings.stat_batch, joined);
    launch(ctx, "batch_forward", blocks, batch_forward_kernel<T, W>, shape, packs<W>(z), rows(mean),
           rows(inv_sigma), packs<W>(x), rows(gamma), rows(beta), settings.epsilon);
  }
}

template <unsigned W, bool tangent, class T>
void projected(Context& ctx, const Geometry& g, GroupView<T> y, GroupView<const T> v,
               GroupView<const T> x, ParamView<const float> mean, ParamView<const float> inv_sigma,
               ParamView<const float> gamma, const NormSettings& settings) {
  if (settings.kind == NormKind::layer) {
    const auto [shape, blocks] = item_launch<W>(g);
    launch(ctx, tangent ? "layer_tangent" : "layer_backward_data", blocks,
           layer_project_kernel<T, W, tangent>, shape, packs<W>(y), packs<W>(v), packs<W>(x),
           rows(mean), rows(inv_sigma), rows(gamma));
  } else {
    const bool joined = y.rows_contiguous() && v.rows_contiguous() && x.rows_contiguous();
    const auto [shape, blocks] =
        channel_launch<T, W>(ctx, g, g.batch / settings.stat_batch, settings.stat_batch, joined);
    launch(ctx, tangent ? "batch_tangent" : "batch_backward_data", blocks,
           batch_project_kernel<T, W>, shape, packs<W>(y), packs<W>(v), packs<W>(x), rows(mean),
           rows(inv_sigma), rows(gamma));
  }
}

template <bool tangent, class T>
void projected(Context& ctx, GroupView<T> y, GroupView<const T> v, GroupView<const T> x,
               ParamView<const float> mean, ParamView<const float> inv_sigma,
               ParamView<const float> gamma, const NormSettings& settings) {
  const Geometry g = geometry_of(x);
  if (g.empty()) return;
  if (views_fit<kPack>(g, y, v, x) && param_fits(gamma)) {
    projected<kPack, tangent>(ctx, g, y, v, x, mean, inv_sigma, gamma, settings);
  } else {
    projected<1, tangent>(ctx, g, y, v, x, mean, inv_sigma, gamma, settings);
  }
}

template <unsigned W, class T>
void backward_params(Context& ctx, const Geometry& g, ParamView<float> d_gamma,
                     ParamView<float> d_beta, GroupView<const T> d_z, GroupView<const T> x,
                     ParamView<const float> mean, ParamView<const float> inv_sigma,
                     const NormSettings& settings, Write write) {
  if (settings.kind == NormKind::layer) {
    const auto [shape, blocks] = channel_launch<T, W>(ctx, g, 1, g.batch, false);
    launch(ctx, "layer_backward_params", blocks, backward_params_kernel<T, W, true>, shape,
           Index{1}, rows(d_gamma), rows(d_beta), packs<W>(d_z), packs<W>(x), rows(mean),
           rows(inv_sigma), write);
  } else {
    const Index items = std::max<Index>(1, settings.stat_batch);  // an empty batch needs none
    const bool joined = d_z.rows_contiguous() && x.rows_contiguous();
    const auto [shape, blocks] = channel_launch<T, W>(ctx, g, 1, items, joined);
    launch(ctx, "batch_backward_params", blocks, backward_params_kernel<T, W, false>, shape,
           g.batch / items, rows(d_gamma), rows(d_beta), packs<W>(d_z), packs<W>(x), rows(mean),
           rows(inv_sigma), write);
  }
}

template <unsigned W, class T>
void penalty(Context& ctx, const Geometry& g, GroupView<T> r_x, ParamView<float> d_gamma,
             ParamView<float> d_beta, GroupView<const T> r_z, GroupView<const T> u,
             GroupView<const T> t_x, GroupView<const T> x, ParamView<const float> mean,
             ParamView<const float> inv_sigma, ParamView<const float> gamma) {
  Scratch::Frame frame(ctx.scratch());
  const Rows<Projection> project_tangent{frame.take<Projection>(g.groups * g.batch), g.batch, 0};
  const auto [item_shape, item_blocks] = item_launch<W>(g);
  launch(ctx, "layer_penalty", item_blocks, layer_penalty_kernel<T, W>, item_shape, packs<W>(r_x),
         packs<W>(r_z), packs<W>(u), packs<W>(t_x), packs<W>(x), rows(mean), rows(inv_sigma),
         rows(gamma), project_tangent);
  const auto [shape, blocks] = channel_launch<T, W>(ctx, g, 1, g.batch, false);
  launch(ctx, "penalty_params", blocks, penalty_params_kernel<T, W>, shape, rows(d_gamma),
         rows(d_beta), packs<W>(r_z), packs<W>(u), packs<W>(t_x), packs<W>(x), rows(mean),
         rows(inv_sigma),
         Rows<const Projection>{project_tangent.data, project_tangent.group_stride, 0});
}

}  // namespace

template <class T>
void norm_forward(Context& ctx, GroupView<T> z, ParamView<Master<T>> mean,
                  ParamView<Master<T>> inv_sigma, GroupView<const T> x,
                  ParamView<const Master<T>> gamma, ParamView<const Master<T>> beta,
                  const NormSettings& settings) {
  const Geometry g = geometry_of(x);
  if (g.empty()) return;
  if (views_fit<kPack>(g, z, x) && param_fits(gamma) && param_fits(beta)) {
    forward<kPack>(ctx, g, z, mean, inv_sigma, x, gamma, beta, settings);
  } else {
    forward<1>(ctx, g, z, mean, inv_sigma, x, gamma, beta, settings);
  }
}

template <class T>
void norm_backward_data(Context& ctx, GroupView<T> d_x, GroupView<const T> d_z,
                        GroupView<const T> x, ParamView<const Master<T>> mean,
                        ParamView<const Master<T>> inv_sigma, ParamView<const Master<T>> gamma,
                        const NormSettings& settings) {
  projected<false>(ctx, d_x, d_z, x, mean, inv_sigma, gamma, settings);
}

template <class T>
void norm_tangent(Context& ctx, GroupView<T> t_z, GroupView<const T> t_x, GroupView<const T> x,
                  ParamView<const Master<T>> mean, ParamView<const Master<T>> inv_sigma,
                  ParamView<const Master<T>> gamma, const NormSettings& settings) {
  projected<true>(ctx, t_z, t_x, x, mean, inv_sigma, gamma, settings);
}

template <class T>
void norm_backward_params(Context& ctx, ParamView<Master<T>> d_gamma, ParamView<Master<T>> d_beta,
                          GroupView<const T> d_z, GroupView<const T> x,
                          ParamView<const Master<T>> mean, ParamView<const Master<T>> inv_sigma,
                          const NormSettings& settings, Write write) {
  const Geometry g = geometry_of(x);
  if (g.groups == 0 || g.channels == 0) return;  // sums over nothing are zero and are stored
  if (views_fit<kPack>(g, d_z, x)) {
    backward_params<kPack>(ctx, g, d_gamma, d_beta, d_z, x, mean, inv_sigma, settings, write);
  } else {
    backward_params<1>(ctx, g, d_gamma, d_beta, d_z, x, mean, inv_sigma, settings, write);
  }
}

template <class T>
void norm_penalty(Context& ctx, GroupView<T> r_x, ParamView<Master<T>> d_gamma,
                  ParamView<Master<T>> d_beta, GroupView<const T> r_z, GroupView<const T> u,
                  GroupView<const T> t_x, GroupView<const T> x, ParamView<const Master<T>> mean,
                  ParamView<const Master<T>> inv_sigma, ParamView<const Master<T>> gamma,
                  const NormSettings&) {
  const Geometry g = geometry_of(x);
  if (g.empty()) return;
  const bool wide = views_fit<kPack>(g, r_x, u, t_x, x) && param_fits(gamma) &&
                    (r_z.data == nullptr || views_fit<kPack>(g, r_z));
  if (wide) {
    penalty<kPack>(ctx, g, r_x, d_gamma, d_beta, r_z, u, t_x, x, mean, inv_sigma, gamma);
  } else {
    penalty<1>(ctx, g, r_x, d_gamma, d_beta, r_z, u, t_x, x, mean, inv_sigma, gamma);
  }
}

Index norm_workspace(Index groups, Index batch) {
  return aligned_bytes<Projection>(checked_multiply(groups, batch));
}

#define GANMM_INSTANTIATE(T)                                                                       \
  template void norm_forward<T>(                                                                   \
      Context&, GroupView<T>, ParamView<Master<T>>, ParamView<Master<T>>, GroupView<const T>,      \
      ParamView<const Master<T>>, ParamView<const Master<T>>, const NormSettings&);                \
  template void norm_backward_data<T>(                                                             \
      Context&, GroupView<T>, GroupView<const T>, GroupView<const T>, ParamView<const Master<T>>,  \
      ParamView<const Master<T>>, ParamView<const Master<T>>, const NormSettings&);                \
  template void norm_backward_params<T>(Context&, ParamView<Master<T>>, ParamView<Master<T>>,      \
                                        GroupView<const T>, GroupView<const T>,                    \
                                        ParamView<const Master<T>>, ParamView<const Master<T>>,    \
                                        const NormSettings&, Write);                               \
  template void norm_tangent<T>(Context&, GroupView<T>, GroupView<const T>, GroupView<const T>,    \
                                ParamView<const Master<T>>, ParamView<const Master<T>>,            \
                                ParamView<const Master<T>>, const NormSettings&);                  \
  template void norm_penalty<T>(                                                                   \
      Context&, GroupView<T>, ParamView<Master<T>>, ParamView<Master<T>>, GroupView<const T>,      \
      GroupView<const T>, GroupView<const T>, GroupView<const T>, ParamView<const Master<T>>,      \
      ParamView<const Master<T>>, ParamView<const Master<T>>, const NormSettings&);
GANMM_INSTANTIATE(float)
GANMM_INSTANTIATE(BFloat16)

}  // namespace ganmm::kernels::cuda
