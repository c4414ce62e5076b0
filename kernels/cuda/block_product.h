// Products of small matrices that lie in shared memory, by all threads of a block together.
//
// A tile of TM x TN results is summed in registers by S neighbouring threads, each over its share
// of the inner axis; then the shares are added and the results dealt out among them, by halves. So
// small products keep a block busy too, and a result does not depend on the number of threads.
// Every load from shared memory is 16 bytes wide: a 4 x 4 tile does 64 multiply-adds for 8 loads.
//
// Bound by the issue of multiply-adds where there are tiles enough, by latency where not. Threads
// of a warp read neighbouring rows or neighbouring packs: with a row stride of 4 (2 n + 1) elements
// (shared_stride) eight neighbouring rows lie in different banks.
#pragma once

#include "kernels/cuda/elements.h"
#include "kernels/cuda/kernel.h"

#include <cstddef>

namespace ganmm::kernels::cuda {

using Pack4 = Pack<float, 4>;
template <class T, int count>
using Array = T[static_cast<std::size_t>(count)];

// Elements from one row of a matrix in shared memory to the next.
inline constexpr int shared_stride(Index cols) {
  return static_cast<int>(4 * (((cols + 3) / 4) | 1));
}
// Rows of a matrix that is read as the right side of a product over its rows.
inline constexpr int whole_packs(Index count) { return static_cast<int>((count + 3) / 4 * 4); }

GANMM_DEVICE const Pack4& pack_at(const float* p) { return *reinterpret_cast<const Pack4*>(p); }
GANMM_DEVICE Pack4& pack_at(float* p) { return *reinterpret_cast<Pack4*>(p); }

// Which axis is summed over: [m][k] [k][n], [m][k] [n][k], or [k][m] [k][n].
enum class Form { nn, nt, tn };

struct SharedMatrix {
  const float* data;
  int stride;  // a multiple of 4
};

// How many columns, with what a division by the number of column tiles takes (quotient).
struct Width {
  int count;
  float share[5];  // of 1 / ceil(count / w) for tiles of w = 1, 2 and 4 columns
};
inline Width width_of(int count) {
  Width width{count, {}};
  for (const int w : {1, 2, 4}) {
    width.share[w] = 1.0f / static_cast<float>((count + w - 1) / w);
  }
  return width;
}

// i / d for 0 <= i < 2^21, given 1 / d: the nearest quotient of a half is at least 1 / (2 d) away,
// four times as far as the roundings reach. A division of integers takes ten times as long.
GANMM_DEVICE int quotient(int i, float share) {
  return static_cast<int>((static_cast<float>(i) + 0.5f) * share);
}

struct ProductShape {
  int rows;  // of the result
  Width cols;
  int inner;
};

// Adds the results that each thread holds to those of its S - 1 neighbours; thread `part` keeps
// count / S of them, from `first` on.
template <int count, int S>
GANMM_DEVICE int deal_out(Array<float, count>& sum, int part) {
  static_assert(count % S == 0);
  int first = 0;
  for (int mask = 1, half = count / 2; mask < S; mask *= 2, half /= 2) {
    const bool upper = (part & mask) != 0;
    for (int i = 0; i < half; ++i) {
      const float keep = upper ? sum[i + half] : sum[i];
      const float send = upper ? sum[i] : sum[i + half];
      sum[i] = keep + device::shuffle_xor(send, mask);
    }
    if (upper) first += half;
  }
  return first;
}

template <int W, int count>
GANMM_DEVICE Pack<float, static_cast<unsigned>(W)> pack_of(const Array<float, count>& sum, int at) {
  Pack<float, static_cast<unsigned>(W)> pack;
  for (int w = 0; w < W; ++w) pack.value[w] = sum[at + w];
  return pack;
}

// Calls prepare(col)(row, Pack<float, W>) once for every W neighbouring results that begin inside
// the product, W as large as a thread's share of a tile allows; those beyond the last column mean
// nothing. What depends on the column alone is left to prepare, which is called once per tile where
// a share spans its columns.
//
// Along the inner axis nn and nt read whole packs: there the right matrix must be zero beyond
// `inner` (nn: further rows, nt: further columns) and the left one finite. nn and tn read whole
// tiles of columns, which may hold anything.
template <Form form, int TM, int TN, int S, class Prepare>
GANMM_DEVICE void block_product(ProductShape shape, SharedMatrix a, SharedMatrix b,
                                Prepare prepare) {
  constexpr int kResults = TM * TN, kKept = kResults / S;
  constexpr int W = form == Form::nt ? 1 : (kKept < TN ? kKept : TN);
  static_assert(form == Form::nt || TN % 4 == 0);
  static_assert(form != Form::tn || TM % 4 == 0);
  // Rows that a thread reads one by one lie row_tiles apart, so that neighbours read neighbours.
  const int row_tiles = (shape.rows + TM - 1) / TM, col_tiles = (shape.cols.count + TN - 1) / TN;
  const int tiles = row_tiles * col_tiles;
  const int last = (tiles * S + device::kWarpSize - 1) / device::kWarpSize * device::kWarpSize;
  // Whole warps take part, for the sake of the shuffles.
  for (int i = device::thread_index_x(); i < last; i += device::block_size_x()) {
    const int part = i % S, tile = i / S < tiles ? i / S : tiles - 1;
    const int tile_row = quotient(tile, shape.cols.share[TN]),
              tile_col = tile - tile_row * col_tiles;
    Array<float, kResults> sum = {};
    if constexpr (form == Form::tn) {
      const float* left = a.data + TM * tile_row;
      const float* right = b.data + TN * tile_col;
      for (int k = part; k < shape.inner; k += S) {
        Array<Pack4, TM / 4> x;
        Array<Pack4, TN / 4> y;
        for (int m = 0; m < TM / 4; ++m) x[m] = pack_at(left + k * a.stride + 4 * m);
        for (int n = 0; n < TN / 4; ++n) y[n] = pack_at(right + k * b.stride + 4 * n);
        for (int m = 0; m < TM; ++m) {
          for (int n = 0; n < TN; ++n) {
            sum[m * TN + n] += x[m / 4].value[m % 4] * y[n / 4].value[n % 4];
          }
        }
      }
    } else {
      Array<const float*, TM> left;
      for (int m = 0; m < TM; ++m) {
        const int row = tile_row + m * row_tiles;
        left[m] = a.data + (row < shape.rows ? row : shape.rows - 1) * a.stride;
      }
      if constexpr (form == Form::nn) {
        const float* right = b.data + TN * tile_col;
        for (int m = 0; m < TM; ++m) left[m] += 4 * part;
        right += 4 * part * b.stride;
        for (int k = 4 * part; k < shape.inner; k += 4 * S, right += 4 * (S - 1) * b.stride) {
          Array<Pack4, TM> x;
          for (int m = 0; m < TM; ++m) {
            x[m] = pack_at(left[m]);
            left[m] += 4 * S;
          }
          for (int l = 0; l < 4; ++l, right += b.stride) {
            Array<Pack4, TN / 4> y;
            for (int n = 0; n < TN / 4; ++n) y[n] = pack_at(right + 4 * n);
            for (int m = 0; m < TM; ++m) {
              for (int n = 0; n < TN; ++n) {
                sum[m * TN + n] += x[m].value[l] * y[n / 4].value[n % 4];
              }
            }
          }
        }
      } else {
        Array<const float*, TN> right;
        for (int n = 0; n < TN; ++n) {
          const int col = tile_col + n * col_tiles;
          right[n] = b.data + (col < shape.cols.count ? col : shape.cols.count - 1) * b.stride;
        }
        for (int k = 4 * part; k < shape.inner; k += 4 * S) {
          Array<Pack4, TM> x;
          Array<Pack4, TN> y;
          for (int m = 0; m < TM; ++m) x[m] = pack_at(left[m] + k);
          for (int n = 0; n < TN; ++n) y[n] = pack_at(right[n] + k);
          for (int l = 0; l < 4; ++l) {
            for (int m = 0; m < TM; ++m) {
              for (int n = 0; n < TN; ++n) sum[m * TN + n] += x[m].value[l] * y[n].value[l];
            }
          }
        }
      }
    }
    const int first = deal_out<kResults, S>(sum, part);
    if (i / S >= tiles) continue;
    if constexpr (W == TN) {
      const auto keep = prepare(TN * tile_col);
      for (int kept = 0; kept < kKept; kept += W) {
        const int m = (first + kept) / TN;
        const int row = form == Form::tn ? TM * tile_row + m : tile_row + m * row_tiles;
        if (row < shape.rows) keep(row, pack_of<W, kResults>(sum, kept));
      }
    } else {
      for (int kept = 0; kept < kKept; kept += W) {
        const int m = (first + kept) / TN, n = (first + kept) % TN;
        const int row = form == Form::tn ? TM * tile_row + m : tile_row + m * row_tiles;
        const int col = form == Form::nt ? tile_col + n * col_tiles : TN * tile_col + n;
        if (row < shape.rows && col < shape.cols.count)
          prepare(col)(row, pack_of<W, kResults>(sum, kept));
      }
    }
  }
}

// Calls done(pack, i, sum over rows of term(pack, row)[i]) once for each of `count` sums of every
// pack, a warp for each pack. Neighbouring threads read neighbouring rows.
template <int count, class Term, class Done>
GANMM_DEVICE void block_pack_sums(int packs, int rows, Term term, Done done) {
  const int lane = device::thread_index_x() % device::kWarpSize;
  const int warps = device::block_size_x() / device::kWarpSize;
  // From the last warp on: a product in the same phase begins with the first.
  for (int pack = warps - 1 - device::thread_index_x() / device::kWarpSize; pack < packs;
       pack += warps) {
    Array<float, count> sum = {};
    for (int row = lane; row < rows; row += device::kWarpSize) term(sum, pack, row);
    const int which = deal_out<count, count>(sum, lane);
    for (int mask = count; mask < device::kWarpSize; mask *= 2) {
      sum[0] += device::shuffle_xor(sum[0], mask);
    }
    if (lane < count) done(pack, which, sum[0]);
  }
}

// Calls done(i, sum over j in [0, terms) of term(i, j)) once for every i in [0, sums): eight
// neighbouring threads share a sum and read neighbouring j.
template <class Term, class Done>
GANMM_DEVICE void block_sums(int sums, int terms, Term term, Done done) {
  constexpr int kParts = 8;
  const int last = (sums * kParts + device::kWarpSize - 1) / device::kWarpSize * device::kWarpSize;
  for (int i = device::thread_index_x(); i < last; i += device::block_size_x()) {
    const int part = i % kParts, which = i / kParts;
    float sum = 0;
    if (which < sums) {
      for (int j = part; j < terms; j += kParts) sum += term(which, j);
    }
    for (int mask = 1; mask < kParts; mask *= 2) sum += device::shuffle_xor(sum, mask);
    if (part == 0 && which < sums) done(which, sum);
  }
}

}  // namespace ganmm::kernels::cuda
