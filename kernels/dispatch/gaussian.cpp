#include "kernels/gaussian.h"

#include "kernels/backend.h"
#include "kernels/dispatch/dispatch.h"
#include "kernels/dispatch/view_check.h"

namespace ganmm::kernels {

namespace {

// Rows of `data` for every group and row of `by_component` [R][B][N].
template <class T>
void check_rows(const char* op, const GroupView<const T>& data, const char* name, Index groups,
                Index batch, Index components) {
  check_view(op, "data", data);
  if ((data.groups == groups || data.groups == 1) && data.batch == batch) return;
  throw ShapeError(message(op, ": expected data [R=", groups, " or 1][B=", batch, "][D] for ", name,
                           " [R=", groups, "][B=", batch, "][N=", components, "], found ",
                           describe(data), "; give both the same rows"));
}

}  // namespace

template <class T>
void gaussian_log_density(Context& ctx, GroupView<double> log_density, GroupView<const T> data,
                          const GaussianView& gaussians) {
  const char* op = "gaussian_log_density";
  check_view(op, "log_density", log_density);
  check_rows(op, data, "log_density", log_density.groups, log_density.batch,
             log_density.features());
  require<ShapeError>(
      gaussians.mixtures == log_density.groups && gaussians.components == log_density.features() &&
          gaussians.features == data.features(),
      op, ": expected Gaussians [R=", log_density.groups, "][N=", log_density.features(),
      "][D=", data.features(), "], found [R=", gaussians.mixtures, "][N=", gaussians.components,
      "][D=", gaussians.features, "]; give one for every column of the log densities");
  require<ShapeError>(!(gaussians.diagonal && gaussians.shared), op,
                      ": expected diagonal factors for every component or one shared matrix, found "
                      "shared diagonals; repeat them");
  const double products = gaussians.diagonal ? 1.0 : static_cast<double>(data.features()) / 2;
  dispatch<T>(
      ctx, op,
      OpCost{bytes_of(log_density) + bytes_of(data),
             2 *
                 static_cast<double>(log_density.groups * log_density.batch *
                                     log_density.features() * data.features()) *
                 products},
      [&](auto& c) { cpu::gaussian_log_density<T>(c, log_density, data, gaussians); },
      [&](auto& c) { cuda::gaussian_log_density<T>(c, log_density, data, gaussians); });
}

void responsibilities(Context& ctx, double* total, GroupView<double> density) {
  check_view("responsibilities", "density", density);
  require<ShapeError>(density.features() >= 1 && (total != nullptr || density.groups == 0),
                      "responsibilities: expected at least one component and memory for the "
                      "totals, found ",
                      density.features(), " components");
  dispatch<float>(
      ctx, "responsibilities", traffic(density, density),
      [&](auto& c) { cpu::responsibilities(c, total, density); },
      [&](auto& c) { cuda::responsibilities(c, total, density); });
}

Index responsibilities_workspace(const Context& ctx, Index mixtures, Index rows) {
  return ctx.on_cpu() ? 0 : cuda::responsibilities_workspace(mixtures, rows);
}

template <class T>
void weighted_moments(Context& ctx, double* moments, GroupView<const double> weight,
                      GroupView<const T> data, const double* shift, bool diagonal) {
  const char* op = "weighted_moments";
  check_view(op, "weight", weight);
  check_rows(op, data, "weight", weight.groups, weight.batch, weight.features());
  const bool empty = weight.groups == 0 || weight.features() == 0;
  require<ShapeError>(empty || (moments != nullptr && shift != nullptr), op,
                      ": expected memory for moments and shifts, found a null pointer; reserve the "
                      "arena before running");
  const double products = diagonal ? 1.0 : static_cast<double>(data.features()) / 2;
  dispatch<T>(
      ctx, op,
      OpCost{bytes_of(weight) + bytes_of(data),
             2 *
                 static_cast<double>(weight.groups * weight.batch * weight.features() *
                                     data.features()) *
                 products},
      [&](auto& c) { cpu::weighted_moments<T>(c, moments, weight, data, shift, diagonal); },
      [&](auto& c) { cuda::weighted_moments<T>(c, moments, weight, data, shift, diagonal); });
}

Index moments_workspace(const Context& ctx, Index mixtures, Index components, Index rows,
                        Index features, bool diagonal) {
  return ctx.on_cpu() ? cpu::moments_workspace(features)
                      : cuda::moments_workspace(mixtures, components, rows, features, diagonal);
}

#define GANMM_INSTANTIATE(T)                                                                       \
  template void gaussian_log_density<T>(Context&, GroupView<double>, GroupView<const T>,           \
                                        const GaussianView&);                                      \
  template void weighted_moments<T>(Context&, double*, GroupView<const double>,                    \
                                    GroupView<const T>, const double*, bool);

GANMM_FOR_EACH_WIDE_TYPE(GANMM_INSTANTIATE)

}  // namespace ganmm::kernels
