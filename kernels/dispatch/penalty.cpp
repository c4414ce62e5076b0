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
  dispatch<T>(
      ctx, op, traffic(x_hat, real, fake),
      [&](auto& c) { cpu::interpolate<T>(c, x_hat, real, fake, key); },
      [&](auto& c) { cuda::interpolate<T>(c, x_hat, real, fake, key); });
}

template <class T>
void penalty_direction(Context& ctx, GroupView<T> v, ParamView<Master<T>> penalty,
                       GroupView<const T> g, double lambda) {
  const char* op = "penalty_direction";
  check_view(op, "g", g);
  check_like(op, "v", v, "g", g);
  check_param(op, "penalty", penalty, g.groups, 1, "one number per group");
  dispatch<T>(
      ctx, op, traffic(v, g), [&](auto& c) { cpu::penalty_direction<T>(c, v, penalty, g, lambda); },
      [&](auto& c) { cuda::penalty_direction<T>(c, v, penalty, g, lambda); });
}

#define GANMM_INSTANTIATE(T)                                                                       \
  template void interpolate<T>(Context&, GroupView<T>, GroupView<const T>, GroupView<const T>,     \
                               const RandomKey&);                                                  \
  template void penalty_direction<T>(Context&, GroupView<T>, ParamView<Master<T>>,                 \
                                     GroupView<const T>, double);

GANMM_FOR_EACH_TYPE(GANMM_INSTANTIATE)

}  // namespace ganmm::kernels
