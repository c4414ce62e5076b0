// Ten centres in ten dimensions: every op is a small part of the pass through the net that made the
// codes, so these are plain loops.
#include "kernels/student.h"

#include "kernels/backend.h"

#include <algorithm>

namespace ganmm::kernels::cpu {

namespace {

template <class T>
T squared_distance(const T* z, const T* mu, Index features) {
  T sum = 0;
  for (Index d = 0; d < features; ++d) {
    const T difference = z[d] - mu[d];
    sum += difference * difference;
  }
  return sum;
}

// t[j] of one row. Returns their sum.
template <class T>
T kernel_row(T* t, const T* z, const T* centre, Index clusters, Index features) {
  T sum = 0;
  for (Index j = 0; j < clusters; ++j) {
    t[j] = T{1} / (T{1} + squared_distance(z, centre + j * features, features));
    sum += t[j];
  }
  return sum;
}

}  // namespace

template <class T>
void student_assign(Context&, GroupView<T> q, std::int32_t* label, Index label_stride,
                    GroupView<const T> code, ParamView<const T> centre) {
  const Index clusters = q.features();
  for (Index g = 0; g < q.groups; ++g) {
    for (Index b = 0; b < q.batch; ++b) {
      T* row = q.row(g, b);
      const T sum = kernel_row(row, code.row(g, b), centre.group(g), clusters, code.features());
      label[g * label_stride + b] =
          static_cast<std::int32_t>(std::max_element(row, row + clusters) - row);
      for (Index j = 0; j < clusters; ++j) row[j] /= sum;
    }
  }
}

template <class T>
void student_target(Context&, GroupView<T> p, GroupView<const T> q, ParamView<const T> frequency) {
  const Index clusters = q.features();
  for (Index g = 0; g < q.groups; ++g) {
    const T* f = frequency.group(g);
    for (Index b = 0; b < q.batch; ++b) {
      const T* from = q.row(g, b);
      T* to = p.row(g, b);
      T sum = 0;
      for (Index j = 0; j < clusters; ++j) {
        to[j] = f[j] > 0 ? from[j] * (from[j] / f[j]) : T{0};
        sum += to[j];
      }
      for (Index j = 0; j < clusters; ++j) to[j] /= sum;
    }
  }
}

template <class T>
void student_code_gradient(Context&, GroupView<T> d_code, GroupView<T> weight,
                           GroupView<const T> code, ParamView<const T> centre,
                           GroupView<const T> target, double scale) {
  const Index clusters = target.features(), features = code.features();
  const T factor = static_cast<T>(2 * scale);
  for (Index g = 0; g < code.groups; ++g) {
    const T* mu = centre.group(g);
    for (Index b = 0; b < code.batch; ++b) {
      const T* z = code.row(g, b);
      const T* p = target.row(g, b);
      T* w = weight.row(g, b);
      T* d = d_code.row(g, b);
      const T sum = kernel_row(w, z, mu, clusters, features);
      std::fill_n(d, features, T{0});
      for (Index j = 0; j < clusters; ++j) {
        w[j] *= factor * (p[j] - w[j] / sum);
        for (Index i = 0; i < features; ++i) d[i] += w[j] * (z[i] - mu[j * features + i]);
      }
    }
  }
}

template <class T>
void student_centre_gradient(Context&, ParamView<T> d_centre, GroupView<const T> weight,
                             GroupView<const T> code, ParamView<const T> centre) {
  const Index clusters = weight.features(), features = code.features();
  for (Index g = 0; g < code.groups; ++g) {
    for (Index e = 0; e < clusters * features; ++e) {
      const Index j = e / features, i = e % features;
      const T mu = centre.group(g)[e];
      double sum = 0;
      for (Index b = 0; b < code.batch; ++b) {
        sum += static_cast<double>(weight.row(g, b)[j] * (code.row(g, b)[i] - mu));
      }
      d_centre.group(g)[e] = static_cast<T>(-sum);
    }
  }
}

#define GANMM_INSTANTIATE(T)                                                                       \
  template void student_assign<T>(Context&, GroupView<T>, std::int32_t*, Index,                    \
                                  GroupView<const T>, ParamView<const T>);                         \
  template void student_target<T>(Context&, GroupView<T>, GroupView<const T>, ParamView<const T>); \
  template void student_code_gradient<T>(Context&, GroupView<T>, GroupView<T>, GroupView<const T>, \
                                         ParamView<const T>, GroupView<const T>, double);          \
  template void student_centre_gradient<T>(Context&, ParamView<T>, GroupView<const T>,             \
                                           GroupView<const T>, ParamView<const T>);
GANMM_INSTANTIATE(float)
GANMM_INSTANTIATE(double)

}  // namespace ganmm::kernels::cpu
