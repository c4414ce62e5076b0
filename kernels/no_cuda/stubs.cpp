// The CUDA backend of a build without CUDA: everything that would need it says so.
#include "kernels/backend.h"
#include "kernels/core/backend.h"
#include "kernels/core/error.h"

namespace ganmm::kernels::cuda {

namespace {

constexpr const char* kReason = "built without CUDA (GANMM_CUDA=OFF)";

[[noreturn]] void refuse(const char* purpose) {
  throw UnsupportedError(
      message(purpose, " on a CUDA device: expected a build with CUDA, found one ", kReason,
              "; configure with -DGANMM_CUDA=ON or choose the CPU backend"));
}

}  // namespace

CudaStatus status() {
  CudaStatus result;
  result.reason = kReason;
  return result;
}

std::unique_ptr<BackendState> make_state(Device, MathMode) { refuse("context"); }
void* allocate(Device, std::size_t) { refuse("allocation"); }
void release(Device, void*) noexcept {}
void copy_to_device(BackendState&, void*, const void*, std::size_t) { refuse("copy"); }
void copy_to_host(BackendState&, void*, const void*, std::size_t) { refuse("copy"); }
void copy_on_device(BackendState&, void*, const void*, std::size_t) { refuse("copy"); }
void clear(BackendState&, void*, std::size_t) { refuse("clearing memory"); }
void clear_now(Device, void*, std::size_t) { refuse("clearing memory"); }
std::unique_ptr<BackendEvent> make_event(BackendState&) { refuse("event"); }
void record(BackendEvent&, BackendState&) { refuse("event"); }
void wait(BackendState&, BackendEvent&) { refuse("event"); }
double elapsed_ms(BackendEvent&, BackendEvent&) { refuse("event"); }

void gemm(Context&, MatrixView<float>, MatrixView<const float>, Transpose, MatrixView<const float>,
          Transpose, Write, const Epilogue<float>&) {
  refuse("gemm");
}

void activation_forward(Context&, GroupView<float>, GroupView<const float>, Activation) {
  refuse("activation_forward");
}

void activation_backward(Context&, GroupView<float>, GroupView<const float>, GroupView<const float>,
                         Activation) {
  refuse("activation_backward");
}

}  // namespace ganmm::kernels::cuda
