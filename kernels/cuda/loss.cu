// wasserstein_signal, logistic_signal, cross_entropy: formulas in kernels/loss.h.
//
// The signals are one number per row, bound by their launch.
//
// cross_entropy: one block per group, one thread per row, so that the mean over the rows is a sum
// in a fixed order without a second launch. The rows are some hundred to a few thousand once per EM
// iteration, of about ten classes; a row is read two or three times, from the L1 cache after the
// first time, and exponentials are computed again rather than kept. Rows in single precision with
// the maximum subtracted from the logits first, their sum in double. Bound by latency.
#include "kernels/backend.h"
#include "kernels/cuda/cross_entropy.h"
#include "kernels/cuda/sums.h"

namespace ganmm::kernels::cuda {

namespace {

template <class T>
GANMM_KERNEL wasserstein_signal_kernel(ElementWalk walk, Rows<T> d_score, Index real, Index fake,
                                       T for_real, T for_fake, T for_others) {
  for_each_element(walk, [&](Index group, Index b, Index) {
    at(d_score, group, b, 0) = b < real ? for_real : b < real + fake ? for_fake : for_others;
  });
}

// No __restrict__: d_score may be score.
template <class T>
GANMM_KERNEL logistic_signal_kernel(ElementWalk walk, Rows<T> d_score, Rows<const T> score,
                                    Index real, float per_real, float per_fake) {
  for_each_element(walk, [&](Index group, Index b, Index) {
    const float sign = b < real ? -1.0f : 1.0f;
    const float f = static_cast<float>(at(score, group, b, 0));
    at(d_score, group, b, 0) =
        static_cast<T>(sign / (1.0f + expf(-sign * f)) * (b < real ? per_real : per_fake));
  });
}

// No __restrict__: d_logits may be logits.
GANMM_KERNEL cross_entropy_kernel(float* loss, Index loss_stride, Rows<float> d_logits,
                                  Rows<const float> logits, const std::int32_t* label, Index rows,
                                  Index classes, bool twice, Target target, double scale) {
  GANMM_SHARED(double, scratch, device::kWarpSize);
  const Index group = device::block_index_x();
  double total = 0;
  for (Index b = device::thread_index_x(); b < rows; b += device::block_size_x()) {
    const float* z = &at(logits, group, b, 0);
    float* d = &at(d_logits, group, b, 0);
    total += static_cast<double>(
        cross_entropy_row(d, z, classes, twice, target, label[b], static_cast<float>(scale)));
  }
  total = block_sum(total, scratch);
  if (device::thread_index_x() == 0) loss[group * loss_stride] = static_cast<float>(total * scale);
}

}  // namespace

template <class T>
void wasserstein_signal(Context& ctx, GroupView<T> d_score, Index real, Index fake) {
  const ElementExtent extent{d_score.groups, d_score.batch, 1};
  if (extent.empty()) return;
  const auto share = [](double sign, Index rows) {
    return static_cast<T>(rows > 0 ? sign / static_cast<double>(rows) : 0.0);
  };
  const auto [walk, shape] = element_launch(ctx, extent);
  launch(ctx, "wasserstein_signal", shape, wasserstein_signal_kernel<T>, walk,
         Rows<T>{d_score.data, d_score.group_stride, d_score.batch_stride}, real, fake,
         share(-1.0, real), share(1.0, fake), static_cast<T>(1.0));
}

template <class T>
void logistic_signal(Context& ctx, GroupView<T> d_score, GroupView<const T> score, Index real,
                     Index fake) {
  const ElementExtent extent{d_score.groups, d_score.batch, 1};
  if (extent.empty()) return;
  const auto share = [](Index rows) { return rows > 0 ? 1.0f / static_cast<float>(rows) : 0.0f; };
  const auto [walk, shape] = element_launch(ctx, extent);
  launch(ctx, "logistic_signal", shape, logistic_signal_kernel<T>, walk,
         Rows<T>{d_score.data, d_score.group_stride, d_score.batch_stride},
         Rows<const T>{score.data, score.group_stride, score.batch_stride}, real, share(real),
         share(fake));
}

template <class T>
void cross_entropy(Context& ctx, ParamView<T> loss, GroupView<T> d_logits,
                   GroupView<const T> logits, const std::int32_t* label,
                   const CrossEntropySettings& settings) {
  if (logits.groups == 0) return;
  const Index classes = logits.features();
  const Index rows = classes > 0 ? logits.batch : 0;
  const int threads = threads_for_rows(rows, 1, 1024);
  launch(ctx, "cross_entropy", {logits.groups, 1, 1, threads}, cross_entropy_kernel, loss.data,
         loss.group_stride,
         Rows<float>{d_logits.data, d_logits.group_stride, d_logits.batch_stride},
         Rows<const float>{logits.data, logits.group_stride, logits.batch_stride}, label, rows,
         classes, settings.double_softmax, target_distribution(settings, classes),
         rows > 0 ? 1.0 / static_cast<double>(rows) : 0.0);
}

template void wasserstein_signal<float>(Context&, GroupView<float>, Index, Index);
template void wasserstein_signal<BFloat16>(Context&, GroupView<BFloat16>, Index, Index);
template void logistic_signal<float>(Context&, GroupView<float>, GroupView<const float>, Index,
                                     Index);
template void logistic_signal<BFloat16>(Context&, GroupView<BFloat16>, GroupView<const BFloat16>,
                                        Index, Index);
template void cross_entropy<float>(Context&, ParamView<float>, GroupView<float>,
                                   GroupView<const float>, const std::int32_t*,
                                   const CrossEntropySettings&);

}  // namespace ganmm::kernels::cuda
