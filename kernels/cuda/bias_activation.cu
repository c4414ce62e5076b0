// c = act(c + bias): one read and one write of c, bound by memory bandwidth; the bias stays in the
// cache. The sum and the activation are separate roundings, as on the CPU; bfloat16 is rounded
// once, at the end.
#include "kernels/cuda/activation_phi.h"
#include "kernels/cuda/bias_activation.h"
#include "kernels/cuda/elements.h"

namespace ganmm::kernels::cuda {

namespace {

template <class C>
GANMM_KERNEL bias_activation_kernel(ElementWalk walk, Rows<C> c, Rows<const float> bias,
                                    ActivationKind kind, float slope) {
  for_each_element(walk, [&](Index group, Index row, Index col) {
    float z = static_cast<float>(at(c, group, row, col));
    if (bias.data != nullptr) z += at(bias, group, 0, col);
    at(c, group, row, col) = static_cast<C>(phi(kind, slope, z));
  });
}

}  // namespace

template <class C>
void bias_activation(Context& ctx, MatrixView<C> c, ParamView<const float> bias,
                     Activation activation) {
  const ElementExtent extent{c.groups, c.rows, c.cols};
  if (extent.empty()) return;
  const auto [walk, shape] = element_launch(ctx, extent);
  launch(ctx, "bias_activation", shape, bias_activation_kernel<C>, walk,
         Rows<C>{c.data, c.group_stride, c.row_stride},
         Rows<const float>{bias.data, bias.group_stride, 0}, activation.kind,
         static_cast<float>(activation.slope));
}

template void bias_activation<float>(Context&, MatrixView<float>, ParamView<const float>,
                                     Activation);
template void bias_activation<BFloat16>(Context&, MatrixView<BFloat16>, ParamView<const float>,
                                        Activation);

}  // namespace ganmm::kernels::cuda
