// score_statistics: one block per critic, which reads its scores twice, some hundred numbers that
// the first-level cache keeps; the launch is what costs.
//
// join_scores: a transposition of critics and rows, a thread per logit. Writes are coalesced; the
// scores that neighbours read lie in N groups, and all scores of a chunk fit in the second-level
// cache.
//
// share_centres: one thread per critic, bound by its launch.
#include "kernels/backend.h"
#include "kernels/cuda/sums.h"

namespace ganmm::kernels::cuda {

namespace {

constexpr int kStatisticsThreads = 512;  // at most

template <class T>
GANMM_KERNEL score_statistics_kernel(float* centre, Index centre_stride, float* scale,
                                     Index scale_stride, Rows<const T> score, Index batch) {
  GANMM_SHARED(double, scratch, device::kWarpSize);
  GANMM_SHARED(double, mean, 1);
  const Index group = device::block_index_x();
  const int thread = device::thread_index_x();
  const auto value = [&](Index b) {
    return static_cast<double>(static_cast<float>(at(score, group, b, 0)));
  };
  double sum = 0;
  for (Index b = thread; b < batch; b += device::block_size_x()) sum += value(b);
  sum = block_sum(sum, scratch);
  if (thread == 0) {
    mean[0] = batch > 0 ? sum / static_cast<double>(batch) : 0.0;
    centre[group * centre_stride] = static_cast<float>(mean[0]);
  }
  if (scale == nullptr) return;
  device::sync_threads();  // the mean is there, and scratch is free again
  double squares = 0;
  for (Index b = thread; b < batch; b += device::block_size_x()) {
    const double deviation = value(b) - mean[0];
    squares += deviation * deviation;
  }
  squares = block_sum(squares, scratch);
  if (thread == 0) {
    scale[group * scale_stride] =
        squares > 0 ? static_cast<float>(1 / sqrt(squares / static_cast<double>(batch))) : 1.0f;
  }
}

template <class T>
GANMM_KERNEL join_scores_kernel(ElementWalk walk, Rows<float> logits, Rows<const T> score,
                                const float* centre, Index centre_stride, const float* scale,
                                Index scale_stride) {
  for_each_element(walk, [&](Index r, Index b, Index i) {
    const Index group = r * walk.cols + i;
    at(logits, r, b, i) =
        (static_cast<float>(at(score, group, b, 0)) - centre[group * centre_stride]) *
        scale[group * scale_stride];
  });
}

GANMM_KERNEL share_centres_kernel(ElementWalk walk, float* centre, Index centre_stride,
                                  const std::int32_t* begin, Index components, Index first) {
  for_each_element(walk, [&](Index, Index, Index g) {
    const Index mixture = (first + g) / components, component = (first + g) % components;
    const std::int32_t* bounds = begin + mixture * (components + 1);
    const double own = bounds[component + 1] - bounds[component];
    const double all = static_cast<double>(bounds[components]) + static_cast<double>(components);
    centre[g * centre_stride] = static_cast<float>(-log((own + 1) / all));
  });
}

}  // namespace

template <class T>
void score_statistics(Context& ctx, ParamView<Master<T>> centre, ParamView<Master<T>> scale,
                      GroupView<const T> score) {
  if (score.groups == 0) return;
  const int threads = threads_for_rows(score.batch, 1, kStatisticsThreads);
  launch(ctx, "score_statistics", {score.groups, 1, 1, threads}, score_statistics_kernel<T>,
         centre.data, centre.group_stride, scale.data, scale.group_stride,
         Rows<const T>{score.data, score.group_stride, score.batch_stride}, score.batch);
}

template <class T>
void join_scores(Context& ctx, GroupView<Master<T>> logits, GroupView<const T> score,
                 ParamView<const Master<T>> centre, ParamView<const Master<T>> scale) {
  const ElementExtent extent{logits.groups, logits.batch, logits.features()};
  if (extent.empty()) return;
  const auto [walk, shape] = element_launch(ctx, extent);
  launch(ctx, "join_scores", shape, join_scores_kernel<T>, walk,
         Rows<float>{logits.data, logits.group_stride, logits.batch_stride},
         Rows<const T>{score.data, score.group_stride, score.batch_stride}, centre.data,
         centre.group_stride, scale.data, scale.group_stride);
}

void share_centres(Context& ctx, ParamView<float> centre, const std::int32_t* begin,
                   Index components, Index first) {
  const ElementExtent extent{1, 1, centre.groups};
  if (extent.empty()) return;
  const auto [walk, shape] = element_launch(ctx, extent);
  launch(ctx, "share_centres", shape, share_centres_kernel, walk, centre.data, centre.group_stride,
         begin, components, first);
}

#define GANMM_INSTANTIATE(T)                                                                       \
  template void score_statistics<T>(Context&, ParamView<Master<T>>, ParamView<Master<T>>,          \
                                    GroupView<const T>);                                           \
  template void join_scores<T>(Context&, GroupView<Master<T>>, GroupView<const T>,                 \
                               ParamView<const Master<T>>, ParamView<const Master<T>>);
GANMM_INSTANTIATE(float)
GANMM_INSTANTIATE(BFloat16)

}  // namespace ganmm::kernels::cuda
