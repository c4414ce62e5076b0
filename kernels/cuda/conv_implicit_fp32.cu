// The kernels of implicit_gemm.h in one arithmetic; a file each, since they compile for long.
#include "kernels/cuda/implicit_gemm.h"

namespace ganmm::kernels::cuda::implicit {

using Element = Fp32::Element;
template void run<Fp32, Map::forward, Element>(Context&, const char*, const Extent&, const Dims&,
                                               const Operands<Element, Element>&);
template void run<Fp32, Map::backward_data, Element>(Context&, const char*, const Extent&,
                                                     const Dims&,
                                                     const Operands<Element, Element>&);
template void run<Fp32, Map::backward_weights, float>(Context&, const char*, const Extent&,
                                                      const Dims&, const Operands<Element, float>&);

}  // namespace ganmm::kernels::cuda::implicit
