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
bool library_refused(const Context&, ConvOp, const ConvGeometry&) {
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

#define GANMM_INSTANTIATE(T)                                                                       \
  GANMM_INSTANTIATE_CONV_PATH(library, T)                                                          \
  template bool library_refused<T>(const Context&, ConvOp, const ConvGeometry&);
GANMM_INSTANTIATE(float)
GANMM_INSTANTIATE(BFloat16)
#undef GANMM_INSTANTIATE

}  // namespace ganmm::kernels::cuda
