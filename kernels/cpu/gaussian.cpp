#include "kernels/gaussian.h"

#include "kernels/backend.h"

#include <algorithm>
#include <cmath>

namespace ganmm::kernels::cpu {

namespace {

// Columns of a product x P that are made together, and rows whose products with the same part of a
// matrix follow each other. Every element is a sum in the order of the features, whatever they are.
constexpr Index kColumns = 8;
constexpr Index kRows = 8;

// |d P|^2 for one row d = x - mean.
template <class T>
double squared_length(const T* x, const double* mean, const double* factor, Index features) {
  double length = 0;
  for (Index first = 0; first < features; first += kColumns) {
    const Index columns = std::min(kColumns, features - first);
    double y[kColumns] = {};
    for (Index i = 0; i < first + columns; ++i) {
      const double difference = static_cast<double>(x[i]) - mean[i];
      const double* __restrict row = factor + i * features + first;
      if (columns == kColumns) {
        for (Index j = 0; j < kColumns; ++j) y[j] += difference * row[j];
      } else {
        for (Index j = 0; j < columns; ++j) y[j] += difference * row[j];
      }
    }
    for (Index j = 0; j < columns; ++j) length += y[j] * y[j];
  }
  return length;
}

template <class T>
double squared_length_diagonal(const T* x, const double* mean, const double* factor,
                               Index features) {
  double length = 0;
  for (Index i = 0; i < features; ++i) {
    const double y = (static_cast<double>(x[i]) - mean[i]) * factor[i];
    length += y * y;
  }
  return length;
}

// Adds the moments of `rows` <= kRows centred rows [rows][D], zeros beyond, of these weights.
void add_moments(double* __restrict moments, const double* weight, const double* __restrict centred,
                 Index features, bool diagonal) {
  double* __restrict first = moments + 1;
  double* __restrict second = first + features;
  for (Index b = 0; b < kRows; ++b) moments[0] += weight[b];
  for (Index i = 0; i < features; ++i) {
    double scaled[kRows];
    for (Index b = 0; b < kRows; ++b) {
      scaled[b] = weight[b] * centred[b * features + i];
      first[i] += scaled[b];
    }
    if (diagonal) {
      for (Index b = 0; b < kRows; ++b) second[i] += scaled[b] * centred[b * features + i];
      continue;
    }
    double* __restrict row = second + i * features;
    for (Index j = i; j < features; ++j) {
      double sum = row[j];
      for (Index b = 0; b < kRows; ++b) sum += scaled[b] * centred[b * features + j];
      row[j] = sum;
    }
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
      for (Index b = 0; b < log_density.batch; ++b) {
        const T* x = data.row(data.groups == 1 ? 0 : r, b);
        const double length = gaussians.diagonal
                                  ? squared_length_diagonal(x, mean, factor, features)
                                  : squared_length(x, mean, factor, features);
        log_density.row(r, b)[k] = gaussians.offset[g] - 0.5 * length;
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
  for (Index g = 0; g < weight.groups * components; ++g) {
    const Index r = g / components, k = g % components;
    const double* centre = shift + g * features;
    double* own = moments + g * count;
    std::fill_n(own, count, 0.0);
    for (Index first = 0; first < weight.batch; first += kRows) {
      double w[kRows] = {};
      for (Index b = 0; b < kRows; ++b) {
        double* row = centred + b * features;
        if (first + b >= weight.batch) {
          std::fill_n(row, features, 0.0);
          continue;
        }
        w[b] = weight.row(r, first + b)[k];
        const T* x = data.row(data.groups == 1 ? 0 : r, first + b);
        for (Index i = 0; i < features; ++i) row[i] = static_cast<double>(x[i]) - centre[i];
      }
      // Rows that belong to others, as most of them do.
      if (std::all_of(w, w + kRows, [](double value) { return value == 0; })) continue;
      add_moments(own, w, centred, features, diagonal);
    }
    if (diagonal) continue;
    double* second = own + 1 + features;
    for (Index i = 0; i < features; ++i) {
      for (Index j = 0; j < i; ++j) second[i * features + j] = second[j * features + i];
    }
  }
}

Index moments_workspace(Index features) {
  return aligned_bytes<double>(checked_multiply(kRows, features));
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
