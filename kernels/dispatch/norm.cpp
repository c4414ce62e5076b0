#include "kernels/norm.h"

#include "kernels/backend.h"
#include "kernels/dispatch/dispatch.h"
#include "kernels/dispatch/view_check.h"

#include <cmath>

namespace ganmm::kernels {

namespace {

// What all norm ops share: x, its statistics and the settings. M is T or const T.
template <class T, class M>
void check_norm(const char* op, const GroupView<const T>& x, const ParamView<M>& mean,
                const ParamView<M>& inv_sigma, const NormSettings& settings) {
  check_view(op, "x", x);
  check_channels(op, "x", x);
  const Index sets = norm_statistics(settings, x.batch, x.item.back());
  check_param(op, "mean", mean, x.groups, sets, "norm_statistics values per group");
  check_param(op, "inv_sigma", inv_sigma, x.groups, sets, "norm_statistics values per group");
}

template <class T, class P>
void check_channel_param(const char* op, const char* name, const ParamView<P>& param,
                         const GroupView<const T>& x) {
  check_param(op, name, param, x.groups, x.item.back(), "one value per channel of x");
}

}  // namespace

Index norm_statistics(const NormSettings& settings, Index batch, Index channels) {
  if (settings.kind == NormKind::layer) return batch;
  if (batch == 0) return 0;
  require<ShapeError>(settings.stat_batch > 0 && batch % settings.stat_batch == 0,
                      "norm_statistics: expected a statistics batch that divides the batch of ",
                      batch, " items, found ", settings.stat_batch,
                      "; normalise over the whole batch or an equal part of it");
  return checked_multiply(batch / settings.stat_batch, channels);
}

template <class T>
void norm_forward(Context& ctx, GroupView<T> z, ParamView<Master<T>> mean,
                  ParamView<Master<T>> inv_sigma, GroupView<const T> x,
                  ParamView<const Master<T>> gamma, ParamView<const Master<T>> beta,
                  const NormSettings& settings) {
  const char* op = "norm_forward";
  check_norm(op, x, mean, inv_sigma, settings);
  check_like(op, "z", z, "x", x);
  check_channel_param(op, "gamma", gamma, x);
  check_channel_param(op, "beta", beta, x);
  require<ConfigError>(settings.epsilon >= 0 && std::isfinite(settings.epsilon), op,
                       ": expected a finite epsilon >= 0, found ", settings.epsilon,
                       "; 1e-5 is usual");
  dispatch<T>(
      ctx, op, traffic(z, x),
      [&](auto& c) { cpu::norm_forward<T>(c, z, mean, inv_sigma, x, gamma, beta, settings); },
      [&](auto& c) { cuda::norm_forward<T>(c, z, mean, inv_sigma, x, gamma, beta, settings); });
}

template <class T>
void norm_backward_data(Context& ctx, GroupView<T> d_x, GroupView<const T> d_z,
                        GroupView<const T> x, ParamView<const Master<T>> mean,
                        ParamView<const Master<T>> inv_sigma, ParamView<const Master<T>> gamma,
                        const NormSettings& settings) {
  const char* op = "norm_backward_data";
  check_norm(op, x, mean, inv_sigma, settings);
  check_like(op, "d_x", d_x, "x", x);
  check_like(op, "d_z", d_z, "x", x);
  check_channel_param(op, "gamma", gamma, x);
  dispatch<T>(
      ctx, op, traffic(d_x, d_z, x),
      [&](auto& c) {
        cpu::norm_backward_data<T>(c, d_x, d_z, x, mean, inv_sigma, gamma, settings);
      },
      [&](auto& c) {
        cuda::norm_backward_data<T>(c, d_x, d_z, x, mean, inv_sigma, gamma, settings);
      });
}

template <class T>
void norm_backward_params(Context& ctx, ParamView<Master<T>> d_gamma, ParamView<Master<T>> d_beta,
                          GroupView<const T> d_z, GroupView<const T> x,
                          ParamView<const Master<T>> mean, ParamView<const Master<T>> inv_sigma,
                          const NormSettings& settings, Write write) {
  const char* op = "norm_backward_params";
  check_norm(op, x, mean, inv_sigma, settings);
  check_like(op, "d_z", d_z, "x", x);
  check_channel_param(op, "d_gamma", d_gamma, x);
  check_channel_param(op, "d_beta", d_beta, x);
  dispatch<T>(
      ctx, op, traffic(d_z, x),
      [&](auto& c) {
        cpu::norm_backward_params<T>(c, d_gamma, d_beta, d_z, x, mean, inv_sigma, settings, write);
      },
      [&](auto& c) {
        cuda::norm_backward_params<T>(c, d_gamma, d_beta, d_z, x, mean, inv_sigma, settings, write);
      });
}

template <class T>
void norm_tangent(Context& ctx, GroupView<T> t_z, GroupView<const T> t_x, GroupView<const T> x,
                  ParamView<const Master<T>> mean, ParamView<const Master<T>> inv_sigma,
                  ParamView<const Master<T>> gamma, const NormSettings& settings) {
  const char* op = "norm_tangent";
  check_norm(op, x, mean, inv_sigma, settings);
  check_like(op, "t_z", t_z, "x", x);
  check_like(op, "t_x", t_x, "x", x);
  check_channel_param(op, "gamma", gamma, x);
  dispatch<T>(
      ctx, op, traffic(t_z, t_x, x),
      [&](auto& c) { cpu::norm_tangent<T>(c, t_z, t_x, x, mean, inv_sigma, gamma, settings); },
      [&](auto& c) { cuda::norm_tangent<T>(c, t_z, t_x, x, mean, inv_sigma, gamma, settings); });
}

template <class T>
void norm_penalty(Context& ctx, GroupView<T> r_x, ParamView<Master<T>> d_gamma,
                  ParamView<Master<T>> d_beta, GroupView<const T> r_z, GroupView<const T> u,
                  GroupView<const T> t_x, GroupView<const T> x, ParamView<const Master<T>> mean,
                  ParamView<const Master<T>> inv_sigma, ParamView<const Master<T>> gamma,
                  const NormSettings& settings) {
  const char* op = "norm_penalty";
  require<UnsupportedError>(settings.kind == NormKind::layer, op,
                            ": expected layer norm, found batch norm, under which the penalty is "
                            "not per sample; choose layer norm or none in the critic");
  check_norm(op, x, mean, inv_sigma, settings);
  check_like(op, "r_x", r_x, "x", x);
  check_like(op, "u", u, "x", x);
  check_like(op, "t_x", t_x, "x", x);
  if (r_z.data != nullptr) check_like(op, "r_z", r_z, "x", x);
  check_channel_param(op, "gamma", gamma, x);
  check_channel_param(op, "d_gamma", d_gamma, x);
  check_channel_param(op, "d_beta", d_beta, x);
  const T* out = r_x.data;
  require<ShapeError>(
      out == nullptr || (out != r_z.data && out != u.data && out != t_x.data && out != x.data), op,
      ": expected memory of its own for r_x, found that of an input; the inputs are read again for "
      "the gradient of gamma");
  dispatch<T>(
      ctx, op, traffic(r_x, u, t_x, x),
      [&](auto& c) {
        cpu::norm_penalty<T>(c, r_x, d_gamma, d_beta, r_z, u, t_x, x, mean, inv_sigma, gamma,
                             settings);
      },
      [&](auto& c) {
        cuda::norm_penalty<T>(c, r_x, d_gamma, d_beta, r_z, u, t_x, x, mean, inv_sigma, gamma,
                              settings);
      });
}

Index norm_workspace(const Context& ctx, Index groups, Index batch, const NormSettings& settings) {
  return ctx.on_cpu() || settings.kind == NormKind::batch ? 0 : cuda::norm_workspace(groups, batch);
}

#define GANMM_INSTANTIATE(T)                                                                       \
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
      ParamView<const Master<T>>, ParamView<const Master<T>>, const NormSettings&);

GANMM_FOR_EACH_TYPE(GANMM_INSTANTIATE)

}  // namespace ganmm::kernels
