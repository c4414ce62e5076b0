// Convolution of images with one to four channels, kernel 3 or 5: the first layer of a critic, the
// last of a generator. A tensor core tile would be mostly padding there, and unfolded windows 25
// times the image. Here the image and the filter lie in shared memory as single precision numbers,
// the image with its padding, so that no tap needs a test.
//
//   forward           y[p, co]    = act(sum over t, ci of x[p + t, ci] filter[t, ci, co] + bias)
//   backward data     d_x[q, ci]  = act(sum over windows p that see q as tap t, and over co, of
//                                       d_y[p, co] filter[t, ci, co] + bias)
//   backward weights  d_filter    = sum over items and p of x[p + t, ci] d_y[p, co]
//
// Forward: a block per item and tile of 64 output channels; a thread has 4 positions x 4 channels
// and neighbouring threads neighbouring channels, so that stores are whole lines. Bound by the
// bandwidth of y: 28x28x1 to 14x14x64 has 25 multiplications per 4 bytes written.
//
// Backward data: a block per item. First the products of every position with every tap, a thread
// with 4 positions x one row of taps, over the channels in chunks; then every pixel gathers its
// taps. Bound by the bandwidth of d_y.
//
// Backward weights: a block per slice of the batch, channel ci and tile of 64 output channels; a
// thread keeps all taps of 4 channels in registers and walks over positions. The threads' sums are
// added in their order, then the slices' in a second kernel. The slices depend on the batch alone:
// N groups give the bits of one. Bound by multiplications and shared memory reads alike.
//
// Sums are single precision in all math modes; every sum has a fixed order.
#include "kernels/backend.h"
#include "kernels/cuda/activation_phi.h"
#include "kernels/cuda/conv_paths.h"
#include "kernels/cuda/conv_taps.h"
#include "kernels/cuda/elements.h"

#include <algorithm>

namespace ganmm::kernels::cuda {

namespace {

constexpr Index kMostChannels = 4;
constexpr Index kTile = 64;    // output channels of a block, 4 per thread
constexpr int kPositions = 4;  // of a thread, forward and backward data
// Threads at most. Forward and backward weights keep a filter's 25 taps of 4 channels in registers,
// some 160 in all: three blocks of 128 fit a multiprocessor.
constexpr Index kFilterThreads = 128;
constexpr Index kDataThreads = 256;
// What every device since Turing gives to one block.
constexpr Index kSharedBudget = Index{64} << 10;

using Quad = Pack<float, 4>;

Index divide_up(Index n, Index d) { return (n + d - 1) / d; }
Index positions(const ConvGeometry& g) { return g.out_h * g.out_w; }
Index window(const ConvGeometry& g) { return g.kernel * g.kernel * g.in_c; }
int small(Index value) { return static_cast<int>(value); }

// The image in shared memory: as many padded rows and columns as the windows cover, `channels`
// values per pixel.
struct Padded {
  int rows, row;  // rows and elements of a row
  int top, left;  // where the image begins, left in elements
  int in_h, in_row;
  int channels, stride, out_w, positions;
  Divider by_row, by_out_w;

  Padded(const ConvGeometry& g, Index of_channels)
      : rows(small((g.out_h - 1) * g.stride + g.kernel)),
        row(small(((g.out_w - 1) * g.stride + g.kernel) * of_channels)), top(small(g.pad_top)),
        left(small(g.pad_left * of_channels)), in_h(small(g.in_h)),
        in_row(small(g.in_w * of_channels)), channels(small(of_channels)), stride(small(g.stride)),
        out_w(small(g.out_w)), positions(small(g.out_h * g.out_w)), by_row(Index{row}),
        by_out_w(g.out_w) {}

  Index elements() const { return Index{rows} * row; }
};

// The image from memory, every `step`-th value of it.
template <class T>
GANMM_DEVICE void load_image(float* image, const T* x, int step, const Padded& shape) {
  for (int e = device::thread_index_x(); e < shape.rows * shape.row; e += device::block_size_x()) {
    const int line = e / shape.by_row;
    const int h = line - shape.top;
    const int col = e - line * shape.row - shape.left;
    const bool inside = h >= 0 && h < shape.in_h && col >= 0 && col < shape.in_row;
    image[e] = inside ? static_cast<float>(x[Index{h * shape.in_row + col} * step]) : 0.0f;
  }
}

// Where the window of every position begins in the padded image.
GANMM_DEVICE void make_origins(int* origin, const Padded& shape) {
  for (int p = device::thread_index_x(); p < shape.positions; p += device::block_size_x()) {
    const int ho = p / shape.by_out_w;
    const int wo = p - ho * shape.out_w;
    origin[p] = ho * shape.stride * shape.row + wo * shape.stride * shape.channels;
  }
}

// Four channels from `c` on of a pixel with `channels`; zeros beyond the last.
template <class T, bool kPacks>
GANMM_DEVICE Quad load_channels(const T* pixel, int c, int channels) {
  Quad result;
  if constexpr (kPacks) {
    if (c < channels) {
      const Pack<T, 4> pack = *reinterpret_cast<const Pack<T, 4>*>(pixel + c);
      for (int i = 0; i < 4; ++i) result.value[i] = static_cast<float>(pack.value[i]);
    } else {
      for (int i = 0; i < 4; ++i) result.value[i] = 0.0f;
    }
  } else {
    for (int i = 0; i < 4; ++i) {
      result.value[i] = c + i < channels ? static_cast<float>(pixel[c + i]) : 0.0f;
    }
  }
  return result;
}

template <class T, bool kPacks>
GANMM_DEVICE void store_channels(T* pixel, int c, int channels, const Quad& values) {
  if constexpr (kPacks) {
    if (c >= channels) return;
    Pack<T, 4> pack;
    for (int i = 0; i < 4; ++i) pack.value[i] = static_cast<T>(values.value[i]);
    *reinterpret_cast<Pack<T, 4>*>(pixel + c) = pack;
  } else {
    for (int i = 0; i < 4; ++i) {
      if (c + i < channels) pixel[c + i] = static_cast<T>(values.value[i]);
    }
  }
}

// forward

struct ForwardShape {
  Padded image;
  int batch, out_c, tile, slots;  // a slot: the threads of kPositions positions, tile / 4 of them
  Divider by_quads, by_tile;
  ActivationKind kind;
  float slope;
};

// kChannels: of the image, or 0 where the geometry says.
template <class T, int kKernel, int kChannels, bool kPacks>
GANMM_KERNEL direct_forward_kernel(Rows<T> y, Rows<const T> x, Rows<const T> filter,
                                   Rows<const float> bias, ForwardShape shape) {
  const int channels = kChannels > 0 ? kChannels : shape.image.channels;
  const int run = kKernel * channels;
  const int taps = kKernel * run;
  const int tile = shape.tile;
  float* const weights = device::dynamic_shared<float>();  // [tap][tile]
  float* const image = weights + taps * tile;
  int* const origin = reinterpret_cast<int*>(image + shape.image.rows * shape.image.row);
  const int thread = device::thread_index_x();
  const int slot = thread / shape.by_quads;
  const int channel = (thread - slot * (tile / 4)) * 4;
  const Index group = device::block_index_y();
  const int first_channel = device::block_index_z() * tile;

  const T* const own_filter = &at(filter, group, 0, 0);
  for (int e = thread; e < taps * tile; e += device::block_size_x()) {
    const int tap = e / shape.by_tile;
    const int c = first_channel + e - tap * tile;
    weights[e] =
        c < shape.out_c ? static_cast<float>(own_filter[Index{tap} * shape.out_c + c]) : 0.0f;
  }
  make_origins(origin, shape.image);
  Quad shift{};
  if (bias.data != nullptr) {
    shift =
        load_channels<float, false>(&at(bias, group, 0, 0), first_channel + channel, shape.out_c);
  }

  for (int item = device::block_index_x(); item < shape.batch; item += device::grid_size_x()) {
    device::sync_threads();  // the image before is no longer read
    load_image(image, &at(x, group, item, 0), 1, shape.image);
    device::sync_threads();
    T* const out = &at(y, group, item, 0);
    for (int p = slot * kPositions; p < shape.image.positions; p += shape.slots * kPositions) {
      int begin[kPositions];
      for (int i = 0; i < kPositions; ++i) {
        begin[i] = origin[p + i < shape.image.positions ? p + i : shape.image.positions - 1];
      }
      float sum[kPositions][4] = {};
      const float* tap = weights + channel;
      GANMM_UNROLL
      for (int kh = 0; kh < kKernel; ++kh) {
        GANMM_UNROLL
        for (int j = 0; j < (kChannels > 0 ? kKernel * kChannels : run); ++j) {
          const Quad w = *reinterpret_cast<const Quad*>(tap);
          tap += tile;
          GANMM_UNROLL
          for (int i = 0; i < kPositions; ++i) {
            const float value = image[begin[i] + kh * shape.image.row + j];
            GANMM_UNROLL
            for (int c = 0; c < 4; ++c) sum[i][c] += value * w.value[c];
          }
        }
      }
      GANMM_UNROLL
      for (int i = 0; i < kPositions; ++i) {
        if (p + i >= shape.image.positions) break;
        Quad result;
        for (int c = 0; c < 4; ++c) {
          float z = sum[i][c];
          if (bias.data != nullptr) z += shift.value[c];
          result.value[c] = phi(shape.kind, shape.slope, z);
        }
        store_channels<T, kPacks>(out + Index{p + i} * shape.out_c, first_channel + channel,
                                  shape.out_c, result);
      }
    }
  }
}

Index tile_of(const ConvGeometry& g) { return std::min(kTile, divide_up(g.out_c, 4) * 4); }

Index forward_shared(const ConvGeometry& g) {
  return 4 * (window(g) * tile_of(g) + Padded(g, g.in_c).elements() + positions(g));
}

// backward data

struct DataShape {
  PixelWindows windows;
  int batch, in_h, in_w, in_c, out_c, positions;
  int strips;  // of kPositions positions each, `strips` apart
  int chunk;   // output channels in shared memory at a time
  Divider by_strips, by_quads, by_chunk, by_in_w;
  ActivationKind kind;
  float slope;
};

template <class T, int kKernel, bool kPacks>
GANMM_KERNEL direct_backward_data_kernel(Rows<T> d_x, Rows<const T> d_y, Rows<const T> filter,
                                         Rows<const float> bias, DataShape shape) {
  constexpr int kTaps = kKernel * kKernel;
  constexpr unsigned kRow = static_cast<unsigned>(kKernel);
  const int places = shape.strips * kPositions;  // positions, rounded up
  const int pitch = shape.chunk + 4;             // neighbouring positions in neighbouring banks
  float* const signal = device::dynamic_shared<float>();  // [place][pitch]
  float* const weights = signal + places * pitch;         // [tap][chunk]
  float* const product = weights + kTaps * shape.chunk;   // [tap][place]
  const int quads = shape.chunk / 4;
  const int thread = device::thread_index_x();
  const int threads = device::block_size_x();
  const Index group = device::block_index_y();
  const T* const own_filter = &at(filter, group, 0, 0);

  for (int item = device::block_index_x(); item < shape.batch; item += device::grid_size_x()) {
    const T* const in = &at(d_y, group, item, 0);
    for (int ci = 0; ci < shape.in_c; ++ci) {
      for (int first = 0; first < shape.out_c; first += shape.chunk) {
        device::sync_threads();  // products and signals before are no longer read
        for (int e = thread; e < places * quads; e += threads) {
          const int p = e / shape.by_quads;
          const int c = (e - p * quads) * 4;
          Quad value{};
          if (p < shape.positions) {
            value = load_channels<T, kPacks>(in + Index{p} * shape.out_c, first + c, shape.out_c);
          }
          *reinterpret_cast<Quad*>(signal + p * pitch + c) = value;
        }
        for (int e = thread; e < kTaps * shape.chunk; e += threads) {
          const int tap = e / shape.by_chunk;
          const int c = first + e - tap * shape.chunk;
          weights[e] =
              c < shape.out_c
                  ? static_cast<float>(own_filter[Index{tap * shape.in_c + ci} * shape.out_c + c])
                  : 0.0f;
        }
        device::sync_threads();
        for (int unit = thread; unit < kKernel * shape.strips; unit += threads) {
          const int kh = unit / shape.by_strips;
          const int place = unit - kh * shape.strips;
          float sum[kPositions][kRow] = {};
          for (int c = 0; c < shape.chunk; c += 4) {
            Quad w[kRow];
            GANMM_UNROLL
            for (int kw = 0; kw < kKernel; ++kw) {
              w[kw] =
                  *reinterpret_cast<const Quad*>(weights + (kh * kKernel + kw) * shape.chunk + c);
            }
            GANMM_UNROLL
            for (int i = 0; i < kPositions; ++i) {
              const Quad value =
                  *reinterpret_cast<const Quad*>(signal + (place + i * shape.strips) * pitch + c);
              GANMM_UNROLL
              for (int kw = 0; kw < kKernel; ++kw) {
                GANMM_UNROLL
                for (int k = 0; k < 4; ++k) sum[i][kw] += value.value[k] * w[kw].value[k];
              }
            }
          }
          GANMM_UNROLL
          for (int kw = 0; kw < kKernel; ++kw) {
            GANMM_UNROLL
            for (int i = 0; i < kPositions; ++i) {
              float& target = product[(kh * kKernel + kw) * places + place + i * shape.strips];
              target = first == 0 ? sum[i][kw] : target + sum[i][kw];
            }
          }
        }
      }
      device::sync_threads();
      T* const out = &at(d_x, group, item, 0);
      for (int pixel = thread; pixel < shape.in_h * shape.in_w; pixel += threads) {
        const int h = pixel / shape.by_in_w;
        float z = 0.0f;
        for_each_window(
            shape.windows, h, pixel - h * shape.in_w, [&](int ho, int wo, int kh, int kw) {
              z += product[(kh * kKernel + kw) * places + ho * shape.windows.out_w + wo];
            });
        if (bias.data != nullptr) z += at(bias, group, 0, ci);
        out[Index{pixel} * shape.in_c + ci] = static_cast<T>(phi(shape.kind, shape.slope, z));
      }
    }
  }
}

Index data_shared(const ConvGeometry& g, Index chunk) {
  const Index places = divide_up(positions(g), kPositions) * kPositions;
  const Index taps = g.kernel * g.kernel;
  return 4 * (places * (chunk + 4) + taps * chunk + taps * places);
}

// The most channels at a time that fit, 0 if none do.
Index data_chunk(const ConvGeometry& g) {
  for (const Index chunk : {Index{32}, Index{16}, Index{8}}) {
    if (data_shared(g, chunk) <= kSharedBudget && (chunk == 8 || chunk < 2 * g.out_c)) return chunk;
  }
  return 0;
}

// backward weights

struct WeightShape {
  Padded image;  // of one channel
  int batch, slice, in_c, out_c, tile, slots;
  Divider by_quads, by_tile, by_tiles;
};

// sums[slice][group][tap][ci][co]
template <class T, int kKernel, bool kPacks>
GANMM_KERNEL direct_backward_weights_kernel(Rows<float> sums, Rows<const T> x, Rows<const T> d_y,
                                            WeightShape shape) {
  constexpr int kTaps = kKernel * kKernel;
  float* const image = device::dynamic_shared<float>();
  int* const origin = reinterpret_cast<int*>(image + shape.image.rows * shape.image.row);
  float* const threads_sums = device::dynamic_shared<float>();  // [slot][kw][tile], after the image
  const int thread = device::thread_index_x();
  const int slot = thread / shape.by_quads;
  const int channel = (thread - slot * (shape.tile / 4)) * 4;
  const Index group = device::block_index_y();
  const int ci = device::block_index_z() / shape.by_tiles;
  const int tiles = device::grid_size_z() / shape.in_c;
  const int first_channel = (device::block_index_z() - ci * tiles) * shape.tile;
  const int first = device::block_index_x() * shape.slice;
  const int last = first + shape.slice < shape.batch ? first + shape.slice : shape.batch;
  const int positions = shape.image.positions;

  make_origins(origin, shape.image);
  float sum[static_cast<unsigned>(kTaps)][4] = {};
  for (int item = first; item < last; ++item) {
    device::sync_threads();
    load_image(image, &at(x, group, item, ci), shape.in_c, shape.image);
    device::sync_threads();
    const T* const signal = &at(d_y, group, item, 0);
    Quad next{};
    if (slot < positions) {
      next = load_channels<T, kPacks>(signal + Index{slot} * shape.out_c, first_channel + channel,
                                      shape.out_c);
    }
    for (int p = slot; p < positions; p += shape.slots) {
      const Quad value = next;
      if (p + shape.slots < positions) {  // on its way while this position is multiplied
        next = load_channels<T, kPacks>(signal + Index{p + shape.slots} * shape.out_c,
                                        first_channel + channel, shape.out_c);
      }
      const float* const begin = image + origin[p];
      GANMM_UNROLL
      for (int kh = 0; kh < kKernel; ++kh) {
        GANMM_UNROLL
        for (int kw = 0; kw < kKernel; ++kw) {
          const float pixel = begin[kh * shape.image.row + kw];
          GANMM_UNROLL
          for (int c = 0; c < 4; ++c) sum[kh * kKernel + kw][c] += pixel * value.value[c];
        }
      }
    }
  }

  float* const out = &at(sums, group, device::block_index_x(), 0);
  GANMM_UNROLL
  for (int kh = 0; kh < kKernel; ++kh) {
    device::sync_threads();
    GANMM_UNROLL
    for (int kw = 0; kw < kKernel; ++kw) {
      Quad own;
      for (int c = 0; c < 4; ++c) own.value[c] = sum[kh * kKernel + kw][c];
      *reinterpret_cast<Quad*>(threads_sums + (slot * kKernel + kw) * shape.tile + channel) = own;
    }
    device::sync_threads();
    for (int e = thread; e < kKernel * shape.tile; e += device::block_size_x()) {
      const int kw = e / shape.by_tile;
      const int c = e - kw * shape.tile;
      float total = 0.0f;
      for (int s = 0; s < shape.slots; ++s) total += threads_sums[s * kKernel * shape.tile + e];
      if (first_channel + c < shape.out_c) {
        out[Index{(kh * kKernel + kw) * shape.in_c + ci} * shape.out_c + first_channel + c] = total;
      }
    }
  }
}

// d_filter (=|+=) the sum over slices, in their order.
GANMM_KERNEL add_slices_kernel(ElementWalk walk, Rows<float> d_filter, Rows<const float> sums,
                               int slices, bool accumulate) {
  for_each_element(walk, [&](Index group, Index, Index element) {
    float total = 0.0f;
    for (int s = 0; s < slices; ++s) total += at(sums, group, s, element);
    float& target = at(d_filter, group, 0, element);
    target = accumulate ? target + total : total;
  });
}

Index weight_slots(const ConvGeometry& g) {
  return std::min(std::max<Index>(kFilterThreads / (tile_of(g) / 4), 1), positions(g));
}

Index weight_shared(const ConvGeometry& g) {
  return 4 *
         std::max(Padded(g, 1).elements() + positions(g), weight_slots(g) * g.kernel * tile_of(g));
}

// Items per slice and slices of a batch: slices of four, and no more than 64 of them.
constexpr Index kSliceItems = 4;
constexpr Index kMostSlices = 64;
Index slice_items(Index batch) { return std::max(kSliceItems, divide_up(batch, kMostSlices)); }
Index slice_count(Index batch) { return divide_up(batch, slice_items(batch)); }

template <class T>
Rows<T> rows(const GroupView<T>& view) {
  return {view.data, view.group_stride, view.features()};  // rows are contiguous
}
template <class T>
Rows<T> rows(const ParamView<T>& view) {
  return {view.data, view.group_stride, 0};
}

// body(kernel, whether pixels of `view` consist of whole quads), both as constants.
template <class T, class Body>
void with_constants(const ConvGeometry& g, const GroupView<T>& view, Body&& body) {
  const auto with_kernel = [&](auto packs) {
    if (g.kernel == 3) return body(std::integral_constant<int, 3>{}, packs);
    body(std::integral_constant<int, 5>{}, packs);
  };
  if (g.out_c % 4 == 0 && packs_fit<4>({view.groups, view.batch, view.features()}, view)) {
    return with_kernel(std::true_type{});
  }
  with_kernel(std::false_type{});
}

}  // namespace

template <class T>
bool direct_supports(MathMode, ConvOp op, const ConvGeometry& g) {
  if (g.in_c > kMostChannels || (g.kernel != 3 && g.kernel != 5)) return false;
  // Small enough that no count below leaves 31 bits.
  if (g.input().count() > kSharedBudget || positions(g) > kSharedBudget || g.out_c > (1 << 16)) {
    return false;
  }
  switch (op) {
  case ConvOp::forward: return forward_shared(g) <= kSharedBudget;
  case ConvOp::backward_data: return data_chunk(g) > 0;
  case ConvOp::backward_weights: return weight_shared(g) <= kSharedBudget;
  }
  return false;
}

template <class T>
Index conv_workspace_direct(const Context&, ConvOp op, Index groups, Index batch,
                            const ConvGeometry& g) {
  if (op != ConvOp::backward_weights) return 0;
  // Of smaller batches too: a batch beyond 256 has fewer slices than one of 256.
  const Index slices = std::min(divide_up(batch, kSliceItems), kMostSlices);
  return aligned_bytes<float>(
      checked_multiply(checked_multiply(groups, slices), g.filter().count()));
}

template <class T>
void conv_forward_direct(Context& ctx, GroupView<T> y, GroupView<const T> x,
                         ParamView<const T> filter, const ConvGeometry& g,
                         const Epilogue<T>& epilogue) {
  const Index tile = tile_of(g), quads = tile / 4, tiles = divide_up(g.out_c, tile);
  // As many slots as share the positions evenly.
  const Index strips = divide_up(positions(g), kPositions);
  const Index slots = divide_up(strips, divide_up(strips, kFilterThreads / quads));
  const ForwardShape shape{Padded(g, g.in_c),
                           small(y.batch),
                           small(g.out_c),
                           small(tile),
                           small(slots),
                           Divider(quads),
                           Divider(tile),
                           epilogue.activation.kind,
                           static_cast<float>(epilogue.activation.slope)};
  // Blocks beyond what the device holds would load the filter once more for nothing.
  const Index blocks = std::clamp<Index>(4 * resident_blocks(ctx) / (y.groups * tiles), 1, y.batch);
  const LaunchShape grid{blocks, y.groups, tiles, small(slots * quads),
                         static_cast<std::size_t>(forward_shared(g))};
  with_constants(g, y, [&](auto kernel, auto packs) {
    constexpr int kKernel = decltype(kernel)::value;
    constexpr bool kPacks = decltype(packs)::value;
    const auto entry = g.in_c == 1 ? direct_forward_kernel<T, kKernel, 1, kPacks>
                                   : direct_forward_kernel<T, kKernel, 0, kPacks>;
    launch(ctx, "direct_forward", grid, entry, rows(y), rows(x), rows(filter), rows(epilogue.bias),
           shape);
  });
}

template <class T>
void conv_backward_data_direct(Context& ctx, GroupView<T> d_x, GroupView<const T> d_y,
                               ParamView<const T> filter, const ConvGeometry& g,
                               const Epilogue<T>& epilogue) {
  const Index chunk = data_chunk(g), strips = divide_up(positions(g), kPositions);
  const DataShape shape{PixelWindows(g),
                        small(d_x.batch),
                        small(g.in_h),
                        small(g.in_w),
                        small(g.in_c),
                        small(g.out_c),
                        small(positions(g)),
                        small(strips),
                        small(chunk),
                        Divider(strips),
                        Divider(chunk / 4),
                        Divider(chunk),
                        Divider(g.in_w),
                        epilogue.activation.kind,
                        static_cast<float>(epilogue.activation.slope)};
  const Index threads = std::min(divide_up(g.kernel * strips, 64) * 64, kDataThreads);
  const LaunchShape grid{d_x.batch, d_x.groups, 1, small(threads),
                         static_cast<std::size_t>(data_shared(g, chunk))};
  with_constants(g, d_y, [&](auto kernel, auto packs) {
    launch(ctx, "direct_backward_data", grid,
           direct_backward_data_kernel<T, decltype(kernel)::value, decltype(packs)::value>,
           rows(d_x), rows(d_y), rows(filter), rows(epilogue.bias), shape);
  });
}

template <class T>
void conv_backward_weights_direct(Context& ctx, ParamView<Master<T>> d_filter, GroupView<const T> x,
                                  GroupView<const T> d_y, const ConvGeometry& g, Write write) {
  const Index groups = d_filter.groups, batch = d_y.batch;
  const Index tile = tile_of(g), quads = tile / 4, tiles = divide_up(g.out_c, tile);
  const Index slots = weight_slots(g), slices = slice_count(batch), taps = g.filter().count();
  Scratch::Frame frame(ctx.scratch());
  float* const memory = frame.take<float>(groups * slices * taps);
  const WeightShape shape{Padded(g, 1),  small(batch),   small(slice_items(batch)),
                          small(g.in_c), small(g.out_c), small(tile),
                          small(slots),  Divider(quads), Divider(tile),
                          Divider(tiles)};
  const LaunchShape grid{slices, groups, g.in_c * tiles, small(slots * quads),
                         static_cast<std::size_t>(weight_shared(g))};
  with_constants(g, d_y, [&](auto kernel, auto packs) {
    launch(ctx, "direct_backward_weights", grid,
           direct_backward_weights_kernel<T, decltype(kernel)::value, decltype(packs)::value>,
           Rows<float>{memory, slices * taps, taps}, rows(x), rows(d_y), shape);
  });
  const auto [walk, add_grid] = element_launch(ctx, {groups, 1, taps});
  launch(ctx, "add_slices", add_grid, add_slices_kernel, walk, rows(d_filter),
         Rows<const float>{memory, slices * taps, taps}, small(slices), write == Write::accumulate);
}

GANMM_INSTANTIATE_CONV_PATH(direct, float)
GANMM_INSTANTIATE_CONV_PATH(direct, BFloat16)

}  // namespace ganmm::kernels::cuda
