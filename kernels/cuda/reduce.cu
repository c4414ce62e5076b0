// group_mean, row_sums, row_squared_norms: sums in double, formulas in kernels/reduce.h.
//
// A row belongs to 1 to 32 neighbouring threads (kernels/cuda/sums.h), so that rows of 6 numbers
// and rows of 784 both keep whole warps busy; rows are spread over the grid. Bound by memory
// bandwidth. The mean of a group is made by one block: it is taken of the scores of a batch, some
// hundred numbers, where the launch is what costs.
#include "kernels/backend.h"
#include "kernels/cuda/sums.h"

namespace ganmm::kernels::cuda {

namespace {

constexpr int kRowThreads = 256;   // at most
constexpr int kMeanThreads = 512;  // at most

template <class T, class Term>
GANMM_KERNEL sum_rows_kernel(Rows<float> out, Rows<const T> x, Index batch, Index features,
                             int lanes, bool packed, Term term) {
  const int lane = device::thread_index_x() % lanes;
  const Index group = device::block_index_y();
  const Index b = Index{device::block_index_x()} * (device::block_size_x() / lanes) +
                  device::thread_index_x() / lanes;
  const bool used = b < batch;  // every thread goes on to the exchange of sums
  double sum = used ? row_part(row_at(x, group, b), features, lane, lanes, packed, term) : 0.0;
  sum = lanes_sum(sum, lanes);
  if (used && lane == 0) at(out, group, b, 0) = static_cast<float>(sum);
}

template <class T>
GANMM_KERNEL group_mean_kernel(float* out, Index out_stride, Rows<const T> x, Index batch,
                               Index features, int lanes, bool packed) {
  GANMM_SHARED(double, scratch, device::kWarpSize);
  const int lane = device::thread_index_x() % lanes;
  const Index group = device::block_index_x();
  double sum = 0;
  const Index step = device::block_size_x() / lanes;
  for (Index b = device::thread_index_x() / lanes; b < batch; b += step) {
    sum += row_part(row_at(x, group, b), features, lane, lanes, packed, Identity{});
  }
  sum = block_sum(sum, scratch);
  if (device::thread_index_x() == 0) {
    const double count = static_cast<double>(batch) * static_cast<double>(features);
    out[group * out_stride] = count > 0 ? static_cast<float>(sum / count) : 0.0f;
  }
}

template <class T>
bool chunks_packed(const GroupView<const T>& x) {
  return packs_fit<kRowChunk>({x.groups, x.batch, x.features()}, x);
}

template <class Term, class T>
void sum_rows(Context& ctx, const char* name, const GroupView<float>& out,
              const GroupView<const T>& x) {
  if (x.groups == 0 || x.batch == 0) return;
  const int lanes = threads_per_row(x.features());
  const int threads = threads_for_rows(x.batch, lanes, kRowThreads);
  const Index rows_per_block = threads / lanes;
  launch(ctx, name, {(x.batch + rows_per_block - 1) / rows_per_block, x.groups, 1, threads},
         sum_rows_kernel<T, Term>, Rows<float>{out.data, out.group_stride, out.batch_stride},
         Rows<const T>{x.data, x.group_stride, x.batch_stride}, x.batch, x.features(), lanes,
         chunks_packed(x), Term{});
}

}  // namespace

template <class T>
void group_mean(Context& ctx, ParamView<Master<T>> out, GroupView<const T> x) {
  if (x.groups == 0) return;
  const int lanes = threads_per_row(x.features());
  const int threads = threads_for_rows(x.batch, lanes, kMeanThreads);
  launch(ctx, "group_mean", {x.groups, 1, 1, threads}, group_mean_kernel<T>, out.data,
         out.group_stride, Rows<const T>{x.data, x.group_stride, x.batch_stride}, x.batch,
         x.features(), lanes, chunks_packed(x));
}

template <class T>
void row_sums(Context& ctx, GroupView<Master<T>> out, GroupView<const T> x) {
  sum_rows<Identity>(ctx, "row_sums", out, x);
}

template <class T>
void row_squared_norms(Context& ctx, GroupView<Master<T>> out, GroupView<const T> x) {
  sum_rows<Square>(ctx, "row_squared_norms", out, x);
}

#define GANMM_INSTANTIATE(T)                                                                       \
  template void group_mean<T>(Context&, ParamView<Master<T>>, GroupView<const T>);                 \
  template void row_sums<T>(Context&, GroupView<Master<T>>, GroupView<const T>);                   \
  template void row_squared_norms<T>(Context&, GroupView<Master<T>>, GroupView<const T>);
GANMM_INSTANTIATE(float)
GANMM_INSTANTIATE(BFloat16)

}  // namespace ganmm::kernels::cuda
