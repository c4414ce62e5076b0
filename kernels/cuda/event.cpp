#include "kernels/cuda/check.h"
#include "kernels/cuda/context_cuda.h"

namespace ganmm::kernels::cuda {

namespace {

struct DestroyEvent {
  void operator()(cudaEvent_t event) const noexcept {
    GANMM_CHECK_CUDA_NOEXCEPT(cudaEventDestroy(event));
  }
};

class CudaEvent final : public BackendEvent {
 public:
  explicit CudaEvent(int device) {
    const DeviceGuard guard(device);
    cudaEvent_t event = nullptr;
    GANMM_CHECK_CUDA(cudaEventCreate(&event));
    event_.reset(event);
  }

  void synchronize() override { GANMM_CHECK_CUDA(cudaEventSynchronize(get())); }
  cudaEvent_t get() const { return event_.get(); }

 private:
  std::unique_ptr<CUevent_st, DestroyEvent> event_;
};

cudaEvent_t handle(BackendEvent& event) { return static_cast<CudaEvent&>(event).get(); }

}  // namespace

std::unique_ptr<BackendEvent> make_event(BackendState& state) {
  return std::make_unique<CudaEvent>(cuda_state(state).device());
}

void record(BackendEvent& event, BackendState& state) {
  const CudaState& cuda = cuda_state(state);
  const DeviceGuard guard(cuda.device());
  GANMM_CHECK_CUDA(cudaEventRecord(handle(event), cuda.stream()));
}

void wait(BackendState& state, BackendEvent& event) {
  const CudaState& cuda = cuda_state(state);
  const DeviceGuard guard(cuda.device());
  GANMM_CHECK_CUDA(cudaStreamWaitEvent(cuda.stream(), handle(event), 0));
}

double elapsed_ms(BackendEvent& start, BackendEvent& end) {
  start.synchronize();
  end.synchronize();
  float milliseconds = 0;
  GANMM_CHECK_CUDA(cudaEventElapsedTime(&milliseconds, handle(start), handle(end)));
  return static_cast<double>(milliseconds);
}

}  // namespace ganmm::kernels::cuda
