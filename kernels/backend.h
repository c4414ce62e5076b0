// Internal: the CPU and CUDA version of every op, side by side. kernels/dispatch/ validates once
// and then calls one of them; nothing else includes this header. Contracts are in the family
// headers.
//
// A CUDA version that is not declared here does not exist yet: its dispatcher throws
// UnsupportedError with the op's name.
#pragma once

#include "kernels/conv.h"
#include "kernels/distance.h"
#include "kernels/elementwise.h"
#include "kernels/gemm.h"
#include "kernels/loss.h"
#include "kernels/norm.h"
#include "kernels/optim.h"
#include "kernels/penalty.h"
#include "kernels/random.h"
#include "kernels/reduce.h"
#include "kernels/select.h"

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
void cross_entropy(Context& ctx, ParamView<T> loss, GroupView<T> d_logits,
                   GroupView<const T> logits, const std::int32_t* label,
                   const CrossEntropySettings& settings);

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

// distance
template <class T>
void nearest_centre(Context& ctx, std::int32_t* label, T* distance, Index label_stride,
                    GroupView<const T> data, GroupView<const T> centre);
template <class T>
void centre_sums(Context& ctx, double* sum, double* count, Index centres, const std::int32_t* label,
                 Index label_stride, GroupView<const T> data);

}  // namespace ganmm::kernels::cpu

namespace ganmm::kernels::cuda {

void gemm(Context& ctx, MatrixView<float> c, MatrixView<const float> a, Transpose transpose_a,
          MatrixView<const float> b, Transpose transpose_b, Write write,
          const Epilogue<float>& epilogue);

void activation_forward(Context& ctx, GroupView<float> y, GroupView<const float> x,
                        Activation activation);

void activation_backward(Context& ctx, GroupView<float> d_x, GroupView<const float> d_y,
                         GroupView<const float> y, Activation activation);

}  // namespace ganmm::kernels::cuda
