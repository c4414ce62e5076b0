// Internal: the CPU and CUDA version of every op, side by side. kernels/dispatch/ validates once
// and then calls one of them; nothing else includes this header. Contracts are in the family
// headers.
//
// T is float or double on the CPU, float or BFloat16 on CUDA.
#pragma once

#include "kernels/clock.h"
#include "kernels/conv.h"
#include "kernels/count.h"
#include "kernels/distance.h"
#include "kernels/elementwise.h"
#include "kernels/em_step.h"
#include "kernels/gaussian.h"
#include "kernels/gemm.h"
#include "kernels/loss.h"
#include "kernels/mlp_step.h"
#include "kernels/norm.h"
#include "kernels/optim.h"
#include "kernels/penalty.h"
#include "kernels/random.h"
#include "kernels/reduce.h"
#include "kernels/scores.h"
#include "kernels/select.h"
#include "kernels/student.h"
#include "kernels/warp.h"

namespace ganmm::kernels::cpu {

// gemm
template <class T>
void gemm(Context& ctx, MatrixView<T> c, MatrixView<const T> a, Transpose transpose_a,
          MatrixView<const T> b, Transpose transpose_b, Write write, const Epilogue<T>& epilogue);

// conv
template <class T>
void conv_forward(Context& ctx, GroupView<T> y, GroupView<const T> x, ParamView<const T> filter,
                  const ConvGeometry& geometry, const Epilogue<T>& epilogue);
template <class T>
void conv_backward_data(Context& ctx, GroupView<T> d_x, GroupView<const T> d_y,
                        ParamView<const T> filter, const ConvGeometry& geometry,
                        const Epilogue<T>& epilogue);
template <class T>
void conv_backward_weights(Context& ctx, ParamView<T> d_filter, GroupView<const T> x,
                           GroupView<const T> d_y, const ConvGeometry& geometry, Write write);

// Scratch bytes for any of the three ops with up to `batch` items per group. Groups are computed
// one after the other and share it.
template <class T>
Index conv_workspace(Index batch, const ConvGeometry& geometry);

// activation
template <class T>
void activation_forward(Context& ctx, GroupView<T> y, GroupView<const T> x, Activation activation);
template <class T>
void activation_backward(Context& ctx, GroupView<T> d_x, GroupView<const T> d_y,
                         GroupView<const T> y, Activation activation);
template <class T>
void activation_curvature(Context& ctx, GroupView<T> r_x, GroupView<const T> r_y,
                          GroupView<const T> y, GroupView<const T> u, GroupView<const T> t,
                          Activation activation);

// elementwise
template <class T>
void fill(Context& ctx, GroupView<T> y, double value);
template <class To, class From>
void copy(Context& ctx, GroupView<To> y, GroupView<const From> x);
template <class T>
void axpby(Context& ctx, GroupView<T> y, double a, GroupView<const T> x, double b);
template <class T>
void add_bias(Context& ctx, GroupView<T> x, ParamView<const T> bias);
template <class T>
void bias_grad(Context& ctx, ParamView<T> d_bias, GroupView<const T> d_y, Write write);
template <class T>
void crop(Context& ctx, GroupView<T> y, GroupView<const T> x);
template <class T>
void crop_backward(Context& ctx, GroupView<T> x, GroupView<const T> y);

// norm
template <class T>
void norm_forward(Context& ctx, GroupView<T> z, ParamView<T> mean, ParamView<T> inv_sigma,
                  GroupView<const T> x, ParamView<const T> gamma, ParamView<const T> beta,
                  const NormSettings& settings);
template <class T>
void norm_backward_data(Context& ctx, GroupView<T> d_x, GroupView<const T> d_z,
                        GroupView<const T> x, ParamView<const T> mean, ParamView<const T> inv_sigma,
                        ParamView<const T> gamma, const NormSettings& settings);
template <class T>
void norm_backward_params(Context& ctx, ParamView<T> d_gamma, ParamView<T> d_beta,
                          GroupView<const T> d_z, GroupView<const T> x, ParamView<const T> mean,
                          ParamView<const T> inv_sigma, const NormSettings& settings, Write write);
template <class T>
void norm_tangent(Context& ctx, GroupView<T> t_z, GroupView<const T> t_x, GroupView<const T> x,
                  ParamView<const T> mean, ParamView<const T> inv_sigma, ParamView<const T> gamma,
                  const NormSettings& settings);
template <class T>
void norm_penalty(Context& ctx, GroupView<T> r_x, ParamView<T> d_gamma, ParamView<T> d_beta,
                  GroupView<const T> r_z, GroupView<const T> u, GroupView<const T> t_x,
                  GroupView<const T> x, ParamView<const T> mean, ParamView<const T> inv_sigma,
                  ParamView<const T> gamma, const NormSettings& settings);

// loss
template <class T>
void wasserstein_signal(Context& ctx, GroupView<T> d_score, Index real, Index fake);
template <class T>
void logistic_signal(Context& ctx, GroupView<T> d_score, GroupView<const T> score, Index real,
                     Index fake);
template <class T>
void cross_entropy(Context& ctx, ParamView<T> loss, GroupView<T> d_logits,
                   GroupView<const T> logits, const std::int32_t* label,
                   const CrossEntropySettings& settings);

// mlp_step
std::string mlp_step_refusal(const MlpStepSettings& settings);
void mlp_step(Context& ctx, const ParamSlabs<float>& generator, const ParamSlabs<float>& critic,
              const MlpStepBatches& batches, const MlpStepLosses& losses, const RandomKey& key,
              Index steps, const MlpStepSettings& settings);
Index mlp_step_workspace(const MlpStepSettings& settings);

// penalty
template <class T>
void interpolate(Context& ctx, GroupView<T> x_hat, GroupView<const T> real, GroupView<const T> fake,
                 const RandomKey& key);
template <class T>
void penalty_direction(Context& ctx, GroupView<T> v, ParamView<T> penalty, GroupView<const T> g,
                       double lambda);

// optim
template <class T>
void optimizer_step(Context& ctx, const ParamSlabs<T>& slabs, const OptimizerSettings& settings);
template <class T>
void optimizer_reset(Context& ctx, const ParamSlabs<T>& slabs, const OptimizerSettings& settings);

// random
template <class T>
void fill_uniform(Context& ctx, GroupView<T> y, double low, double high, const RandomKey& key);
template <class T>
void fill_normal(Context& ctx, GroupView<T> y, double mean, double deviation, const RandomKey& key);

// reduce
template <class T>
void group_mean(Context& ctx, ParamView<T> out, GroupView<const T> x);
template <class T>
void row_sums(Context& ctx, GroupView<T> out, GroupView<const T> x);
template <class T>
void row_squared_norms(Context& ctx, GroupView<T> out, GroupView<const T> x);

// scores
template <class T>
void score_statistics(Context& ctx, ParamView<T> centre, ParamView<T> scale,
                      GroupView<const T> score);
template <class T>
void join_scores(Context& ctx, GroupView<T> logits, GroupView<const T> score,
                 ParamView<const T> centre, ParamView<const T> scale);
void share_centres(Context& ctx, ParamView<float> centre, const std::int32_t* begin,
                   Index components, Index first);

// select
template <class T>
void classify_rows(Context& ctx, GroupView<T> posterior, std::int32_t* label, Index label_stride,
                   GroupView<const T> logits, double temperature);
void partition_rows(Context& ctx, std::int32_t* member, std::int32_t* begin, const PoolView& pool);
void draw_rows(Context& ctx, std::int32_t* row, Index first_group, Index groups,
               const PoolView& pool, const std::int32_t* member, const std::int32_t* begin,
               const DrawSettings& settings);
template <class T>
void gather_rows(Context& ctx, GroupView<T> y, GroupView<const T> data, const std::int32_t* row,
                 Index row_stride);
template <class T>
void window_rows(Context& ctx, GroupView<T> y, GroupView<const T> data,
                 const std::int32_t* first_row, Index offset);
void window_labels(Context& ctx, std::int32_t* label, Index pool_rows, const std::int32_t* assigned,
                   Index mixtures, Index rows, const std::int32_t* first_row);
void pin_labels(Context& ctx, std::int32_t* label, const PinView& pins, Index components,
                Index pool_rows, const std::int32_t* first_row);

// clock, count
void advance(Context& ctx, Clock* clock, Index pool, Index rows, Index iterations);
void count_assignments(Context& ctx, const AssignmentCounts& counts, std::int32_t* assigned,
                       Index rows, const PoolView& pool, Index first_row, Index skip);

// distance
template <class T>
void nearest_centre(Context& ctx, std::int32_t* label, T* distance, Index label_stride,
                    GroupView<const T> data, GroupView<const T> centre);
template <class T>
void centre_sums(Context& ctx, double* sum, double* count, Index centres, const std::int32_t* label,
                 Index label_stride, GroupView<const T> data);

// student
template <class T>
void student_assign(Context& ctx, GroupView<T> q, std::int32_t* label, Index label_stride,
                    GroupView<const T> code, ParamView<const T> centre);
template <class T>
void student_target(Context& ctx, GroupView<T> p, GroupView<const T> q,
                    ParamView<const T> frequency);
template <class T>
void student_code_gradient(Context& ctx, GroupView<T> d_code, GroupView<T> weight,
                           GroupView<const T> code, ParamView<const T> centre,
                           GroupView<const T> target, double scale);
template <class T>
void student_centre_gradient(Context& ctx, ParamView<T> d_centre, GroupView<const T> weight,
                             GroupView<const T> code, ParamView<const T> centre);

// warp
template <class T>
void warp_images(Context& ctx, GroupView<T> y, GroupView<const T> x, const WarpSettings& settings,
                 const RandomKey& key);

// gaussian
template <class T>
void gaussian_log_density(Context& ctx, GroupView<double> log_density, GroupView<const T> data,
                          const GaussianView& gaussians);
void responsibilities(Context& ctx, double* total, GroupView<double> density);
template <class T>
void weighted_moments(Context& ctx, double* moments, GroupView<const double> weight,
                      GroupView<const T> data, const double* shift, bool diagonal);
Index moments_workspace(Index features);

}  // namespace ganmm::kernels::cpu

namespace ganmm::kernels::cuda {

// gemm
template <class T, class C>
void gemm(Context& ctx, MatrixView<C> c, MatrixView<const T> a, Transpose transpose_a,
          MatrixView<const T> b, Transpose transpose_b, Write write, const Epilogue<T>& epilogue);

// conv
template <class T>
void conv_forward(Context& ctx, GroupView<T> y, GroupView<const T> x, ParamView<const T> filter,
                  const ConvGeometry& geometry, const Epilogue<T>& epilogue);
template <class T>
void conv_backward_data(Context& ctx, GroupView<T> d_x, GroupView<const T> d_y,
                        ParamView<const T> filter, const ConvGeometry& geometry,
                        const Epilogue<T>& epilogue);
template <class T>
void conv_backward_weights(Context& ctx, ParamView<Master<T>> d_filter, GroupView<const T> x,
                           GroupView<const T> d_y, const ConvGeometry& geometry, Write write);

template <class T>
Index conv_workspace(const Context& ctx, Index groups, Index batch, const ConvGeometry& geometry);
template <class T>
ConvPath conv_path_of(const Context& ctx, ConvOp op, const ConvGeometry& geometry);

// activation
template <class T>
void activation_forward(Context& ctx, GroupView<T> y, GroupView<const T> x, Activation activation);
template <class T>
void activation_backward(Context& ctx, GroupView<T> d_x, GroupView<const T> d_y,
                         GroupView<const T> y, Activation activation);
template <class T>
void activation_curvature(Context& ctx, GroupView<T> r_x, GroupView<const T> r_y,
                          GroupView<const T> y, GroupView<const T> u, GroupView<const T> t,
                          Activation activation);

// elementwise
template <class T>
void fill(Context& ctx, GroupView<T> y, double value);
template <class To, class From>
void copy(Context& ctx, GroupView<To> y, GroupView<const From> x);
template <class T>
void axpby(Context& ctx, GroupView<T> y, double a, GroupView<const T> x, double b);
template <class T>
void add_bias(Context& ctx, GroupView<T> x, ParamView<const Master<T>> bias);
template <class T>
void bias_grad(Context& ctx, ParamView<Master<T>> d_bias, GroupView<const T> d_y, Write write);
template <class T>
void crop(Context& ctx, GroupView<T> y, GroupView<const T> x);
template <class T>
void crop_backward(Context& ctx, GroupView<T> x, GroupView<const T> y);

// norm
template <class T>
void norm_forward(Context& ctx, GroupView<T> z, ParamView<Master<T>> mean,
                  ParamView<Master<T>> inv_sigma, GroupView<const T> x,
                  ParamView<const Master<T>> gamma, ParamView<const Master<T>> beta,
                  const NormSettings& settings);
template <class T>
void norm_backward_data(Context& ctx, GroupView<T> d_x, GroupView<const T> d_z,
                        GroupView<const T> x, ParamView<const Master<T>> mean,
                        ParamView<const Master<T>> inv_sigma, ParamView<const Master<T>> gamma,
                        const NormSettings& settings);
template <class T>
void norm_backward_params(Context& ctx, ParamView<Master<T>> d_gamma, ParamView<Master<T>> d_beta,
                          GroupView<const T> d_z, GroupView<const T> x,
                          ParamView<const Master<T>> mean, ParamView<const Master<T>> inv_sigma,
                          const NormSettings& settings, Write write);
template <class T>
void norm_tangent(Context& ctx, GroupView<T> t_z, GroupView<const T> t_x, GroupView<const T> x,
                  ParamView<const Master<T>> mean, ParamView<const Master<T>> inv_sigma,
                  ParamView<const Master<T>> gamma, const NormSettings& settings);
template <class T>
void norm_penalty(Context& ctx, GroupView<T> r_x, ParamView<Master<T>> d_gamma,
                  ParamView<Master<T>> d_beta, GroupView<const T> r_z, GroupView<const T> u,
                  GroupView<const T> t_x, GroupView<const T> x, ParamView<const Master<T>> mean,
                  ParamView<const Master<T>> inv_sigma, ParamView<const Master<T>> gamma,
                  const NormSettings& settings);
Index norm_workspace(Index groups, Index batch);

// loss
template <class T>
void wasserstein_signal(Context& ctx, GroupView<T> d_score, Index real, Index fake);
template <class T>
void logistic_signal(Context& ctx, GroupView<T> d_score, GroupView<const T> score, Index real,
                     Index fake);
template <class T>
void cross_entropy(Context& ctx, ParamView<T> loss, GroupView<T> d_logits,
                   GroupView<const T> logits, const std::int32_t* label,
                   const CrossEntropySettings& settings);

// mlp_step
std::string mlp_step_refusal(const Context& ctx, const MlpStepSettings& settings);
void mlp_step(Context& ctx, const ParamSlabs<float>& generator, const ParamSlabs<float>& critic,
              const MlpStepBatches& batches, const MlpStepLosses& losses, const RandomKey& key,
              Index steps, const MlpStepSettings& settings);
Index mlp_step_workspace(const Context& ctx, const MlpStepSettings& settings, Index groups);
void mlp_partition_steps(Context& ctx, const ParamSlabs<float>& generator,
                         const ParamSlabs<float>& critic, const MlpPartition& partition,
                         const MlpStepLosses& losses, const RandomKey& key, Index steps,
                         const MlpStepSettings& settings);

// em_step
std::string em_step_refusal(const Context& ctx, const EmStepSettings& settings);
void em_step(Context& ctx, const ParamSlabs<float>& generator, const ParamSlabs<float>& critic,
             const ParamSlabs<float>& classifier, const EmStepBuffers& buffers, std::uint64_t seed,
             Index iterations, const EmStepSettings& settings);
Index em_step_workspace(const EmStepSettings& settings, Index mixtures);

// penalty
template <class T>
void interpolate(Context& ctx, GroupView<T> x_hat, GroupView<const T> real, GroupView<const T> fake,
                 const RandomKey& key);
template <class T>
void penalty_direction(Context& ctx, GroupView<T> v, ParamView<Master<T>> penalty,
                       GroupView<const T> g, double lambda);

// optim
template <class T>
void optimizer_step(Context& ctx, const ParamSlabs<T>& slabs, const OptimizerSettings& settings);
void round_values(Context& ctx, const ParamSlabs<float>& slabs);
template <class T>
void optimizer_reset(Context& ctx, const ParamSlabs<T>& slabs, const OptimizerSettings& settings);

// random
template <class T>
void fill_uniform(Context& ctx, GroupView<T> y, double low, double high, const RandomKey& key);
template <class T>
void fill_normal(Context& ctx, GroupView<T> y, double mean, double deviation, const RandomKey& key);

// reduce
template <class T>
void group_mean(Context& ctx, ParamView<Master<T>> out, GroupView<const T> x);
template <class T>
void row_sums(Context& ctx, GroupView<Master<T>> out, GroupView<const T> x);
template <class T>
void row_squared_norms(Context& ctx, GroupView<Master<T>> out, GroupView<const T> x);

// scores
template <class T>
void score_statistics(Context& ctx, ParamView<Master<T>> centre, ParamView<Master<T>> scale,
                      GroupView<const T> score);
template <class T>
void join_scores(Context& ctx, GroupView<Master<T>> logits, GroupView<const T> score,
                 ParamView<const Master<T>> centre, ParamView<const Master<T>> scale);
void share_centres(Context& ctx, ParamView<float> centre, const std::int32_t* begin,
                   Index components, Index first);

// select
template <class T>
void classify_rows(Context& ctx, GroupView<T> posterior, std::int32_t* label, Index label_stride,
                   GroupView<const T> logits, double temperature);
void partition_rows(Context& ctx, std::int32_t* member, std::int32_t* begin, const PoolView& pool);
Index partition_workspace(Index mixtures, Index components, Index rows);
void draw_rows(Context& ctx, std::int32_t* row, Index first_group, Index groups,
               const PoolView& pool, const std::int32_t* member, const std::int32_t* begin,
               const DrawSettings& settings);
template <class T>
void gather_rows(Context& ctx, GroupView<T> y, GroupView<const Master<T>> data,
                 const std::int32_t* row, Index row_stride);
template <class T>
void window_rows(Context& ctx, GroupView<T> y, GroupView<const T> data,
                 const std::int32_t* first_row, Index offset);
void window_labels(Context& ctx, std::int32_t* label, Index pool_rows, const std::int32_t* assigned,
                   Index mixtures, Index rows, const std::int32_t* first_row);
void pin_labels(Context& ctx, std::int32_t* label, const PinView& pins, Index components,
                Index pool_rows, const std::int32_t* first_row);

// clock, count
void advance(Context& ctx, Clock* clock, Index pool, Index rows, Index iterations);
void count_assignments(Context& ctx, const AssignmentCounts& counts, std::int32_t* assigned,
                       Index rows, const PoolView& pool, Index first_row, Index skip);

// distance
template <class T>
void nearest_centre(Context& ctx, std::int32_t* label, T* distance, Index label_stride,
                    GroupView<const T> data, GroupView<const T> centre);
template <class T>
void centre_sums(Context& ctx, double* sum, double* count, Index centres, const std::int32_t* label,
                 Index label_stride, GroupView<const T> data);

// student
template <class T>
void student_assign(Context& ctx, GroupView<T> q, std::int32_t* label, Index label_stride,
                    GroupView<const T> code, ParamView<const T> centre);
template <class T>
void student_target(Context& ctx, GroupView<T> p, GroupView<const T> q,
                    ParamView<const T> frequency);
template <class T>
void student_code_gradient(Context& ctx, GroupView<T> d_code, GroupView<T> weight,
                           GroupView<const T> code, ParamView<const T> centre,
                           GroupView<const T> target, double scale);
template <class T>
void student_centre_gradient(Context& ctx, ParamView<T> d_centre, GroupView<const T> weight,
                             GroupView<const T> code, ParamView<const T> centre);

// warp
template <class T>
void warp_images(Context& ctx, GroupView<T> y, GroupView<const T> x, const WarpSettings& settings,
                 const RandomKey& key);

// gaussian
template <class T>
void gaussian_log_density(Context& ctx, GroupView<double> log_density, GroupView<const T> data,
                          const GaussianView& gaussians);
void responsibilities(Context& ctx, double* total, GroupView<double> density);
template <class T>
void weighted_moments(Context& ctx, double* moments, GroupView<const double> weight,
                      GroupView<const T> data, const double* shift, bool diagonal);
Index responsibilities_workspace(Index mixtures, Index rows);
Index moments_workspace(Index mixtures, Index components, Index rows, Index features,
                        bool diagonal);

}  // namespace ganmm::kernels::cuda
