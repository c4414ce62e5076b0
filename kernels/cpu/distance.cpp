#include "kernels/distance.h"

#include "kernels/backend.h"

#include <algorithm>

namespace ganmm::kernels::cpu {

namespace {

// Interleaved partial sums per distance, added up by a fixed tree; with kCentres centres at once
// they fill the vector registers and every element of the row is loaded once for all of them.
constexpr Index kLanes = 8;
constexpr Index kCentres = 4;

// out[j] = sum_d (x_d - centre_j,d)^2 for the `Count` centres that lie one after another at c.
// The order of the additions does not depend on Count, so equal centres have equal distances.
template <Index Count, class T>
void distances(T* out, const T* __restrict x, const T* __restrict c, Index stride, Index features) {
  T lane[static_cast<std::size_t>(Count)][kLanes] = {};
  Index d = 0;
  for (; d + kLanes <= features; d += kLanes) {
    for (Index j = 0; j < Count; ++j) {
      for (Index l = 0; l < kLanes; ++l) {
        const T difference = x[d + l] - c[j * stride + d + l];
        lane[j][l] += difference * difference;
      }
    }
  }
  for (Index j = 0; j < Count; ++j) {
    T* a = lane[j];
    for (Index l = 0; d + l < features; ++l) {
      const T difference = x[d + l] - c[j * stride + d + l];
      a[l] += difference * difference;
    }
    out[j] = ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]));
  }
}

}  // namespace

template <class T>
void nearest_centre(Context&, std::int32_t* label, T* distance, Index label_stride,
                    GroupView<const T> data, GroupView<const T> centre) {
  const Index features = data.features();
  for (Index g = 0; g < centre.groups; ++g) {
    const Index data_group = data.groups == 1 ? 0 : g;
    for (Index b = 0; b < data.batch; ++b) {
      const T* x = data.row(data_group, b);
      T best = 0;
      Index nearest = 0;
      for (Index k = 0; k < centre.batch;) {
        T found[kCentres];
        const Index count = centre.batch - k >= kCentres ? kCentres : 1;
        if (count == kCentres) {
          distances<kCentres>(found, x, centre.row(g, k), centre.batch_stride, features);
        } else {
          distances<1>(found, x, centre.row(g, k), centre.batch_stride, features);
        }
        for (Index j = 0; j < count; ++j, ++k) {
          if (k > 0 && !(found[j] < best)) continue;
          best = found[j];
          nearest = k;
        }
      }
      label[g * label_stride + b] = static_cast<std::int32_t>(nearest);
      if (distance != nullptr) distance[g * label_stride + b] = best;
    }
  }
}

template <class T>
void centre_sums(Context&, double* sum, double* count, Index centres, const std::int32_t* label,
                 Index label_stride, GroupView<const T> data) {
  const Index features = data.features();
  for (Index g = 0; g < data.groups; ++g) {
    for (Index b = 0; b < data.batch; ++b) {
      const Index k = g * centres + label[g * label_stride + b];
      const T* __restrict x = data.row(g, b);
      double* __restrict total = sum + k * features;
      for (Index d = 0; d < features; ++d) total[d] += static_cast<double>(x[d]);
      count[k] += 1.0;
    }
  }
}

template void nearest_centre<float>(Context&, std::int32_t*, float*, Index, GroupView<const float>,
                                    GroupView<const float>);
template void nearest_centre<double>(Context&, std::int32_t*, double*, Index,
                                     GroupView<const double>, GroupView<const double>);
template void centre_sums<float>(Context&, double*, double*, Index, const std::int32_t*, Index,
                                 GroupView<const float>);
template void centre_sums<double>(Context&, double*, double*, Index, const std::int32_t*, Index,
                                  GroupView<const double>);

}  // namespace ganmm::kernels::cpu
