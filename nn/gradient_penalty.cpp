#include "nn/gradient_penalty.h"

#include "kernels/penalty.h"

namespace ganmm::nn {

template <class T>
void gradient_penalty(Context& ctx, const Sequential<T>& net, const ParamRange<T>& params,
                      Tape<T>& tape, Index first, Index rows, double lambda,
                      ParamView<Master<T>> penalty) {
  const auto& layers = net.layers();
  const auto part = [&](GroupView<T> view) {
    return view.data == nullptr ? view : view.rows(first, rows);
  };
  kernels::penalty_direction<T>(ctx, part(tape.tangent(0)), penalty, part(tape.signal(0)), lambda);
  for (std::size_t l = 0; l < layers.size(); ++l) {
    layers[l]->tangent(ctx, params, tape.site(l, first, rows), part(tape.tangent(l + 1)),
                       part(tape.tangent(l)));
  }
  bool arrives = false;
  for (std::size_t l = layers.size(); l-- > 0;) {
    const bool sends = layers[l]->penalty_signal(arrives);
    layers[l]->penalty(ctx, params, tape.site(l, first, rows), part(tape.signal(l + 1)),
                       part(tape.tangent(l + 1)), part(tape.tangent(l)),
                       part(tape.curvature(l + 1)), arrives,
                       sends ? part(tape.curvature(l)) : GroupView<T>{});
    arrives = sends;
  }
}

#define GANMM_INSTANTIATE(T)                                                                       \
  template void gradient_penalty<T>(Context&, const Sequential<T>&, const ParamRange<T>&,          \
                                    Tape<T>&, Index, Index, double, ParamView<Master<T>>);
GANMM_INSTANTIATE(float)
GANMM_INSTANTIATE(double)
GANMM_INSTANTIATE(BFloat16)

}  // namespace ganmm::nn
