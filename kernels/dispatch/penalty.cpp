#include "kernels/penalty.h"

#include "kernels/backend.h"
#include "kernels/dispatch/dispatch.h"
#include "kernels/dispatch/view_check.h"

namespace ganmm::kernels {

template <class T>
void interpolate(Context& ctx, GroupView<T> x_hat, GroupView<const T> real, GroupView<const T> fake,
                 const RandomKey& key) {
  const char* op = "interpolate";
  check_view(op, "x_hat", x_hat);
  check_like(op, "real", real, "x_hat", x_hat);
  check_like(op, "fake", fake, "x_hat", x_hat);
  // Quads of items are numbered in 32 bits.
  require<ShapeError>(x_hat.batch <= (Index{1} << 34), op, ": expected at most 2^34 items, found ",
                      x_hat.batch, "; split the batch");
  dispatch_cpu_only(ctx, op, [&] { cpu::interpolate<T>(ctx, x_hat, real, fake, key); });
}

template <class T>
void penalty_direction(Context& ctx, GroupView<T> v, ParamView<T> penalty, GroupView<const T> g,
                       double lambda) {
  const char* op = "penalty_direction";
  check_view(op, "g", g);
  check_like(op, "v", v, "g", g);
  check_param(op, "penalty", penalty, g.groups, 1, "one number per group");
  dispatch_cpu_only(ctx, op, [&] { cpu::penalty_direction<T>(ctx, v, penalty, g, lambda); });
}

template void interpolate<float>(Context&, GroupView<float>, GroupView<const float>,
                                 GroupView<const float>, const RandomKey&);
template void interpolate<double>(Context&, GroupView<double>, GroupView<const double>,
                                  GroupView<const double>, const RandomKey&);
template void penalty_direction<float>(Context&, GroupView<float>, ParamView<float>,
                                       GroupView<const float>, double);
template void penalty_direction<double>(Context&, GroupView<double>, ParamView<double>,
                                        GroupView<const double>, double);

}  // namespace ganmm::kernels
