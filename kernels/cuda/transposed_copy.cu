// y[c][r] (=|+=) x[r][c]: one block of 32 x 8 threads per tile of 32 x 32 elements, which turns it
// in shared memory so that rows are read and rows are written. Tiles on grid.x, groups on grid.y.
// Bound by memory bandwidth: a warp moves 128 bytes at once (64 of bfloat16). The tile's rows are
// 33 words apart, for a column to lie in 32 banks.
#include "kernels/cuda/kernel.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/transposed_copy.h"

namespace ganmm::kernels::cuda {

namespace {

constexpr int kTile = 32;
constexpr int kLines = 8;  // rows that a block moves at a time

template <class To, class From>
GANMM_KERNEL transposed_copy_kernel(MatrixView<To> y, MatrixView<const From> x, int tiles_across,
                                    bool accumulate) {
  GANMM_SHARED(float, tile, kTile*(kTile + 1));
  const int lane = device::thread_index_x() % kTile;
  const int line = device::thread_index_x() / kTile;
  const int tile_row = device::block_index_x() / tiles_across;
  const Index first_row = Index{tile_row} * kTile;
  const Index first_col = Index{device::block_index_x() - tile_row * tiles_across} * kTile;
  for (Index group = device::block_index_y(); group < x.groups; group += device::grid_size_y()) {
    const From* source = x.data + group * x.group_stride;
    for (int i = line; i < kTile; i += kLines) {
      const Index row = first_row + i, col = first_col + lane;
      if (row < x.rows && col < x.cols) {
        tile[i * (kTile + 1) + lane] = static_cast<float>(source[row * x.row_stride + col]);
      }
    }
    device::sync_threads();
    To* target = y.data + group * y.group_stride;
    for (int i = line; i < kTile; i += kLines) {
      const Index row = first_col + i, col = first_row + lane;
      if (row < y.rows && col < y.cols) {
        To& out = target[row * y.row_stride + col];
        const float value = tile[lane * (kTile + 1) + i];
        out = static_cast<To>(accumulate ? static_cast<float>(out) + value : value);
      }
    }
    device::sync_threads();
  }
}

}  // namespace

template <class To, class From>
void transposed_copy(Context& ctx, MatrixView<To> y, MatrixView<const From> x, Write write) {
  if (x.groups == 0 || x.rows == 0 || x.cols == 0) return;
  const Index down = (x.rows + kTile - 1) / kTile;
  const Index across = (x.cols + kTile - 1) / kTile;
  launch(
      ctx, "transposed_copy", {down * across, std::min(x.groups, kMaxBlocksY), 1, kTile * kLines},
      transposed_copy_kernel<To, From>, y, x, static_cast<int>(across), write == Write::accumulate);
}

template void transposed_copy<float, float>(Context&, MatrixView<float>, MatrixView<const float>,
                                            Write);
template void transposed_copy<BFloat16, BFloat16>(Context&, MatrixView<BFloat16>,
                                                  MatrixView<const BFloat16>, Write);
template void transposed_copy<float, BFloat16>(Context&, MatrixView<float>,
                                               MatrixView<const BFloat16>, Write);

}  // namespace ganmm::kernels::cuda
