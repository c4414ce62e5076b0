// Student t clusters, contracts in kernels/student.h.
//
// All but the centres' gradient: a thread per row, which computes its distances to all centres and
// keeps them in its row of the output. The centres are the same for all threads and come from the
// caches. Bound by latency for a batch, by the uncoalesced rows for a whole data set; either is
// little beside the products that made the codes.
// The centres' gradient: a block per centre and feature, its threads walk over the rows; the sum is
// in double, in an order that depends on the number of rows alone.
#include "kernels/backend.h"
#include "kernels/cuda/sums.h"

namespace ganmm::kernels::cuda {

namespace {

constexpr int kThreads = 128;

// Calls f(row number) for the row of this thread, if there is one.
template <class F>
GANMM_DEVICE void for_own_row(Index rows, F f) {
  const Index b = Index{device::block_index_x()} * kThreads + device::thread_index_x();
  if (b < rows) f(b);
}

LaunchShape row_launch(Index groups, Index rows) {
  return {(rows + kThreads - 1) / kThreads, groups, 1, kThreads};
}

// t[j] of one row. Returns their sum.
GANMM_DEVICE float kernel_row(float* t, const float* z, const float* centre, Index clusters,
                              Index features) {
  float sum = 0;
  for (Index j = 0; j < clusters; ++j) {
    float distance = 0;
    for (Index i = 0; i < features; ++i) {
      const float difference = z[i] - centre[j * features + i];
      distance += difference * difference;
    }
    t[j] = 1.0f / (1.0f + distance);
    sum += t[j];
  }
  return sum;
}

GANMM_KERNEL student_assign_kernel(Rows<float> q, std::int32_t* label, Index label_stride,
                                   Rows<const float> code, const float* centre, Index centre_stride,
                                   Index rows, Index clusters, Index features) {
  const Index group = device::block_index_y();
  for_own_row(rows, [&](Index b) {
    float* row = row_at(q, group, b);
    const float sum =
        kernel_row(row, row_at(code, group, b), centre + group * centre_stride, clusters, features);
    Index best = 0;
    for (Index j = 1; j < clusters; ++j) {
      if (row[j] > row[best]) best = j;
    }
    for (Index j = 0; j < clusters; ++j) row[j] /= sum;
    label[group * label_stride + b] = static_cast<std::int32_t>(best);
  });
}

// No __restrict__: p may be q.
GANMM_KERNEL student_target_kernel(Rows<float> p, Rows<const float> q, const float* frequency,
                                   Index frequency_stride, Index rows, Index clusters) {
  const Index group = device::block_index_y();
  for_own_row(rows, [&](Index b) {
    const float* from = row_at(q, group, b);
    const float* f = frequency + group * frequency_stride;
    float* to = row_at(p, group, b);
    float sum = 0;
    for (Index j = 0; j < clusters; ++j) {
      to[j] = f[j] > 0 ? from[j] * (from[j] / f[j]) : 0.0f;
      sum += to[j];
    }
    for (Index j = 0; j < clusters; ++j) to[j] /= sum;
  });
}

GANMM_KERNEL student_code_gradient_kernel(Rows<float> d_code, Rows<float> weight,
                                          Rows<const float> code, const float* centre,
                                          Index centre_stride, Rows<const float> target, Index rows,
                                          Index clusters, Index features, float factor) {
  const Index group = device::block_index_y();
  for_own_row(rows, [&](Index b) {
    const float* z = row_at(code, group, b);
    const float* p = row_at(target, group, b);
    const float* mu = centre + group * centre_stride;
    float* w = row_at(weight, group, b);
    float* d = row_at(d_code, group, b);
    const float sum = kernel_row(w, z, mu, clusters, features);
    for (Index j = 0; j < clusters; ++j) w[j] *= factor * (p[j] - w[j] / sum);
    for (Index i = 0; i < features; ++i) {
      float total = 0;
      for (Index j = 0; j < clusters; ++j) total += w[j] * (z[i] - mu[j * features + i]);
      d[i] = total;
    }
  });
}

GANMM_KERNEL student_centre_gradient_kernel(float* d_centre, Index d_centre_stride,
                                            Rows<const float> weight, Rows<const float> code,
                                            const float* centre, Index centre_stride, Index rows,
                                            Index features) {
  GANMM_SHARED(double, scratch, device::kWarpSize);
  const Index group = device::block_index_y();
  const Index element = device::block_index_x();
  const Index j = element / features, i = element - j * features;
  const float mu = centre[group * centre_stride + element];
  double sum = 0;
  for (Index b = device::thread_index_x(); b < rows; b += device::block_size_x()) {
    sum += static_cast<double>(at(weight, group, b, j) * (at(code, group, b, i) - mu));
  }
  sum = block_sum(sum, scratch);
  if (device::thread_index_x() == 0) {
    d_centre[group * d_centre_stride + element] = static_cast<float>(-sum);
  }
}

template <class T>
Rows<T> rows_of(const GroupView<T>& view) {
  return {view.data, view.group_stride, view.batch_stride};
}

}  // namespace

template <class T>
void student_assign(Context& ctx, GroupView<T> q, std::int32_t* label, Index label_stride,
                    GroupView<const T> code, ParamView<const T> centre) {
  if (q.groups == 0 || q.batch == 0) return;
  launch(ctx, "student_assign", row_launch(q.groups, q.batch), student_assign_kernel, rows_of(q),
         label, label_stride, rows_of(code), centre.data, centre.group_stride, q.batch,
         q.features(), code.features());
}

template <class T>
void student_target(Context& ctx, GroupView<T> p, GroupView<const T> q,
                    ParamView<const T> frequency) {
  if (q.groups == 0 || q.batch == 0) return;
  launch(ctx, "student_target", row_launch(q.groups, q.batch), student_target_kernel, rows_of(p),
         rows_of(q), frequency.data, frequency.group_stride, q.batch, q.features());
}

template <class T>
void student_code_gradient(Context& ctx, GroupView<T> d_code, GroupView<T> weight,
                           GroupView<const T> code, ParamView<const T> centre,
                           GroupView<const T> target, double scale) {
  if (code.groups == 0 || code.batch == 0) return;
  launch(ctx, "student_code_gradient", row_launch(code.groups, code.batch),
         student_code_gradient_kernel, rows_of(d_code), rows_of(weight), rows_of(code), centre.data,
         centre.group_stride, rows_of(target), code.batch, target.features(), code.features(),
         static_cast<float>(2 * scale));
}

template <class T>
void student_centre_gradient(Context& ctx, ParamView<T> d_centre, GroupView<const T> weight,
                             GroupView<const T> code, ParamView<const T> centre) {
  const Index elements = d_centre.count();
  if (d_centre.groups == 0 || elements == 0) return;
  launch(ctx, "student_centre_gradient",
         {elements, d_centre.groups, 1, threads_for_rows(code.batch, 1, 256)},
         student_centre_gradient_kernel, d_centre.data, d_centre.group_stride, rows_of(weight),
         rows_of(code), centre.data, centre.group_stride, code.batch, code.features());
}

template void student_assign<float>(Context&, GroupView<float>, std::int32_t*, Index,
                                    GroupView<const float>, ParamView<const float>);
template void student_target<float>(Context&, GroupView<float>, GroupView<const float>,
                                    ParamView<const float>);
template void student_code_gradient<float>(Context&, GroupView<float>, GroupView<float>,
                                           GroupView<const float>, ParamView<const float>,
                                           GroupView<const float>, double);
template void student_centre_gradient<float>(Context&, ParamView<float>, GroupView<const float>,
                                             GroupView<const float>, ParamView<const float>);

}  // namespace ganmm::kernels::cuda
