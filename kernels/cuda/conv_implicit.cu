// TEMPORARY: the implicit path is being written; until then it serves nothing.
#include "kernels/core/error.h"
#include "kernels/cuda/conv_paths.h"

namespace ganmm::kernels::cuda {

namespace {

[[noreturn]] void refuse(const char* op) {
  throw UnsupportedError(
      message(op, ": the implicit path is not written yet; choose another path"));
}

}  // namespace

template <class T>
bool implicit_supports(MathMode, ConvOp, const ConvGeometry&) {
  return false;
}
template <class T>
Index conv_workspace_implicit(const Context&, ConvOp, Index, Index, const ConvGeometry&) {
  return 0;
}
template <class T>
void conv_forward_implicit(Context&, GroupView<T>, GroupView<const T>, ParamView<const T>,
                           const ConvGeometry&, const Epilogue<T>&) {
  refuse("conv_forward");
}
template <class T>
void conv_backward_data_implicit(Context&, GroupView<T>, GroupView<const T>, ParamView<const T>,
                                 const ConvGeometry&, const Epilogue<T>&) {
  refuse("conv_backward_data");
}
template <class T>
void conv_backward_weights_implicit(Context&, ParamView<Master<T>>, GroupView<const T>,
                                    GroupView<const T>, const ConvGeometry&, Write) {
  refuse("conv_backward_weights");
}

GANMM_INSTANTIATE_CONV_PATH(implicit, float)
GANMM_INSTANTIATE_CONV_PATH(implicit, BFloat16)

}  // namespace ganmm::kernels::cuda
