// gaussian_log_density, responsibilities, weighted_moments: an EM iteration of Gaussian mixtures,
// contracts in kernels/gaussian.h. Double precision throughout; rows are float.
//
// log density, matrices: a product of centred rows with the triangular factor whose result is only
// squared and summed. A block takes 64 rows and one Gaussian and walks over tiles of 32 columns,
// for each over the features up to its last one; a thread has 4 x 2 sums in registers. Six loads
// from shared memory for eight multiply-adds: bound by shared memory at about half of the
// double-precision peak of a data-centre GPU, by arithmetic on others.
// log density, diagonals: a row belongs to 1 to 32 neighbouring threads; bound by reading the rows.
// responsibilities: a thread per row; the sums of the blocks are added up by a second kernel.
// moments: rows extended by a leading 1 make count, first and second moments one symmetric product.
// A block takes one 32 x 32 tile of its upper triangle, one Gaussian and a slice of the rows, 2 x 2
// sums per thread; slices, which few features need to fill the device, are added up in order by a
// second kernel. Their number depends on rows and features alone, so that a Gaussian has the same
// moments among others as alone. Diagonals: 32 features by 8 rows at a time.
#include "kernels/backend.h"
#include "kernels/cuda/elements.h"
#include "kernels/cuda/sums.h"

namespace ganmm::kernels::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kTile = 32;  // features
constexpr int kSide = 16;  // threads of a block stand 16 x 16
constexpr int kPitch = kTile + 1;

constexpr int kDensityRows = 64;
constexpr unsigned kRowsOfThread = kDensityRows / kSide;
constexpr unsigned kColumnsOfThread = kTile / kSide;

GANMM_DEVICE Index block_row(int rows) { return Index{device::block_index_x()} * rows; }

// The Gaussian of this block: number k of mixture r.
struct Place {
  Index gaussian, r, k;
};
GANMM_DEVICE Place place_of_block(Index components) {
  const Index gaussian = device::block_index_y();
  const Index r = gaussian / components;
  return {gaussian, r, gaussian - r * components};
}

// ---- log densities ------------------------------------------------------------------------------

GANMM_BLOCK_KERNEL(kThreads)
gaussian_log_density_kernel(Rows<double> log_density, Rows<const float> data, Index rows,
                            GaussianView gaussians) {
  GANMM_SHARED(double, x_tile, kDensityRows* kPitch);
  GANMM_SHARED(double, factor_tile, kTile* kPitch);
  const Index features = gaussians.features;
  const Place place = place_of_block(gaussians.components);
  const Index gaussian = place.gaussian, r = place.r, k = place.k;
  const double* mean = gaussians.mean + gaussian * features;
  const double* factor = gaussians.factor + (gaussians.shared ? r : gaussian) * features * features;
  const Index first_row = block_row(kDensityRows);
  const int tx = device::thread_index_x() % kSide, ty = device::thread_index_x() / kSide;
  const int load_column = device::thread_index_x() % kTile;
  const int load_row = device::thread_index_x() / kTile;

  double length[kRowsOfThread] = {};
  for (Index column = 0; column < features; column += kTile) {
    double sum[kRowsOfThread][kColumnsOfThread] = {};
    for (Index depth = 0; depth <= column; depth += kTile) {
      device::sync_threads();  // the tiles of the turn before have been read
      const Index i = depth + load_column;
      for (int row = load_row; row < kDensityRows; row += kThreads / kTile) {
        const bool inside = first_row + row < rows && i < features;
        x_tile[row * kPitch + load_column] =
            inside ? static_cast<double>(at(data, r, first_row + row, i)) - mean[i] : 0.0;
      }
      const Index j = column + load_column;
      for (int row = load_row; row < kTile; row += kThreads / kTile) {
        const bool inside = depth + row < features && j < features;
        factor_tile[row * kPitch + load_column] =
            inside ? factor[(depth + row) * features + j] : 0.0;
      }
      device::sync_threads();
      for (int d = 0; d < kTile; ++d) {
        double y[kColumnsOfThread];
        GANMM_UNROLL
        for (unsigned b = 0; b < kColumnsOfThread; ++b) {
          y[b] = factor_tile[d * kPitch + tx + static_cast<int>(b) * kSide];
        }
        GANMM_UNROLL
        for (unsigned a = 0; a < kRowsOfThread; ++a) {
          const double x = x_tile[(ty + static_cast<int>(a) * kSide) * kPitch + d];
          GANMM_UNROLL
          for (unsigned b = 0; b < kColumnsOfThread; ++b) sum[a][b] += x * y[b];
        }
      }
    }
    GANMM_UNROLL
    for (unsigned a = 0; a < kRowsOfThread; ++a) {
      GANMM_UNROLL
      for (unsigned b = 0; b < kColumnsOfThread; ++b) length[a] += sum[a][b] * sum[a][b];
    }
  }
  GANMM_UNROLL
  for (unsigned a = 0; a < kRowsOfThread; ++a) {
    const double all = lanes_sum(length[a], kSide);  // the threads with the same rows
    const Index row = first_row + ty + static_cast<int>(a) * kSide;
    if (tx == 0 && row < rows) {
      at(log_density, r, row, k) = gaussians.offset[gaussian] - 0.5 * all;
    }
  }
}

GANMM_KERNEL diagonal_log_density_kernel(Rows<double> log_density, Rows<const float> data,
                                         Index rows, GaussianView gaussians, int lanes) {
  const Index features = gaussians.features;
  const Place place = place_of_block(gaussians.components);
  const Index gaussian = place.gaussian, r = place.r, k = place.k;
  const double* mean = gaussians.mean + gaussian * features;
  const double* factor = gaussians.factor + gaussian * features;
  const int lane = device::thread_index_x() % lanes;
  const Index row = block_row(kThreads / lanes) + device::thread_index_x() / lanes;
  const bool used = row < rows;  // every thread goes on to the exchange of sums
  double length = 0;
  if (used) {
    for (Index i = lane; i < features; i += lanes) {
      const double y = (static_cast<double>(at(data, r, row, i)) - mean[i]) * factor[i];
      length += y * y;
    }
  }
  length = lanes_sum(length, lanes);
  if (used && lane == 0) {
    at(log_density, r, row, k) = gaussians.offset[gaussian] - 0.5 * length;
  }
}

// ---- responsibilities ---------------------------------------------------------------------------

// block_total: [R][blocks], the sum of the block's rows.
GANMM_KERNEL responsibilities_kernel(double* block_total, Rows<double> density, Index rows,
                                     Index components) {
  GANMM_SHARED(double, scratch, device::kWarpSize);
  const Index r = device::block_index_y();
  const Index row = block_row(kThreads) + device::thread_index_x();
  double log_sum = 0;
  if (row < rows) {
    double* own = row_at(density, r, row);
    double largest = own[0];
    for (Index k = 1; k < components; ++k) largest = largest < own[k] ? own[k] : largest;
    double sum = 0;
    for (Index k = 0; k < components; ++k) sum += exp(own[k] - largest);
    log_sum = largest + log(sum);
    for (Index k = 0; k < components; ++k) own[k] = exp(own[k] - log_sum);
  }
  log_sum = block_sum(log_sum, scratch);
  if (device::thread_index_x() == 0) {
    block_total[r * device::grid_size_x() + device::block_index_x()] = log_sum;
  }
}

GANMM_KERNEL add_totals_kernel(double* total, const double* block_total, Index blocks) {
  GANMM_SHARED(double, scratch, device::kWarpSize);
  const Index r = device::block_index_x();
  double sum = 0;
  for (Index i = device::thread_index_x(); i < blocks; i += kThreads) {
    sum += block_total[r * blocks + i];
  }
  sum = block_sum(sum, scratch);
  if (device::thread_index_x() == 0) total[r] = sum;
}

Index responsibility_blocks(Index rows) { return (rows + kThreads - 1) / kThreads; }

// ---- moments ------------------------------------------------------------------------------------

struct MomentSizes {
  Index rows, features, tiles, slices;
  Index slice;  // rows

  static MomentSizes of(Index rows, Index features, bool diagonal) {
    constexpr Index enough = 64, fewest_rows = 256;
    const Index side = std::max<Index>(1, ((diagonal ? 0 : 1) + features + kTile - 1) / kTile);
    const Index tiles = diagonal ? side : side * (side + 1) / 2;
    const Index most = std::max<Index>(1, (rows + fewest_rows - 1) / fewest_rows);
    const Index slices = std::min(most, std::max<Index>(1, enough / tiles));
    return {rows, features, tiles, slices, (rows + slices - 1) / slices};
  }
};

// partial: [slices][R*N][1 + D + D*D], second moments in the upper triangle alone.
GANMM_BLOCK_KERNEL(kThreads)
moments_kernel(double* partial, Rows<const double> weight, Rows<const float> data,
               const double* shift, MomentSizes sizes, Index components) {
  GANMM_SHARED(double, left, kTile* kPitch);   // w * e of the rows and features of the tile
  GANMM_SHARED(double, right, kTile* kPitch);  // e
  const Index features = sizes.features;
  const Index slice = device::block_index_x() / sizes.tiles;
  Index row_tile = 0, column_tile = device::block_index_x() - slice * sizes.tiles;
  // The upper triangle row by row: `width` tiles, then one less.
  for (Index width = (features + kTile) / kTile; column_tile >= width; --width) {
    column_tile -= width;
    ++row_tile;
  }
  column_tile += row_tile;
  const Place place = place_of_block(components);
  const Index gaussian = place.gaussian, r = place.r, k = place.k;
  const double* centre = shift + gaussian * features;
  const int tx = device::thread_index_x() % kSide, ty = device::thread_index_x() / kSide;
  const int load_column = device::thread_index_x() % kTile;
  const int load_row = device::thread_index_x() / kTile;
  // Element e of a row that begins with a 1.
  const auto element = [&](Index row, Index e) {
    if (e == 0) return 1.0;
    return e <= features ? static_cast<double>(at(data, r, row, e - 1)) - centre[e - 1] : 0.0;
  };

  double sum[2][2] = {};
  const Index begin = slice * sizes.slice;
  const Index end = begin + sizes.slice < sizes.rows ? begin + sizes.slice : sizes.rows;
  for (Index first = begin; first < end; first += kTile) {
    device::sync_threads();  // the tiles of the turn before have been read
    for (int row = load_row; row < kTile; row += kThreads / kTile) {
      const bool inside = first + row < end;
      const int at_tile = row * kPitch + load_column;
      left[at_tile] = inside ? at(weight, r, first + row, k) *
                                   element(first + row, row_tile * kTile + load_column)
                             : 0.0;
      right[at_tile] = inside ? element(first + row, column_tile * kTile + load_column) : 0.0;
    }
    device::sync_threads();
    for (int row = 0; row < kTile; ++row) {
      const double* a = left + row * kPitch + ty;
      const double* b = right + row * kPitch + tx;
      const double a0 = a[0], a1 = a[kSide], b0 = b[0], b1 = b[kSide];
      sum[0][0] += a0 * b0;
      sum[0][1] += a0 * b1;
      sum[1][0] += a1 * b0;
      sum[1][1] += a1 * b1;
    }
  }
  double* own =
      partial + (slice * device::grid_size_y() + gaussian) * (1 + features * (1 + features));
  for (unsigned a = 0; a < 2; ++a) {
    for (unsigned b = 0; b < 2; ++b) {
      const Index i = row_tile * kTile + ty + static_cast<int>(a) * kSide;
      const Index j = column_tile * kTile + tx + static_cast<int>(b) * kSide;
      if (i > j || j > features) continue;
      own[i == 0 ? j : 1 + features + (i - 1) * features + (j - 1)] = sum[a][b];
    }
  }
}

constexpr int kDiagonalRows = kThreads / kTile;

// partial: [slices][R*N][1 + 2 D].
GANMM_KERNEL diagonal_moments_kernel(double* partial, Rows<const double> weight,
                                     Rows<const float> data, const double* shift, MomentSizes sizes,
                                     Index components) {
  GANMM_SHARED(double, sums, 3 * kThreads);
  const Index features = sizes.features;
  const Index slice = device::block_index_x() / sizes.tiles;
  const Index first_feature = (device::block_index_x() - slice * sizes.tiles) * kTile;
  const Place place = place_of_block(components);
  const Index gaussian = place.gaussian, r = place.r, k = place.k;
  const int thread = device::thread_index_x();
  const Index i = first_feature + thread % kTile;
  const double centre = i < features ? shift[gaussian * features + i] : 0.0;
  double count = 0, first = 0, second = 0;
  const Index begin = slice * sizes.slice;
  const Index end = begin + sizes.slice < sizes.rows ? begin + sizes.slice : sizes.rows;
  for (Index row = begin + thread / kTile; row < end; row += kDiagonalRows) {
    const double w = at(weight, r, row, k);
    const double d = i < features ? static_cast<double>(at(data, r, row, i)) - centre : 0.0;
    count += w;
    first += w * d;
    second += w * d * d;
  }
  sums[thread] = count;
  sums[kThreads + thread] = first;
  sums[2 * kThreads + thread] = second;
  device::sync_threads();
  if (thread >= kTile || i >= features) return;
  for (int row = 1; row < kDiagonalRows; ++row) {
    count += sums[row * kTile + thread];
    first += sums[kThreads + row * kTile + thread];
    second += sums[2 * kThreads + row * kTile + thread];
  }
  double* own = partial + (slice * device::grid_size_y() + gaussian) * (1 + 2 * features);
  if (i == 0) own[0] = count;
  own[1 + i] = first;
  own[1 + features + i] = second;
}

// moments[e] = sum over slices of partial[slice][e], the lower triangle from the upper one.
GANMM_KERNEL add_slices_kernel(double* moments, const double* partial, Index features, Index count,
                               Index slices, bool diagonal) {
  const Index gaussian = device::block_index_y();
  const Index e = block_row(kThreads) + device::thread_index_x();
  if (e >= count) return;
  Index from = e;
  if (!diagonal && e > features) {
    const Index second = e - 1 - features;
    const Index i = second / features, j = second - i * features;
    if (i > j) from = 1 + features + j * features + i;
  }
  double sum = 0;
  for (Index slice = 0; slice < slices; ++slice) {
    sum += partial[(slice * device::grid_size_y() + gaussian) * count + from];
  }
  moments[gaussian * count + e] = sum;
}

Index partial_moments(Index gaussians, const MomentSizes& sizes, bool diagonal) {
  return checked_multiply(checked_multiply(sizes.slices, gaussians),
                          moment_count(sizes.features, diagonal));
}

template <class T>
Rows<T> rows_of(const GroupView<T>& view, Index groups) {
  return {view.data, view.groups == 1 && groups > 1 ? 0 : view.group_stride, view.batch_stride};
}

}  // namespace

template <class T>
void gaussian_log_density(Context& ctx, GroupView<double> log_density, GroupView<const T> data,
                          const GaussianView& gaussians) {
  const Index rows = log_density.batch;
  const Index count = checked_multiply(gaussians.mixtures, gaussians.components);
  if (rows == 0 || count == 0) return;
  const auto out = rows_of(log_density, log_density.groups);
  const auto in = rows_of(data, log_density.groups);
  if (gaussians.diagonal) {
    const int lanes = threads_per_row(gaussians.features);
    const Index rows_per_block = kThreads / lanes;
    launch(ctx, "diagonal_log_density",
           {(rows + rows_per_block - 1) / rows_per_block, count, 1, kThreads},
           diagonal_log_density_kernel, out, in, rows, gaussians, lanes);
    return;
  }
  launch(ctx, "gaussian_log_density",
         {(rows + kDensityRows - 1) / kDensityRows, count, 1, kThreads},
         gaussian_log_density_kernel, out, in, rows, gaussians);
}

void responsibilities(Context& ctx, double* total, GroupView<double> density) {
  if (density.groups == 0) return;
  const Index blocks = responsibility_blocks(density.batch);
  Scratch::Frame frame(ctx.scratch());
  auto* block_total = frame.take<double>(density.groups * blocks);
  if (blocks > 0) {
    launch(ctx, "responsibilities", {blocks, density.groups, 1, kThreads}, responsibilities_kernel,
           block_total, rows_of(density, density.groups), density.batch, density.features());
  }
  launch(ctx, "add_totals", {density.groups, 1, 1, kThreads}, add_totals_kernel, total, block_total,
         blocks);
}

Index responsibilities_workspace(Index mixtures, Index rows) {
  return aligned_bytes<double>(checked_multiply(mixtures, responsibility_blocks(rows)));
}

template <class T>
void weighted_moments(Context& ctx, double* moments, GroupView<const double> weight,
                      GroupView<const T> data, const double* shift, bool diagonal) {
  const Index features = data.features(), components = weight.features();
  const Index gaussians = checked_multiply(weight.groups, components);
  if (gaussians == 0) return;
  const Index count = moment_count(features, diagonal);
  const MomentSizes sizes = MomentSizes::of(weight.batch, features, diagonal);
  Scratch::Frame frame(ctx.scratch());
  auto* partial = frame.take<double>(partial_moments(gaussians, sizes, diagonal));
  const LaunchShape shape{checked_multiply(sizes.tiles, sizes.slices), gaussians, 1, kThreads};
  const auto w = rows_of(weight, weight.groups);
  const auto x = rows_of(data, weight.groups);
  if (diagonal) {
    launch(ctx, "diagonal_moments", shape, diagonal_moments_kernel, partial, w, x, shift, sizes,
           components);
  } else {
    launch(ctx, "moments", shape, moments_kernel, partial, w, x, shift, sizes, components);
  }
  launch(ctx, "add_slices", {(count + kThreads - 1) / kThreads, gaussians, 1, kThreads},
         add_slices_kernel, moments, partial, features, count, sizes.slices, diagonal);
}

Index moments_workspace(Index mixtures, Index components, Index rows, Index features,
                        bool diagonal) {
  return aligned_bytes<double>(partial_moments(
      checked_multiply(mixtures, components), MomentSizes::of(rows, features, diagonal), diagonal));
}

template void gaussian_log_density<float>(Context&, GroupView<double>, GroupView<const float>,
                                          const GaussianView&);
template void weighted_moments<float>(Context&, double*, GroupView<const double>,
                                      GroupView<const float>, const double*, bool);

}  // namespace ganmm::kernels::cuda
