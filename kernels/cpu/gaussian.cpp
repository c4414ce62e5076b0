#include "kernels/gaussian.h"

#include "kernels/backend.h"
#include "kernels/cpu/gemm_loops.h"

#include <algorithm>
#include <cmath>

namespace ganmm::kernels::cpu {

namespace {

// Rows that are multiplied together, and the side of the tiles of features in which they go through
// a factor: a tile of centred rows and one of their product are 32 KiB each.
constexpr Index kRows = 64;
constexpr Index kTile = 64;

// length[b] = |(x[b] - mean) P|^2 of `count` <= kRows rows from `first`. P is upper triangular: a
// tile of columns needs the features up to its last one alone. Every element of the product is a
// sum in the order of the features, whatever the tiles.
template <class T>
void squared_lengths(double* length, const GroupView<const T>& data, Index group, Index first,
                     Index count, const double* mean, const double* factor, Index features) {
  double centred[kRows * kTile];
  double product[kRows * kTile];
  std::fill_n(length, count, 0.0);
  for (Index column = 0; column < features; column += kTile) {
    const Index columns = std::min(kTile, features - column);
    for (Index feature = 0; feature <= column; feature += kTile) {
      const Index depth = std::min(kTile, features - feature);
      for (Index b = 0; b < count; ++b) {
        const T* x = data.row(group, first + b) + feature;
        for (Index i = 0; i < depth; ++i) {
          centred[b * kTile + i] = static_cast<double>(x[i]) - mean[feature + i];
        }
      }
      Product<double> p = {};
      p.c = product, p.c_row = kTile;
      p.a = centred, p.a_row = kTile, p.a_col = 1;
      p.b = factor + feature * features + column, p.b_row = features, p.b_col = 1;
      p.rows = count, p.cols = columns, p.inner = depth;
      p.accumulate = feature > 0;
      multiply(p);
    }
    for (Index b = 0; b < count; ++b) {
      for (Index j = 0; j < columns; ++j) {
        length[b] += product[b * kTile + j] * product[b * kTile + j];
      }
    }
  }
}

template <class T>
void squared_lengths_diagonal(double* length, const GroupView<const T>& data, Index group,
                              Index first, Index count, const double* mean, const double* factor,
                              Index features) {
  for (Index b = 0; b < count; ++b) {
    const T* x = data.row(group, first + b);
    length[b] = 0;
    for (Index i = 0; i < features; ++i) {
      const double y = (static_cast<double>(x[i]) - mean[i]) * factor[i];
      length[b] += y * y;
    }
  }
}

// second += the sum over `count` rows of scaled^T centred, both [rows][D]: the upper triangle, and
// what else the tiles on its diagonal cover.
void add_second_moments(double* second, const double* scaled, const double* centred, Index count,
                        Index features) {
  for (Index column = 0; column < features; column += kTile) {
    const Index columns = std::min(kTile, features - column);
    Product<double> p = {};
    p.c = second + column, p.c_row = features;
    p.a = scaled, p.a_row = 1, p.a_col = features;
    p.b = centred + column, p.b_row = features, p.b_col = 1;
    p.rows = column + columns, p.cols = columns, p.inner = count;
    p.accumulate = true;
    multiply(p);
  }
}

}  // namespace

template <class T>
void gaussian_log_density(Context&, GroupView<double> log_density, GroupView<const T> data,
                          const GaussianView& gaussians) {
  const Index components = gaussians.components, features = gaussians.features;
  for (Index r = 0; r < log_density.groups; ++r) {
    for (Index k = 0; k < components; ++k) {
      const Index g = r * components + k;
      const double* mean = gaussians.mean + g * features;
      const double* factor =
          gaussians.factor + (gaussians.shared ? r : g) * gaussians.factor_elements();
      const auto measure = gaussians.diagonal ? squared_lengths_diagonal<T> : squared_lengths<T>;
      for (Index first = 0; first < log_density.batch; first += kRows) {
        const Index count = std::min(kRows, log_density.batch - first);
        double length[kRows];
        measure(length, data, data.groups == 1 ? 0 : r, first, count, mean, factor, features);
        for (Index b = 0; b < count; ++b) {
          log_density.row(r, first + b)[k] = gaussians.offset[g] - 0.5 * length[b];
        }
      }
    }
  }
}

void responsibilities(Context&, double* total, GroupView<double> density) {
  const Index components = density.features();
  for (Index r = 0; r < density.groups; ++r) {
    total[r] = 0;
    for (Index b = 0; b < density.batch; ++b) {
      double* row = density.row(r, b);
      const double largest = *std::max_element(row, row + components);
      double sum = 0;
      for (Index k = 0; k < components; ++k) sum += std::exp(row[k] - largest);
      const double log_sum = largest + std::log(sum);
      for (Index k = 0; k < components; ++k) row[k] = std::exp(row[k] - log_sum);
      total[r] += log_sum;
    }
  }
}

template <class T>
void weighted_moments(Context& ctx, double* moments, GroupView<const double> weight,
                      GroupView<const T> data, const double* shift, bool diagonal) {
  const Index components = weight.features(), features = data.features();
  const Index count = moment_count(features, diagonal);
  Scratch::Frame frame(ctx.scratch());
  auto* centred = frame.take<double>(kRows * features);
  auto* scaled = frame.take<double>(kRows * features);
  for (Index g = 0; g < weight.groups * components; ++g) {
    const Index r = g / components, k = g % components;
    const double* centre = shift + g * features;
    double* __restrict first = moments + g * count + 1;
    double* __restrict second = first + features;
    std::fill_n(moments + g * count, count, 0.0);
    Index held = 0;  // rows that wait for their products
    for (Index b = 0; b < weight.batch; ++b) {
      const double w = weight.row(r, b)[k];
      if (w == 0) continue;  // a row that belongs to others, as most of them do
      const T* x = data.row(data.groups == 1 ? 0 : r, b);
      double* __restrict row = centred + held * features;
      double* __restrict own = scaled + held * features;
      moments[g * count] += w;
      for (Index i = 0; i < features; ++i) {
        row[i] = static_cast<double>(x[i]) - centre[i];
        own[i] = w * row[i];
        first[i] += own[i];
      }
      if (diagonal) {
        for (Index i = 0; i < features; ++i) second[i] += own[i] * row[i];
      } else if (++held == kRows) {
        add_second_moments(second, scaled, centred, held, features);
        held = 0;
      }
    }
    if (diagonal) continue;
    add_second_moments(second, scaled, centred, held, features);
    for (Index i = 0; i < features; ++i) {
      for (Index j = 0; j < i; ++j) second[i * features + j] = second[j * features + i];
    }
  }
}

Index moments_workspace(Index features) {
  return 2 * aligned_bytes<double>(checked_multiply(kRows, features));
}

template void gaussian_log_density<float>(Context&, GroupView<double>, GroupView<const float>,
                                          const GaussianView&);
template void gaussian_log_density<double>(Context&, GroupView<double>, GroupView<const double>,
                                           const GaussianView&);
template void weighted_moments<float>(Context&, double*, GroupView<const double>,
                                      GroupView<const float>, const double*, bool);
template void weighted_moments<double>(Context&, double*, GroupView<const double>,
                                       GroupView<const double>, const double*, bool);

}  // namespace ganmm::kernels::cpu
