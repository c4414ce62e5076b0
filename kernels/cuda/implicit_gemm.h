// A convolution and its two adjoints as one matrix product c = a b per group, whose operands are
// gathered from the tensors on their way to shared memory (implicit GEMM). One kernel, three maps:
//
//   map               rows of c              columns  sum over                a        b
//   forward           (item, output pixel)   out_c    (tap, in_c)             x        filter
//   backward_data     (item, input pixel     in_c     (tap of the parity,     d_y      filter
//                     of one parity)                   out_c)
//   backward_weights  (tap, in_c)            out_c    (item, output pixel)    x        d_y
//
// Backward data with stride s is s^2 products: an input pixel meets only the taps that are
// congruent to it modulo s, so each parity class has its own taps and nothing is multiplied by the
// zeros in between (kernel 5, stride 2: 9, 6, 6 and 4 taps).
//
// Launch: a block of four warps computes a tile of c; tiles of rows on grid.x, of columns on
// grid.y, (parity, group) on grid.z, parities with many taps first. The sum is never split between
// blocks: no second pass, no atomics, the same bits every time.
//
// Pipeline: a ring of kStages tiles of both operands in shared memory, filled by 16-byte
// asynchronous copies that run kStages - 1 steps ahead; one barrier per step. Operands keep the
// orientation that they have in memory (contiguous along the sum, or along rows or columns); the
// rows of a tile in shared memory are padded so that neither ldmatrix nor 32-bit loads meet bank
// conflicts. tf32 operands are rounded when they are loaded into registers, since the asynchronous
// copy cannot: every value is rounded once per warp that uses it, two or four times in all.
//
// Order of the sum: channels in chunks of up to one step, and within a chunk all taps. Taps that
// are congruent modulo the stride come one after the other, since they read the same quarter (for
// stride 2) of the images: it stays in the first-level cache, and of the k^2 / s^2 times that a
// convolution reads each element only the first has to go to the second level. The order depends on
// the geometry alone, not on the tile or the number of groups.
//
// Bound by the tensor cores' mma.sync rate and by shared memory bandwidth (tf32: a warp tile of
// 64 x 64 reads 4 bytes per 32 multiplications, one of 64 x 32 a half more).
#pragma once

#include "kernels/conv.h"
#include "kernels/core/host_device.h"
#include "kernels/cuda/activation_phi.h"
#include "kernels/cuda/elements.h"
#include "kernels/cuda/kernel.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/mma.h"

#include <cstdint>

namespace ganmm::kernels::cuda::implicit {

enum class Map { forward, backward_data, backward_weights };

// Arithmetic. kStep: elements along the sum per step, 64 bytes; kDepth: per instruction.
struct Fp32 {
  using Element = float;
  static constexpr int kStep = 16;
};
struct Tf32 {
  using Element = float;
  static constexpr int kStep = 16;
  static constexpr int kDepth = 8;
};
struct Bf16 {
  using Element = BFloat16;
  static constexpr int kStep = 32;
  static constexpr int kDepth = 16;
};

template <int block_m, int block_n, int warp_m, int warp_n>
struct Tile {
  static constexpr int kM = block_m, kN = block_n;        // of the block
  static constexpr int kWarpM = warp_m, kWarpN = warp_n;  // of a warp
  static constexpr int kWarpsN = kN / kWarpN;
  static_assert(kM / kWarpM * kWarpsN == 4);
};
inline constexpr int kThreads = 128;
inline constexpr int kStages = 4;

// What a kernel knows of the convolution. All offsets within a group fit an int.
struct Dims {
  int groups, batch;
  int in_h, in_w, in_c, out_h, out_w, out_c;
  int kernel, stride, pad_top, pad_left;
  int chunk_shift;  // log2 of the channels per chunk, at most a step
  ActivationKind kind;
  float slope;
  bool accumulate;
};

template <class T, class Out>
struct Operands {
  const T* a;
  const T* b;
  Out* c;
  const float* bias;                                // or null
  Index a_stride, b_stride, c_stride, bias_stride;  // between groups
};

// One axis of a parity class of backward data: class p holds the input pixels
// p - pad + q * stride for q from `first` on, `pixels` of them, and the taps p + j * stride.
struct ParityAxis {
  int first, pixels, taps;
};
GANMM_HOST_DEVICE inline ParityAxis parity_axis(int p, int size, int kernel, int stride, int pad) {
  const int first = pad > p ? (pad - p + stride - 1) / stride : 0;
  const int begin = first * stride + p - pad;
  return {first, begin < size ? (size - begin + stride - 1) / stride : 0,
          p < kernel ? (kernel - p + stride - 1) / stride : 0};
}

// Sizes of a tile of both operands in shared memory. Padding by 16 bytes along the sum and by 8
// elements across it keeps ldmatrix, and the 32-bit loads of tf32, free of bank conflicts.
template <class P, Map map, class Tile>
struct Stage {
  using T = typename P::Element;
  static constexpr int kPack = static_cast<int>(kWide<T>);
  static constexpr bool kAAlongSum = map != Map::backward_weights;
  static constexpr bool kBAlongSum = map == Map::backward_data;
  static constexpr int kLdA = kAAlongSum ? P::kStep + kPack : Tile::kM + 8;
  static constexpr int kLdB = kBAlongSum ? P::kStep + kPack : Tile::kN + 8;
  static constexpr int kA = kLdA * (kAAlongSum ? Tile::kM : P::kStep);
  static constexpr int kB = kLdB * (kBAlongSum ? Tile::kN : P::kStep);
  static constexpr int kBytes = (kA + kB) * static_cast<int>(sizeof(T));
  // The ring makes room for the tile of results at the end.
  static constexpr int kLdC = Tile::kN + 8;
  static constexpr int kRingBytes = kStages * kBytes;
  static constexpr int kResultBytes = Tile::kM * kLdC * static_cast<int>(sizeof(float));
  static constexpr int kTileBytes = kRingBytes > kResultBytes ? kRingBytes : kResultBytes;
};

// Copies W elements. W is a whole pack, or 1 where channels or strides are not multiples of one.
template <int W, class T>
GANMM_DEVICE void stage_copy(T* target, const T* source, bool valid, bool reused) {
  if constexpr (W == static_cast<int>(kWide<T>)) {
    device::async_copy16(target, source, valid, reused);
  } else {
    *target = valid ? *source : static_cast<T>(0.0f);
  }
}

// Bits [begin, end), for end < 16.
GANMM_DEVICE unsigned bits_between(int begin, int end) {
  return begin < end ? (1u << end) - (1u << begin) : 0u;
}

// Taps are tested by masks: bits 0 to 14 say which rows of taps fall inside the image, bits 16 to
// 30 which columns. kNever is in no mask.
inline constexpr int kMaxKernel = 15;
inline constexpr unsigned kNever = 0x80008000u;
GANMM_DEVICE unsigned tap_bits(int h, int w) { return 1u << h | 1u << (16 + w); }

// A row of c whose a is gathered: where its window begins in the image, the taps inside, and where
// the row lies in c.
struct GatheredRow {
  int source;
  unsigned mask;
  int target;
};
// One chunk of channels of one tap: its place in the image relative to a row's, and in the filter.
struct GatheredTap {
  int source;
  unsigned bits;
  int filter;
};

// Forward and backward data. In the terms of the kernel: `source` is the image that is gathered.
template <class P, Map map, class Tile, int W>
class GatherLoader {
  using T = typename P::Element;
  using S = Stage<P, map, Tile>;
  static constexpr int kPacksA = P::kStep / W;  // of a row of the tile
  static constexpr int kPassA = kThreads / kPacksA;
  static constexpr int kRowsA = Tile::kM / kPassA;
  static constexpr int kPacksB = (S::kBAlongSum ? P::kStep : Tile::kN) / W;
  static constexpr int kPassB = kThreads / kPacksB;
  static constexpr int kRowsB = (S::kBAlongSum ? Tile::kN : P::kStep) / kPassB;

 public:
  static constexpr int kStepShift = P::kStep == 16 ? 4 : 5;

  // Every thread must come here: fills the tables in shared memory.
  GANMM_DEVICE GatherLoader(const Dims& d, const T* a, const T* b, int parity, int m0, int n0,
                            void* tables)
      : rows_table_(static_cast<GatheredRow*>(tables)),
        taps_table_(reinterpret_cast<GatheredTap*>(rows_table_ + Tile::kM)), a_(a), b_(b) {
    const int tid = device::thread_index_x();
    chunk_shift_ = d.chunk_shift;
    slots_shift_ = kStepShift - d.chunk_shift;
    int taps_h = d.kernel;
    int taps_w = d.kernel;
    class_h_ = 0;
    class_w_ = 0;
    ParityAxis axis_h{}, axis_w{};
    if constexpr (map == Map::backward_data) {
      class_h_ = parity / d.stride;
      class_w_ = parity - class_h_ * d.stride;
      axis_h = parity_axis(class_h_, d.in_h, d.kernel, d.stride, d.pad_top);
      axis_w = parity_axis(class_w_, d.in_w, d.kernel, d.stride, d.pad_left);
      taps_h = axis_h.taps;
      taps_w = axis_w.taps;
      pixels_w_ = axis_w.pixels;
      pixels_ = axis_h.pixels * axis_w.pixels;
    } else {
      pixels_w_ = d.out_w;
      pixels_ = d.out_h * d.out_w;
    }
    rows_ = d.batch * pixels_;
    cols_ = map == Map::forward ? d.out_c : d.in_c;
    const int source_h = map == Map::forward ? d.in_h : d.out_h;
    const int source_w = map == Map::forward ? d.in_w : d.out_w;
    const int source_c = map == Map::forward ? d.in_c : d.out_c;
    const int entries = taps_h * taps_w * (source_c >> d.chunk_shift);
    steps_ = (entries + (1 << slots_shift_) - 1) >> slots_shift_;
    if (m0 >= rows_) return;

    for (int row = tid; row < Tile::kM; row += kThreads) {
      const int m = m0 + row;
      GatheredRow entry{0, 0u, 0};
      if (m < rows_) {
        const int item = m / pixels_;
        const int pixel = m - item * pixels_;
        const int i = pixel / pixels_w_;
        const int j = pixel - i * pixels_w_;
        int h, w;
        if constexpr (map == Map::forward) {
          h = i * d.stride - d.pad_top;
          w = j * d.stride - d.pad_left;
          entry.mask = bits_between(max0(-h), smaller(taps_h, source_h - h)) |
                       bits_between(max0(-w), smaller(taps_w, source_w - w)) << 16;
          entry.target = m * cols_;
        } else {  // tap j of the class lies j pixels before
          h = axis_h.first + i;
          w = axis_w.first + j;
          entry.mask = bits_between(max0(h - source_h + 1), smaller(taps_h, h + 1)) |
                       bits_between(max0(w - source_w + 1), smaller(taps_w, w + 1)) << 16;
          const int target_h = h * d.stride + class_h_ - d.pad_top;
          const int target_w = w * d.stride + class_w_ - d.pad_left;
          entry.target = ((item * d.in_h + target_h) * d.in_w + target_w) * cols_;
        }
        entry.source = ((item * source_h + h) * source_w + w) * source_c;
      }
      rows_table_[row] = entry;
    }
    const int taps = taps_h * taps_w;
    for (int e = tid; e < steps_ << slots_shift_; e += kThreads) {
      GatheredTap entry{0, kNever, -1};
      if (e < entries) {
        const int chunk = e / taps;
        const int first_channel = chunk << d.chunk_shift;
        int tap = e - chunk * taps;
        int h, w;
        if constexpr (map == Map::forward) {
          int columns = 0;
          int class_h = 0;
          int class_w = 0;
          for (;; class_w + 1 < d.stride ? ++class_w : (class_w = 0, ++class_h)) {
            columns = taps_of_class(class_w, d);
            const int in_class = taps_of_class(class_h, d) * columns;
            if (tap < in_class) break;
            tap -= in_class;
          }
          h = tap / columns;
          w = class_w + (tap - h * columns) * d.stride;
          h = class_h + h * d.stride;
          entry.source = (h * source_w + w) * source_c + first_channel;
          entry.filter = ((h * d.kernel + w) * d.in_c + first_channel) * d.out_c;
        } else {
          h = tap / taps_w;
          w = tap - h * taps_w;
          entry.source = first_channel - (h * source_w + w) * source_c;
          entry.filter =
              ((class_h_ + h * d.stride) * d.kernel + class_w_ + w * d.stride) * d.in_c * d.out_c +
              first_channel;
        }
        entry.bits = tap_bits(h, w);
      }
      taps_table_[e] = entry;
    }
    device::sync_threads();

    a_row_ = tid / kPacksA;
    a_sum_ = (tid % kPacksA) * W;
    GANMM_UNROLL
    for (int i = 0; i < kRowsA; ++i) {
      const GatheredRow& row = rows_table_[a_row_ + i * kPassA];
      sources_[i] = row.source + (a_sum_ & ((1 << chunk_shift_) - 1));
      masks_[i] = row.mask;
    }
    b_row_ = tid / kPacksB;
    b_col_ = (tid % kPacksB) * W;
    if constexpr (S::kBAlongSum) {
      b_limit_ = cols_ - n0 - b_row_;
      b_stride_ = d.out_c;
      b_ += static_cast<Index>(n0 + b_row_) * d.out_c + (b_col_ & ((1 << chunk_shift_) - 1));
    } else {
      b_limit_ = cols_ - n0 - b_col_;
      b_stride_ = d.out_c;
      b_ += n0 + b_col_;
    }
  }

  GANMM_DEVICE int rows() const { return rows_; }
  GANMM_DEVICE int cols() const { return cols_; }
  GANMM_DEVICE int steps() const { return steps_; }
  GANMM_DEVICE int target(int row) const { return rows_table_[row].target; }

  GANMM_DEVICE void issue(T* stage, int step) {
    const GatheredTap* taps = taps_table_ + (step << slots_shift_);
    const GatheredTap tap = taps[a_sum_ >> chunk_shift_];
    T* target = stage + a_row_ * S::kLdA + a_sum_;
    GANMM_UNROLL
    for (int i = 0; i < kRowsA; ++i) {
      stage_copy<W>(target + i * kPassA * S::kLdA, a_ + (sources_[i] + tap.source),
                    (masks_[i] & tap.bits) == tap.bits, true);
    }
    target = stage + S::kA + b_row_ * S::kLdB + b_col_;
    if constexpr (S::kBAlongSum) {
      const int filter = taps[b_col_ >> chunk_shift_].filter;
      GANMM_UNROLL
      for (int i = 0; i < kRowsB; ++i) {
        stage_copy<W>(target + i * kPassB * S::kLdB, b_ + (filter + i * kPassB * b_stride_),
                      filter >= 0 && i * kPassB < b_limit_, false);
      }
    } else {
      GANMM_UNROLL
      for (int i = 0; i < kRowsB; ++i) {
        const int k = b_row_ + i * kPassB;
        const int filter = taps[k >> chunk_shift_].filter;
        stage_copy<W>(target + i * kPassB * S::kLdB,
                      b_ + (filter + (k & ((1 << chunk_shift_) - 1)) * b_stride_),
                      filter >= 0 && b_limit_ > 0, false);
      }
    }
  }

 private:
  GANMM_DEVICE static int max0(int a) { return a > 0 ? a : 0; }
  GANMM_DEVICE static int smaller(int a, int b) { return a < b ? a : b; }
  GANMM_DEVICE static int taps_of_class(int p, const Dims& d) {
    return p < d.kernel ? (d.kernel - p + d.stride - 1) / d.stride : 0;
  }

  GatheredRow* rows_table_;
  GatheredTap* taps_table_;
  const T* a_;
  const T* b_;
  int chunk_shift_, slots_shift_;  // taps per step: 1 << slots_shift_
  int class_h_, class_w_;          // of backward data
  int pixels_, pixels_w_, rows_, cols_, steps_;
  int a_row_, a_sum_, b_row_, b_col_, b_limit_, b_stride_;
  int sources_[unsigned{kRowsA}];
  unsigned masks_[unsigned{kRowsA}];
};

// Backward weights. A block of rows of c belongs to few taps; output pixels that all of them see
// outside the image are left out of the sum. The lanes of a warp each follow one of the kStep
// pixels of a step and tell the others where it lies.
template <class P, Map map, class Tile, int W>
class PixelLoader {
  using T = typename P::Element;
  using S = Stage<P, map, Tile>;
  static constexpr int kPacksA = Tile::kM / W;
  static constexpr int kPassA = kThreads / kPacksA;
  static constexpr int kRowsA = P::kStep / kPassA;
  static constexpr int kPacksB = Tile::kN / W;
  static constexpr int kPassB = kThreads / kPacksB;
  static constexpr int kRowsB = P::kStep / kPassB;
  static_assert(P::kStep <= device::kWarpSize);

 public:
  GANMM_DEVICE PixelLoader(const Dims& d, const T* a, const T* b, int, int m0, int n0, void*)
      : d_(d), a_(a), b_(b + n0), m0_(m0) {
    const int tid = device::thread_index_x();
    rows_ = d.kernel * d.kernel * d.in_c;
    steps_ = 0;
    if (m0 >= rows_) return;
    const int last_row = (m0 + Tile::kM < rows_ ? m0 + Tile::kM : rows_) - 1;
    const int first_tap = m0 / d.in_c;
    const int last_tap = last_row / d.in_c;
    const int first_h = first_tap / d.kernel;
    const int last_h = last_tap / d.kernel;
    const bool one_h = first_h == last_h;
    const int first_w = one_h ? first_tap - first_h * d.kernel : 0;
    const int last_w = one_h ? last_tap - last_h * d.kernel : d.kernel - 1;
    begin_h_ = begin(last_h, d.stride, d.pad_top);
    begin_w_ = begin(last_w, d.stride, d.pad_left);
    count_h_ = end(first_h, d.in_h, d.out_h, d.stride, d.pad_top) - begin_h_;
    count_w_ = end(first_w, d.in_w, d.out_w, d.stride, d.pad_left) - begin_w_;
    const int pixels = count_h_ > 0 && count_w_ > 0 ? d.batch * count_h_ * count_w_ : 0;
    steps_ = (pixels + P::kStep - 1) / P::kStep;
    if (pixels == 0) return;

    a_row_ = tid / kPacksA;
    a_col_ = (tid % kPacksA) * W;
    b_row_ = tid / kPacksB;
    b_col_ = (tid % kPacksB) * W;
    b_ += b_col_;
    b_inside_ = n0 + b_col_ < d.out_c;
    const int m = m0 + a_col_;
    if (m < rows_) {
      const int tap = m / d.in_c;
      const int h = tap / d.kernel;
      const int w = tap - h * d.kernel;
      a_ += (h * d.in_w + w) * d.in_c + (m - tap * d.in_c);
      bits_ = tap_bits(h, w);
    }
    // This lane's pixel of the first step, and the way to that of the next.
    const int lane = tid % device::kWarpSize;
    const int per_item = count_h_ * count_w_;
    item_ = lane / per_item;
    i_ = lane % per_item / count_w_;
    j_ = lane % count_w_;
    step_item_ = P::kStep / per_item;
    step_i_ = P::kStep % per_item / count_w_;
    step_j_ = P::kStep % count_w_;
    if (lane >= P::kStep) item_ = d.batch;
  }

  GANMM_DEVICE int rows() const { return rows_; }
  GANMM_DEVICE int cols() const { return d_.out_c; }
  GANMM_DEVICE int steps() const { return steps_; }
  GANMM_DEVICE int target(int row) const { return (m0_ + row) * d_.out_c; }

  // To be called for step 0, 1, ... in turn.
  GANMM_DEVICE void issue(T* stage, int) {
    int source = 0;
    int output = -1;
    unsigned mask = 0;
    if (item_ < d_.batch) {
      const int out_h = begin_h_ + i_;
      const int out_w = begin_w_ + j_;
      const int h = out_h * d_.stride - d_.pad_top;
      const int w = out_w * d_.stride - d_.pad_left;
      source = ((item_ * d_.in_h + h) * d_.in_w + w) * d_.in_c;
      output = ((item_ * d_.out_h + out_h) * d_.out_w + out_w) * d_.out_c;
      mask = bits_between(h < 0 ? -h : 0, h + d_.kernel < d_.in_h ? d_.kernel : d_.in_h - h) |
             bits_between(w < 0 ? -w : 0, w + d_.kernel < d_.in_w ? d_.kernel : d_.in_w - w) << 16;
      item_ += step_item_;
      i_ += step_i_;
      j_ += step_j_;
      if (j_ >= count_w_) {
        j_ -= count_w_;
        ++i_;
      }
      if (i_ >= count_h_) {
        i_ -= count_h_;
        ++item_;
      }
    }
    T* target = stage + a_row_ * S::kLdA + a_col_;
    GANMM_UNROLL
    for (int i = 0; i < kRowsA; ++i) {
      const int row_source = device::shuffle(source, a_row_ + i * kPassA);
      const unsigned row_mask = device::shuffle(mask, a_row_ + i * kPassA);
      stage_copy<W>(target + i * kPassA * S::kLdA, a_ + row_source, (row_mask & bits_) == bits_,
                    true);
    }
    target = stage + S::kA + b_row_ * S::kLdB + b_col_;
    GANMM_UNROLL
    for (int i = 0; i < kRowsB; ++i) {
      const int row_output = device::shuffle(output, b_row_ + i * kPassB);
      stage_copy<W>(target + i * kPassB * S::kLdB, b_ + row_output, row_output >= 0 && b_inside_,
                    false);
    }
  }

 private:
  // The output rows (or columns) that see inside the image through a tap: from begin() to end().
  GANMM_DEVICE static int begin(int tap, int stride, int pad) {
    return pad > tap ? (pad - tap + stride - 1) / stride : 0;
  }
  GANMM_DEVICE static int end(int tap, int size, int outputs, int stride, int pad) {
    const int last = size - 1 - tap + pad;
    if (last < 0) return 0;
    const int end = last / stride + 1;
    return end < outputs ? end : outputs;
  }

  const Dims& d_;
  const T* a_;
  const T* b_;
  int m0_, rows_, steps_;
  // Without steps the rest is not used.
  int begin_h_ = 0, begin_w_ = 0, count_h_ = 0, count_w_ = 0;
  int a_row_ = 0, a_col_ = 0, b_row_ = 0, b_col_ = 0;
  bool b_inside_ = false;
  unsigned bits_ = kNever;
  int item_ = 0, i_ = 0, j_ = 0, step_item_ = 0, step_i_ = 0, step_j_ = 0;
};

GANMM_DEVICE std::uint32_t bits_of(float value) {
  std::uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  return bits;
}

// The fragments of kernels/cuda/mma.h from a tile in shared memory; `along_sum` as in Stage.
// load_b takes those of two neighbouring instructions.
template <class P, bool along_sum, int ld>
GANMM_DEVICE void load_a(std::uint32_t (&f)[4], const typename P::Element* a, int m, int k,
                         int lane) {
  constexpr int kPack = static_cast<int>(kWide<typename P::Element>);
  const int r = lane % 8;
  const int matrix = lane / 8;
  if constexpr (along_sum) {
    device::load_matrices(f, a + (m + r + matrix % 2 * 8) * ld + k + matrix / 2 * kPack);
  } else if constexpr (kPack == 8) {
    device::load_matrices_transposed(f, a + (k + r + matrix / 2 * 8) * ld + m + matrix % 2 * 8);
  } else {
    const float* p = a + (k + lane % 4) * ld + m + lane / 4;
    f[0] = bits_of(p[0]);
    f[1] = bits_of(p[8]);
    f[2] = bits_of(p[4 * ld]);
    f[3] = bits_of(p[4 * ld + 8]);
  }
}
template <class P, bool along_sum, int ld>
GANMM_DEVICE void load_b(std::uint32_t (&left)[2], std::uint32_t (&right)[2],
                         const typename P::Element* b, int n, int k, int lane) {
  constexpr int kPack = static_cast<int>(kWide<typename P::Element>);
  const int r = lane % 8;
  const int matrix = lane / 8;
  std::uint32_t f[4];
  if constexpr (along_sum) {
    device::load_matrices(f, b + (n + r + matrix / 2 * 8) * ld + k + matrix % 2 * kPack);
  } else if constexpr (kPack == 8) {
    device::load_matrices_transposed(f, b + (k + r + matrix % 2 * 8) * ld + n + matrix / 2 * 8);
  } else {
    const float* p = b + (k + lane % 4) * ld + n + lane / 4;
    f[0] = bits_of(p[0]);
    f[1] = bits_of(p[4 * ld]);
    f[2] = bits_of(p[8]);
    f[3] = bits_of(p[4 * ld + 8]);
  }
  left[0] = f[0];
  left[1] = f[1];
  right[0] = f[2];
  right[1] = f[3];
}

// A warp's part of c in registers, in the layout of the instructions: c[i][j] is the 16 x 8 block
// at (16 i, 8 j). Fp32 uses the same layout.
template <class Tile>
using Accumulators = float[Tile::kWarpM / 16][Tile::kWarpN / 8][4];

// c += a b over one step, for the warp tile at (m, n) of the block's.
template <class P, class S, class Tile>
GANMM_DEVICE void multiply(Accumulators<Tile>& c, const typename P::Element* a,
                           const typename P::Element* b, int m, int n, int lane) {
  GANMM_UNROLL
  for (int k = 0; k < P::kStep; k += P::kDepth) {
    std::uint32_t fa[Tile::kWarpM / 16][4];
    std::uint32_t fb[Tile::kWarpN / 8][2];
    GANMM_UNROLL
    for (int i = 0; i < Tile::kWarpM / 16; ++i) {
      load_a<P, S::kAAlongSum, S::kLdA>(fa[i], a, m + 16 * i, k, lane);
    }
    GANMM_UNROLL
    for (int j = 0; j < Tile::kWarpN / 8; j += 2) {
      load_b<P, S::kBAlongSum, S::kLdB>(fb[j], fb[j + 1], b, n + 8 * j, k, lane);
    }
    if constexpr (std::is_same_v<P, Tf32>) {
      GANMM_UNROLL
      for (int i = 0; i < Tile::kWarpM / 16; ++i) {
        GANMM_UNROLL
        for (int e = 0; e < 4; ++e) fa[i][e] = device::round_tf32(fa[i][e]);
      }
      GANMM_UNROLL
      for (int j = 0; j < Tile::kWarpN / 8; ++j) {
        GANMM_UNROLL
        for (int e = 0; e < 2; ++e) fb[j][e] = device::round_tf32(fb[j][e]);
      }
    }
    GANMM_UNROLL
    for (int i = 0; i < Tile::kWarpM / 16; ++i) {
      GANMM_UNROLL
      for (int j = 0; j < Tile::kWarpN / 8; ++j) {
        if constexpr (std::is_same_v<P, Tf32>) {
          device::mma_tf32(c[i][j], fa[i], fb[j]);
        } else {
          device::mma_bf16(c[i][j], fa[i], fb[j]);
        }
      }
    }
  }
}

// The same in single precision: four terms at a time where they are neighbours in memory.
template <class S, class Tile>
GANMM_DEVICE void multiply_fp32(Accumulators<Tile>& c, const float* a, const float* b, int m, int n,
                                int lane) {
  using Four = Pack<float, 4>;
  constexpr int kRows = Tile::kWarpM / 8;   // of a thread: g + 8 i
  constexpr int kPairs = Tile::kWarpN / 8;  // of columns: 2 t + 8 j, 2 t + 1 + 8 j
  const int row = m + lane / 4;
  const int col = n + lane % 4 * 2;
  GANMM_UNROLL
  for (int k = 0; k < Fp32::kStep; k += 4) {
    float fa[unsigned{kRows}][4];
    GANMM_UNROLL
    for (int i = 0; i < kRows; ++i) {
      if constexpr (S::kAAlongSum) {
        const Four four = *reinterpret_cast<const Four*>(a + (row + 8 * i) * S::kLdA + k);
        GANMM_UNROLL
        for (int q = 0; q < 4; ++q) fa[i][q] = four.value[q];
      } else {
        GANMM_UNROLL
        for (int q = 0; q < 4; ++q) fa[i][q] = a[(k + q) * S::kLdA + row + 8 * i];
      }
    }
    GANMM_UNROLL
    for (int j = 0; j < kPairs; ++j) {
      float fb[4][2];
      if constexpr (S::kBAlongSum) {
        GANMM_UNROLL
        for (int p = 0; p < 2; ++p) {
          const Four four = *reinterpret_cast<const Four*>(b + (col + 8 * j + p) * S::kLdB + k);
          GANMM_UNROLL
          for (int q = 0; q < 4; ++q) fb[q][p] = four.value[q];
        }
      } else {
        GANMM_UNROLL
        for (int q = 0; q < 4; ++q) {
          using Two = Pack<float, 2>;
          const Two two = *reinterpret_cast<const Two*>(b + (k + q) * S::kLdB + col + 8 * j);
          fb[q][0] = two.value[0];
          fb[q][1] = two.value[1];
        }
      }
      GANMM_UNROLL
      for (int q = 0; q < 4; ++q) {
        GANMM_UNROLL
        for (int i = 0; i < kRows; ++i) {
          float* sum = c[i / 2][j] + i % 2 * 2;
          sum[0] = std::fma(fa[i][q], fb[q][0], sum[0]);
          sum[1] = std::fma(fa[i][q], fb[q][1], sum[1]);
        }
      }
    }
  }
}

template <class P, Map map, class Tile, int W, class Out>
GANMM_KERNEL conv_implicit_kernel(Dims d, Operands<typename P::Element, Out> operands) {
  using T = typename P::Element;
  using S = Stage<P, map, Tile>;
  using Loader = std::conditional_t<map == Map::backward_weights, PixelLoader<P, map, Tile, W>,
                                    GatherLoader<P, map, Tile, W>>;
  unsigned char* const shared = device::dynamic_shared<unsigned char>();
  T* const ring = reinterpret_cast<T*>(shared);
  const int tid = device::thread_index_x();
  const int lane = tid % device::kWarpSize;
  const int warp = tid / device::kWarpSize;
  const int parity = device::block_index_z() / d.groups;
  const int group = device::block_index_z() - parity * d.groups;
  const int m0 = device::block_index_x() * Tile::kM;
  const int n0 = device::block_index_y() * Tile::kN;
  Loader loader(d, operands.a + group * operands.a_stride, operands.b + group * operands.b_stride,
                parity, m0, n0, shared + S::kTileBytes);
  if (m0 >= loader.rows()) return;  // a parity class with fewer pixels than the largest

  const int m = warp / Tile::kWarpsN * Tile::kWarpM;
  const int n = warp % Tile::kWarpsN * Tile::kWarpN;
  const bool active = m0 + m < loader.rows() && n0 + n < loader.cols();
  Accumulators<Tile> c;
  GANMM_UNROLL
  for (int i = 0; i < Tile::kWarpM / 16; ++i) {
    GANMM_UNROLL
    for (int j = 0; j < Tile::kWarpN / 8; ++j) {
      GANMM_UNROLL
      for (int e = 0; e < 4; ++e) c[i][j][e] = 0.0f;
    }
  }

  const int steps = loader.steps();
  constexpr int kStage = S::kA + S::kB;
  GANMM_UNROLL
  for (int s = 0; s < kStages - 1; ++s) {
    if (s < steps) loader.issue(ring + s * kStage, s);
    device::async_commit();
  }
  int stage = 0;
  for (int step = 0; step < steps; ++step) {
    device::async_wait<kStages - 2>();
    device::sync_threads();  // the step's tile is there, and the one before it is no longer read
    if (step + kStages - 1 < steps) {
      const int free = stage == 0 ? kStages - 1 : stage - 1;
      loader.issue(ring + free * kStage, step + kStages - 1);
    }
    device::async_commit();
    if (active) {
      const T* a = ring + stage * kStage;
      if constexpr (std::is_same_v<P, Fp32>) {
        multiply_fp32<S, Tile>(c, a, a + S::kA, m, n, lane);
      } else {
        multiply<P, S, Tile>(c, a, a + S::kA, m, n, lane);
      }
    }
    stage = stage == kStages - 1 ? 0 : stage + 1;
  }

  // Through shared memory, so that the results leave in whole rows.
  device::async_wait<0>();
  device::sync_threads();
  float* const results = reinterpret_cast<float*>(shared);
  using Two = Pack<float, 2>;
  GANMM_UNROLL
  for (int i = 0; i < Tile::kWarpM / 16; ++i) {
    GANMM_UNROLL
    for (int j = 0; j < Tile::kWarpN / 8; ++j) {
      GANMM_UNROLL
      for (int half = 0; half < 2; ++half) {
        float* target =
            results + (m + 16 * i + 8 * half + lane / 4) * S::kLdC + n + 8 * j + lane % 4 * 2;
        *reinterpret_cast<Two*>(target) = Two{{c[i][j][2 * half], c[i][j][2 * half + 1]}};
      }
    }
  }
  device::sync_threads();
  constexpr int kPacks = Tile::kN / 4;
  static_assert(kThreads % kPacks == 0);  // so that a thread stays in its columns
  const int col = tid % kPacks * 4;
  if (n0 + col >= loader.cols()) return;
  const int count = loader.cols() - n0 - col;
  float bias[4] = {0.0f, 0.0f, 0.0f, 0.0f};
  if (operands.bias != nullptr) {
    const float* source = operands.bias + group * operands.bias_stride + n0 + col;
    for (int q = 0; q < 4 && q < count; ++q) bias[q] = source[q];
  }
  Out* const out = operands.c + group * operands.c_stride + n0 + col;
  for (int row = tid / kPacks; row < Tile::kM && m0 + row < loader.rows();
       row += kThreads / kPacks) {
    using Four = Pack<float, 4>;
    const Four sums = *reinterpret_cast<const Four*>(results + row * S::kLdC + col);
    Out* target = out + loader.target(row);
    Pack<Out, 4> values;
    GANMM_UNROLL
    for (int q = 0; q < 4; ++q) {
      values.value[q] = static_cast<Out>(phi(d.kind, d.slope, sums.value[q] + bias[q]));
    }
    if constexpr (W > 1) {
      Pack<Out, 4>* const pack = reinterpret_cast<Pack<Out, 4>*>(target);
      if constexpr (map == Map::backward_weights) {
        if (d.accumulate) {
          const Pack<Out, 4> before = *pack;
          GANMM_UNROLL
          for (int q = 0; q < 4; ++q) values.value[q] += before.value[q];
        }
      }
      *pack = values;
    } else {
      GANMM_UNROLL
      for (int q = 0; q < 4; ++q) {
        if (q >= count) break;
        if constexpr (map == Map::backward_weights) {
          if (d.accumulate) values.value[q] += target[q];
        }
        target[q] = values.value[q];
      }
    }
  }
}

using Tile128x128 = Tile<128, 128, 64, 64>;
using Tile128x64 = Tile<128, 64, 64, 32>;
using Tile64x64 = Tile<64, 64, 32, 32>;

// The product as the launcher sees it.
struct Extent {
  Index rows, cols;     // of c, the largest over the parities
  Index products;       // parities x groups
  Index table_entries;  // chunks of taps of a sum, padded to a step; 0 for backward weights
  bool packs;           // channels and strides are whole packs, memory is aligned
};

template <class P, Map map, class Tile>
std::size_t shared_bytes(const Extent& extent) {
  std::size_t bytes = Stage<P, map, Tile>::kTileBytes;
  if (map != Map::backward_weights) {
    bytes += Tile::kM * sizeof(GatheredRow) +
             static_cast<std::size_t>(extent.table_entries) * sizeof(GatheredTap);
  }
  return bytes;
}

template <class P, Map map, class Tile, int W, class Out>
void launch_tile(Context& ctx, const char* name, const Extent& extent, const Dims& d,
                 const Operands<typename P::Element, Out>& operands) {
  const LaunchShape shape{(extent.rows + Tile::kM - 1) / Tile::kM,
                          (extent.cols + Tile::kN - 1) / Tile::kN, extent.products, kThreads,
                          shared_bytes<P, map, Tile>(extent)};
  launch(ctx, name, shape, conv_implicit_kernel<P, map, Tile, W, Out>, d, operands);
}

enum class TileChoice { m128n128, m128n64, m64n64 };

// Relative time of a product by tile: the tiles of the busiest multiprocessor times their area, by
// the rate that a tile's shared memory traffic allows (see above; to be replaced by measurements),
// and slower where a multiprocessor has but one block, whose four warps cannot hide each other's
// waiting.
template <class Tile>
double tile_cost(const Extent& extent, Index multiprocessors, double cost_per_element) {
  const Index tiles = (extent.rows + Tile::kM - 1) / Tile::kM *
                      ((extent.cols + Tile::kN - 1) / Tile::kN) * extent.products;
  const Index busiest = (tiles + multiprocessors - 1) / multiprocessors;
  return static_cast<double>(busiest * Tile::kM * Tile::kN) * cost_per_element /
         (busiest == 1 ? 0.7 : 1.0);
}

// The sums of backward weights leave out pixels by tile of rows, so there the height of a tile must
// not depend on the number of groups.
template <class P, Map map>
TileChoice choose_tile(Context& ctx, const Extent& extent) {
  // Compute capability 7.5 has room for the small one only.
  if (shared_bytes<P, map, Tile128x128>(extent) > shared_memory_limit(ctx))
    return TileChoice::m64n64;
  const Index multiprocessors = std::max<Index>(1, resident_blocks(ctx) / 8);
  const double large = tile_cost<Tile128x128>(extent, multiprocessors, 1.0);
  const double wide = tile_cost<Tile128x64>(extent, multiprocessors, 1.3);
  const double small = tile_cost<Tile64x64>(extent, multiprocessors, 1.75);
  const bool may_be_large = !std::is_same_v<P, Fp32>;  // 128 sums and their operands do not fit
  if (map == Map::backward_weights) {
    if (extent.rows <= 64) return TileChoice::m64n64;
    return may_be_large && large <= wide ? TileChoice::m128n128 : TileChoice::m128n64;
  }
  if (may_be_large && large <= wide && large <= small) return TileChoice::m128n128;
  return wide <= small ? TileChoice::m128n64 : TileChoice::m64n64;
}

// Instantiated once per arithmetic and map, in conv_implicit_*.cu: the compilation is long.
template <class P, Map map, class Out>
void run(Context& ctx, const char* name, const Extent& extent, const Dims& d,
         const Operands<typename P::Element, Out>& operands) {
  constexpr int kPack = static_cast<int>(kWide<typename P::Element>);
  if (!extent.packs) {
    return launch_tile<P, map, Tile64x64, 1>(ctx, name, extent, d, operands);
  }
  switch (choose_tile<P, map>(ctx, extent)) {
  case TileChoice::m128n128:
    if constexpr (!std::is_same_v<P, Fp32>) {
      return launch_tile<P, map, Tile128x128, kPack>(ctx, name, extent, d, operands);
    }
    break;
  case TileChoice::m128n64:
    return launch_tile<P, map, Tile128x64, kPack>(ctx, name, extent, d, operands);
  case TileChoice::m64n64: break;
  }
  launch_tile<P, map, Tile64x64, kPack>(ctx, name, extent, d, operands);
}

}  // namespace ganmm::kernels::cuda::implicit
