// The library path of a build without cuDNN: it serves nothing.
#include "kernels/core/error.h"
#include "kernels/cuda/conv_paths.h"

namespace ganmm::kernels::cuda {

namespace {

[[noreturn]] void refuse(const char* op) {
  throw UnsupportedError(message(op, ": this build has no cuDNN; choose another path"));
}

}  // namespace

template <class T>
bool library_supports(MathMode, ConvOp, const ConvGeometry&) {
  return false;
}
template <class T>
Index conv_workspace_library(const Context&, ConvOp, Index, Index, const ConvGeometry&) {
  return 0;
}
template <class T>
void conv_forward_library(Context&, GroupView<T>, GroupView<const T>, ParamView<const T>,
                          const ConvGeometry&, const Epilogue<T>&) {
  refuse("conv_forward");
}
template <class T>
void conv_backward_data_library(Context&, GroupView<T>, GroupView<const T>, ParamView<const T>,
                                const ConvGeometry&, const Epilogue<T>&) {
  refuse("conv_backward_data");
}
template <class T>
void conv_backward_weights_library(Context&, ParamView<Master<T>>, GroupView<const T>,
                                   GroupView<const T>, const ConvGeometry&, Write) {
  refuse("conv_backward_weights");
}

GANMM_INSTANTIATE_CONV_PATH(library, float)
GANMM_INSTANTIATE_CONV_PATH(library, BFloat16)

}  // namespace ganmm::kernels::cuda
