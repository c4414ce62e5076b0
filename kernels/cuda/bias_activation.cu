// c = act(c + bias): one read and one write of c, bound by memory bandwidth; the bias stays in the
// cache. The sum and the activation are separate roundings, as on the CPU.
#include "kernels/cuda/activation_phi.h"
#include "kernels/cuda/bias_activation.h"
#include "kernels/cuda/elements.h"

namespace ganmm::kernels::cuda {

namespace {

GANMM_KERNEL bias_activation_kernel(ElementWalk walk, Rows<float> c, Rows<const float> bias,
                                    ActivationKind kind, float slope) {
  for_each_element(walk, [&](Index group, Index row, Index col) {
    float z = at(c, group, row, col);
    if (bias.data != nullptr) z += at(bias, group, 0, col);
    at(c, group, row, col) = phi(kind, slope, z);
  });
}

}  // namespace

void bias_activation(Context& ctx, MatrixView<float> c, const Epilogue<float>& epilogue) {
  const ElementExtent extent{c.groups, c.rows, c.cols};
  if (extent.empty()) return;
  const auto [walk, shape] = element_launch(ctx, extent);
  const Rows<const float> bias{epilogue.bias.data, epilogue.bias.group_stride, 0};
  launch(ctx, "bias_activation", shape, bias_activation_kernel, walk,
         Rows<float>{c.data, c.group_stride, c.row_stride}, bias, epilogue.activation.kind,
         static_cast<float>(epilogue.activation.slope));
}

}  // namespace ganmm::kernels::cuda
