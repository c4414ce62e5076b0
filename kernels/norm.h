// Batch normalisation and layer normalisation: z = gamma * xhat + beta, xhat = (x - mean) / sigma,
// sigma = sqrt(variance + epsilon), biased variance, over a set of m elements:
//   batch norm  per channel (last axis) over all items and positions of a statistics batch;
//               a batch of B items holds B / stat_batch statistics batches, side by side
//               (real and fake rows of one critic batch have statistics of their own);
//   layer norm  per item over all its elements.
// gamma and beta are per channel (last axis) in both.
//
// With P q = q - mean(q) - xhat mean(xhat q) over the set:
//   backward  d_x = P(gamma d_z) / sigma
//   tangent   t_z = gamma P(t_x) / sigma       (P is symmetric)
// Source: Ioffe & Szegedy 2015; Ba, Kiros, Hinton 2016; adjoints derived here.
#pragma once

#include "kernels/core/context.h"
#include "kernels/core/view.h"

namespace ganmm::kernels {

enum class NormKind { batch, layer };

struct NormSettings {
  NormKind kind = NormKind::batch;
  double epsilon = 1e-5;
  Index stat_batch = 0;  // batch norm: items per statistics batch; must divide the batch
};

// Number of (mean, 1/sigma) pairs per group that forward stores for a batch. Their order is
// [statistics batch][channel] for batch norm and [item] for layer norm.
Index norm_statistics(const NormSettings& settings, Index batch, Index channels);

// z from x. Shapes x, z [N][B][...][C]; gamma, beta [N][C];
// mean, inv_sigma [N][norm_statistics]. z may alias x only if x is not needed again.
template <class T>
void norm_forward(Context& ctx, GroupView<T> z, ParamView<Master<T>> mean,
                  ParamView<Master<T>> inv_sigma, GroupView<const T> x,
                  ParamView<const Master<T>> gamma, ParamView<const Master<T>> beta,
                  const NormSettings& settings);

// d_x from d_z, at the x, mean and inv_sigma of the forward pass. d_x may alias d_z.
template <class T>
void norm_backward_data(Context& ctx, GroupView<T> d_x, GroupView<const T> d_z,
                        GroupView<const T> x, ParamView<const Master<T>> mean,
                        ParamView<const Master<T>> inv_sigma, ParamView<const Master<T>> gamma,
                        const NormSettings& settings);

// d_gamma (=|+=) sum d_z xhat, d_beta (=|+=) sum d_z.
template <class T>
void norm_backward_params(Context& ctx, ParamView<Master<T>> d_gamma, ParamView<Master<T>> d_beta,
                          GroupView<const T> d_z, GroupView<const T> x,
                          ParamView<const Master<T>> mean, ParamView<const Master<T>> inv_sigma,
                          const NormSettings& settings, Write write);

// t_z from t_x, the directional derivative at x. t_z may alias t_x.
template <class T>
void norm_tangent(Context& ctx, GroupView<T> t_z, GroupView<const T> t_x, GroupView<const T> x,
                  ParamView<const Master<T>> mean, ParamView<const Master<T>> inv_sigma,
                  ParamView<const Master<T>> gamma, const NormSettings& settings);

// Second order, layer norm only (a per-sample penalty does not exist under batch norm).
// With phi = sum over the set of t_x * P(gamma u), u the backward signal at z, the derivative of
// phi / sigma in x and in gamma:
//   r_x     = P(gamma r_z)/sigma - (1/(m sigma^2)) [sum(t_x P(gamma u)) xhat
//             + sum(gamma u xhat) P(t_x) + sum(t_x xhat) P(gamma u)]
//   d_gamma += sum u P(t_x) / sigma  (+ sum r_z xhat),  d_beta += sum r_z
// r_z may be empty (data == nullptr): taken as zero. Accumulates into d_gamma and d_beta.
// Throws UnsupportedError for batch norm.
// Workspace: norm_workspace(ctx, groups, batch, settings) bytes of scratch.
template <class T>
void norm_penalty(Context& ctx, GroupView<T> r_x, ParamView<Master<T>> d_gamma,
                  ParamView<Master<T>> d_beta, GroupView<const T> r_z, GroupView<const T> u,
                  GroupView<const T> t_x, GroupView<const T> x, ParamView<const Master<T>> mean,
                  ParamView<const Master<T>> inv_sigma, ParamView<const Master<T>> gamma,
                  const NormSettings& settings);

// Scratch bytes for norm_penalty with up to `batch` items per group.
Index norm_workspace(const Context& ctx, Index groups, Index batch, const NormSettings& settings);

}  // namespace ganmm::kernels
