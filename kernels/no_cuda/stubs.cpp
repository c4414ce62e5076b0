// The CUDA backend of a build without CUDA: everything that would need it says so.
#include "kernels/backend.h"
#include "kernels/core/backend.h"
#include "kernels/core/error.h"

namespace ganmm::kernels::cuda {

namespace {

constexpr const char* kReason = "built without CUDA (GANMM_CUDA=OFF)";

[[noreturn]] void refuse(const char* purpose) {
  throw UnsupportedError(
      message(purpose, " on a CUDA device: expected a build with CUDA, found one ", kReason,
              "; configure with -DGANMM_CUDA=ON or choose the CPU backend"));
}

}  // namespace

CudaStatus status() {
  CudaStatus result;
  result.reason = kReason;
  return result;
}

std::unique_ptr<BackendState> make_state(Device, MathMode) { refuse("context"); }
void* allocate(Device, std::size_t) { refuse("allocation"); }
void release(Device, void*) noexcept {}
void copy_to_device(BackendState&, void*, const void*, std::size_t) { refuse("copy"); }
void copy_to_host(BackendState&, void*, const void*, std::size_t) { refuse("copy"); }
void copy_on_device(BackendState&, void*, const void*, std::size_t) { refuse("copy"); }
void clear(BackendState&, void*, std::size_t) { refuse("clearing memory"); }
void clear_now(Device, void*, std::size_t) { refuse("clearing memory"); }
std::unique_ptr<BackendEvent> make_event(BackendState&) { refuse("event"); }
void record(BackendEvent&, BackendState&) { refuse("event"); }
void wait(BackendState&, BackendEvent&) { refuse("event"); }
double elapsed_ms(BackendEvent&, BackendEvent&) { refuse("event"); }
std::unique_ptr<BackendGraph> record_graph(BackendState&, const std::function<void()>&) {
  refuse("graph");
}
void replay(BackendGraph&, BackendState&) { refuse("graph"); }
std::size_t graph_nodes(BackendGraph&) { refuse("graph"); }
std::size_t free_bytes(Device) { refuse("memory query"); }

template <class T, class C>
void gemm(Context&, MatrixView<C>, MatrixView<const T>, Transpose, MatrixView<const T>, Transpose,
          Write, const Epilogue<T>&) {
  refuse("gemm");
}
template <class T>
void conv_forward(Context&, GroupView<T>, GroupView<const T>, ParamView<const T>,
                  const ConvGeometry&, const Epilogue<T>&) {
  refuse("conv_forward");
}
template <class T>
void conv_backward_data(Context&, GroupView<T>, GroupView<const T>, ParamView<const T>,
                        const ConvGeometry&, const Epilogue<T>&) {
  refuse("conv_backward_data");
}
template <class T>
void conv_backward_weights(Context&, ParamView<Master<T>>, GroupView<const T>, GroupView<const T>,
                           const ConvGeometry&, Write) {
  refuse("conv_backward_weights");
}
template <class T>
Index conv_workspace(const Context&, Index, Index, const ConvGeometry&) {
  refuse("conv_workspace");
}
template <class T>
ConvPath conv_path_of(const Context&, ConvOp, const ConvGeometry&) {
  refuse("conv_path_of");
}
template <class T>
void activation_forward(Context&, GroupView<T>, GroupView<const T>, Activation) {
  refuse("activation_forward");
}
template <class T>
void activation_backward(Context&, GroupView<T>, GroupView<const T>, GroupView<const T>,
                         Activation) {
  refuse("activation_backward");
}
template <class T>
void activation_curvature(Context&, GroupView<T>, GroupView<const T>, GroupView<const T>,
                          GroupView<const T>, GroupView<const T>, Activation) {
  refuse("activation_curvature");
}
template <class T>
void fill(Context&, GroupView<T>, double) {
  refuse("fill");
}
template <class To, class From>
void copy(Context&, GroupView<To>, GroupView<const From>) {
  refuse("copy");
}
template <class T>
void axpby(Context&, GroupView<T>, double, GroupView<const T>, double) {
  refuse("axpby");
}
template <class T>
void add_bias(Context&, GroupView<T>, ParamView<const Master<T>>) {
  refuse("add_bias");
}
template <class T>
void bias_grad(Context&, ParamView<Master<T>>, GroupView<const T>, Write) {
  refuse("bias_grad");
}
template <class T>
void crop(Context&, GroupView<T>, GroupView<const T>) {
  refuse("crop");
}
template <class T>
void crop_backward(Context&, GroupView<T>, GroupView<const T>) {
  refuse("crop_backward");
}
template <class T>
void norm_forward(Context&, GroupView<T>, ParamView<Master<T>>, ParamView<Master<T>>,
                  GroupView<const T>, ParamView<const Master<T>>, ParamView<const Master<T>>,
                  const NormSettings&) {
  refuse("norm_forward");
}
template <class T>
void norm_backward_data(Context&, GroupView<T>, GroupView<const T>, GroupView<const T>,
                        ParamView<const Master<T>>, ParamView<const Master<T>>,
                        ParamView<const Master<T>>, const NormSettings&) {
  refuse("norm_backward_data");
}
template <class T>
void norm_backward_params(Context&, ParamView<Master<T>>, ParamView<Master<T>>, GroupView<const T>,
                          GroupView<const T>, ParamView<const Master<T>>,
                          ParamView<const Master<T>>, const NormSettings&, Write) {
  refuse("norm_backward_params");
}
template <class T>
void norm_tangent(Context&, GroupView<T>, GroupView<const T>, GroupView<const T>,
                  ParamView<const Master<T>>, ParamView<const Master<T>>,
                  ParamView<const Master<T>>, const NormSettings&) {
  refuse("norm_tangent");
}
template <class T>
void norm_penalty(Context&, GroupView<T>, ParamView<Master<T>>, ParamView<Master<T>>,
                  GroupView<const T>, GroupView<const T>, GroupView<const T>, GroupView<const T>,
                  ParamView<const Master<T>>, ParamView<const Master<T>>,
                  ParamView<const Master<T>>, const NormSettings&) {
  refuse("norm_penalty");
}
Index norm_workspace(Index, Index) { refuse("norm_workspace"); }
template <class T>
void wasserstein_signal(Context&, GroupView<T>, Index, Index) {
  refuse("wasserstein_signal");
}
template <class T>
void logistic_signal(Context&, GroupView<T>, GroupView<const T>, Index, Index) {
  refuse("logistic_signal");
}
template <class T>
void cross_entropy(Context&, ParamView<T>, GroupView<T>, GroupView<const T>, const std::int32_t*,
                   const CrossEntropySettings&) {
  refuse("cross_entropy");
}
template <class T>
void interpolate(Context&, GroupView<T>, GroupView<const T>, GroupView<const T>, const RandomKey&) {
  refuse("interpolate");
}
template <class T>
void penalty_direction(Context&, GroupView<T>, ParamView<Master<T>>, GroupView<const T>, double) {
  refuse("penalty_direction");
}
template <class T>
void optimizer_step(Context&, const ParamSlabs<T>&, const OptimizerSettings&) {
  refuse("optimizer_step");
}
void round_values(Context&, const ParamSlabs<float>&) { refuse("round_values"); }
template <class T>
void optimizer_reset(Context&, const ParamSlabs<T>&, const OptimizerSettings&) {
  refuse("optimizer_reset");
}
template <class T>
void fill_uniform(Context&, GroupView<T>, double, double, const RandomKey&) {
  refuse("fill_uniform");
}
template <class T>
void fill_normal(Context&, GroupView<T>, double, double, const RandomKey&) {
  refuse("fill_normal");
}
template <class T>
void group_mean(Context&, ParamView<Master<T>>, GroupView<const T>) {
  refuse("group_mean");
}
template <class T>
void row_sums(Context&, GroupView<Master<T>>, GroupView<const T>) {
  refuse("row_sums");
}
template <class T>
void row_squared_norms(Context&, GroupView<Master<T>>, GroupView<const T>) {
  refuse("row_squared_norms");
}
void share_centres(Context&, ParamView<float>, const std::int32_t*, Index, Index) {
  refuse("share_centres");
}
template <class T>
void score_statistics(Context&, ParamView<Master<T>>, ParamView<Master<T>>, GroupView<const T>) {
  refuse("score_statistics");
}
template <class T>
void join_scores(Context&, GroupView<Master<T>>, GroupView<const T>, ParamView<const Master<T>>,
                 ParamView<const Master<T>>) {
  refuse("join_scores");
}
template <class T>
void classify_rows(Context&, GroupView<T>, std::int32_t*, Index, GroupView<const T>, double) {
  refuse("classify_rows");
}
void partition_rows(Context&, std::int32_t*, std::int32_t*, const PoolView&) {
  refuse("partition_rows");
}
void draw_rows(Context&, std::int32_t*, Index, Index, const PoolView&, const std::int32_t*,
               const std::int32_t*, const DrawSettings&) {
  refuse("draw_rows");
}
template <class T>
void gather_rows(Context&, GroupView<T>, GroupView<const Master<T>>, const std::int32_t*, Index) {
  refuse("gather_rows");
}
template <class T>
void window_rows(Context&, GroupView<T>, GroupView<const T>, const std::int32_t*, Index) {
  refuse("window_rows");
}
void window_labels(Context&, std::int32_t*, Index, const std::int32_t*, Index, Index,
                   const std::int32_t*) {
  refuse("window_labels");
}
void pin_labels(Context&, std::int32_t*, const PinView&, Index, Index, const std::int32_t*) {
  refuse("pin_labels");
}
std::string mlp_step_refusal(const Context&, const MlpStepSettings&) { refuse("mlp_step_refusal"); }
void mlp_step(Context&, const ParamSlabs<float>&, const ParamSlabs<float>&, const MlpStepBatches&,
              const MlpStepLosses&, const RandomKey&, Index, const MlpStepSettings&) {
  refuse("mlp_step");
}
Index mlp_step_workspace(const Context&, const MlpStepSettings&, Index) {
  refuse("mlp_step_workspace");
}
void mlp_partition_steps(Context&, const ParamSlabs<float>&, const ParamSlabs<float>&,
                         const MlpPartition&, const MlpStepLosses&, const RandomKey&, Index,
                         const MlpStepSettings&) {
  refuse("mlp_partition_steps");
}
std::string em_step_refusal(const Context&, const EmStepSettings&) { refuse("em_step_refusal"); }
void em_step(Context&, const ParamSlabs<float>&, const ParamSlabs<float>&, const ParamSlabs<float>&,
             const EmStepBuffers&, std::uint64_t, Index, const EmStepSettings&) {
  refuse("em_step");
}
Index em_step_workspace(const EmStepSettings&, Index) { refuse("em_step_workspace"); }
void advance(Context&, Clock*, Index, Index, Index) { refuse("advance"); }
void count_assignments(Context&, const AssignmentCounts&, std::int32_t*, Index, const PoolView&,
                       Index, Index) {
  refuse("count_assignments");
}
template <class T>
void student_assign(Context&, GroupView<T>, std::int32_t*, Index, GroupView<const T>,
                    ParamView<const T>) {
  refuse("student_assign");
}
template <class T>
void student_target(Context&, GroupView<T>, GroupView<const T>, ParamView<const T>) {
  refuse("student_target");
}
template <class T>
void student_code_gradient(Context&, GroupView<T>, GroupView<T>, GroupView<const T>,
                           ParamView<const T>, GroupView<const T>, double) {
  refuse("student_code_gradient");
}
template <class T>
void student_centre_gradient(Context&, ParamView<T>, GroupView<const T>, GroupView<const T>,
                             ParamView<const T>) {
  refuse("student_centre_gradient");
}
template <class T>
void warp_images(Context&, GroupView<T>, GroupView<const T>, const WarpSettings&,
                 const RandomKey&) {
  refuse("warp_images");
}
template <class T>
void gaussian_log_density(Context&, GroupView<double>, GroupView<const T>, const GaussianView&) {
  refuse("gaussian_log_density");
}
void responsibilities(Context&, double*, GroupView<double>) { refuse("responsibilities"); }
Index responsibilities_workspace(Index, Index) { refuse("responsibilities_workspace"); }
template <class T>
void weighted_moments(Context&, double*, GroupView<const double>, GroupView<const T>, const double*,
                      bool) {
  refuse("weighted_moments");
}
Index moments_workspace(Index, Index, Index, Index, bool) { refuse("moments_workspace"); }
Index partition_workspace(Index, Index, Index) { refuse("partition_workspace"); }
template <class T>
void nearest_centre(Context&, std::int32_t*, T*, Index, GroupView<const T>, GroupView<const T>) {
  refuse("nearest_centre");
}
template <class T>
void centre_sums(Context&, double*, double*, Index, const std::int32_t*, Index,
                 GroupView<const T>) {
  refuse("centre_sums");
}

#define GANMM_INSTANTIATE(T)                                                                       \
  template void conv_forward<T>(Context&, GroupView<T>, GroupView<const T>, ParamView<const T>,    \
                                const ConvGeometry&, const Epilogue<T>&);                          \
  template void conv_backward_data<T>(Context&, GroupView<T>, GroupView<const T>,                  \
                                      ParamView<const T>, const ConvGeometry&,                     \
                                      const Epilogue<T>&);                                         \
  template void conv_backward_weights<T>(Context&, ParamView<Master<T>>, GroupView<const T>,       \
                                         GroupView<const T>, const ConvGeometry&, Write);          \
  template Index conv_workspace<T>(const Context&, Index, Index, const ConvGeometry&);             \
  template ConvPath conv_path_of<T>(const Context&, ConvOp, const ConvGeometry&);                  \
  template void activation_forward<T>(Context&, GroupView<T>, GroupView<const T>, Activation);     \
  template void activation_backward<T>(Context&, GroupView<T>, GroupView<const T>,                 \
                                       GroupView<const T>, Activation);                            \
  template void activation_curvature<T>(Context&, GroupView<T>, GroupView<const T>,                \
                                        GroupView<const T>, GroupView<const T>,                    \
                                        GroupView<const T>, Activation);                           \
  template void fill<T>(Context&, GroupView<T>, double);                                           \
  template void axpby<T>(Context&, GroupView<T>, double, GroupView<const T>, double);              \
  template void add_bias<T>(Context&, GroupView<T>, ParamView<const Master<T>>);                   \
  template void bias_grad<T>(Context&, ParamView<Master<T>>, GroupView<const T>, Write);           \
  template void crop<T>(Context&, GroupView<T>, GroupView<const T>);                               \
  template void crop_backward<T>(Context&, GroupView<T>, GroupView<const T>);                      \
  template void norm_forward<T>(                                                                   \
      Context&, GroupView<T>, ParamView<Master<T>>, ParamView<Master<T>>, GroupView<const T>,      \
      ParamView<const Master<T>>, ParamView<const Master<T>>, const NormSettings&);                \
  template void norm_backward_data<T>(                                                             \
      Context&, GroupView<T>, GroupView<const T>, GroupView<const T>, ParamView<const Master<T>>,  \
      ParamView<const Master<T>>, ParamView<const Master<T>>, const NormSettings&);                \
  template void norm_backward_params<T>(Context&, ParamView<Master<T>>, ParamView<Master<T>>,      \
                                        GroupView<const T>, GroupView<const T>,                    \
                                        ParamView<const Master<T>>, ParamView<const Master<T>>,    \
                                        const NormSettings&, Write);                               \
  template void norm_tangent<T>(Context&, GroupView<T>, GroupView<const T>, GroupView<const T>,    \
                                ParamView<const Master<T>>, ParamView<const Master<T>>,            \
                                ParamView<const Master<T>>, const NormSettings&);                  \
  template void norm_penalty<T>(                                                                   \
      Context&, GroupView<T>, ParamView<Master<T>>, ParamView<Master<T>>, GroupView<const T>,      \
      GroupView<const T>, GroupView<const T>, GroupView<const T>, ParamView<const Master<T>>,      \
      ParamView<const Master<T>>, ParamView<const Master<T>>, const NormSettings&);                \
  template void wasserstein_signal<T>(Context&, GroupView<T>, Index, Index);                       \
  template void logistic_signal<T>(Context&, GroupView<T>, GroupView<const T>, Index, Index);      \
  template void interpolate<T>(Context&, GroupView<T>, GroupView<const T>, GroupView<const T>,     \
                               const RandomKey&);                                                  \
  template void penalty_direction<T>(Context&, GroupView<T>, ParamView<Master<T>>,                 \
                                     GroupView<const T>, double);                                  \
  template void fill_uniform<T>(Context&, GroupView<T>, double, double, const RandomKey&);         \
  template void fill_normal<T>(Context&, GroupView<T>, double, double, const RandomKey&);          \
  template void group_mean<T>(Context&, ParamView<Master<T>>, GroupView<const T>);                 \
  template void row_sums<T>(Context&, GroupView<Master<T>>, GroupView<const T>);                   \
  template void row_squared_norms<T>(Context&, GroupView<Master<T>>, GroupView<const T>);          \
  template void score_statistics<T>(Context&, ParamView<Master<T>>, ParamView<Master<T>>,          \
                                    GroupView<const T>);                                           \
  template void join_scores<T>(Context&, GroupView<Master<T>>, GroupView<const T>,                 \
                               ParamView<const Master<T>>, ParamView<const Master<T>>);            \
  template void gather_rows<T>(Context&, GroupView<T>, GroupView<const Master<T>>,                 \
                               const std::int32_t*, Index);
GANMM_INSTANTIATE(float)
GANMM_INSTANTIATE(BFloat16)

template void cross_entropy<float>(Context&, ParamView<float>, GroupView<float>,
                                   GroupView<const float>, const std::int32_t*,
                                   const CrossEntropySettings&);
template void optimizer_step<float>(Context&, const ParamSlabs<float>&, const OptimizerSettings&);
template void optimizer_reset<float>(Context&, const ParamSlabs<float>&, const OptimizerSettings&);
template void classify_rows<float>(Context&, GroupView<float>, std::int32_t*, Index,
                                   GroupView<const float>, double);
template void window_rows<float>(Context&, GroupView<float>, GroupView<const float>,
                                 const std::int32_t*, Index);
template void nearest_centre<float>(Context&, std::int32_t*, float*, Index, GroupView<const float>,
                                    GroupView<const float>);
template void student_assign<float>(Context&, GroupView<float>, std::int32_t*, Index,
                                    GroupView<const float>, ParamView<const float>);
template void student_target<float>(Context&, GroupView<float>, GroupView<const float>,
                                    ParamView<const float>);
template void student_code_gradient<float>(Context&, GroupView<float>, GroupView<float>,
                                           GroupView<const float>, ParamView<const float>,
                                           GroupView<const float>, double);
template void student_centre_gradient<float>(Context&, ParamView<float>, GroupView<const float>,
                                             GroupView<const float>, ParamView<const float>);
template void warp_images<float>(Context&, GroupView<float>, GroupView<const float>,
                                 const WarpSettings&, const RandomKey&);
template void gaussian_log_density<float>(Context&, GroupView<double>, GroupView<const float>,
                                          const GaussianView&);
template void weighted_moments<float>(Context&, double*, GroupView<const double>,
                                      GroupView<const float>, const double*, bool);
template void centre_sums<float>(Context&, double*, double*, Index, const std::int32_t*, Index,
                                 GroupView<const float>);
template void gemm<float, float>(Context&, MatrixView<float>, MatrixView<const float>, Transpose,
                                 MatrixView<const float>, Transpose, Write, const Epilogue<float>&);
template void gemm<BFloat16, BFloat16>(Context&, MatrixView<BFloat16>, MatrixView<const BFloat16>,
                                       Transpose, MatrixView<const BFloat16>, Transpose, Write,
                                       const Epilogue<BFloat16>&);
template void gemm<BFloat16, float>(Context&, MatrixView<float>, MatrixView<const BFloat16>,
                                    Transpose, MatrixView<const BFloat16>, Transpose, Write,
                                    const Epilogue<BFloat16>&);
template void copy<float, float>(Context&, GroupView<float>, GroupView<const float>);
template void copy<BFloat16, BFloat16>(Context&, GroupView<BFloat16>, GroupView<const BFloat16>);
template void copy<float, BFloat16>(Context&, GroupView<float>, GroupView<const BFloat16>);
template void copy<BFloat16, float>(Context&, GroupView<BFloat16>, GroupView<const float>);

}  // namespace ganmm::kernels::cuda
