// CUDA graphs: capture, instantiation, launch.
#include "kernels/core/backend.h"
#include "kernels/cuda/check.h"
#include "kernels/cuda/context_cuda.h"

namespace ganmm::kernels::cuda {

namespace {

struct DestroyGraph {
  void operator()(cudaGraph_t graph) const noexcept {
    GANMM_CHECK_CUDA_NOEXCEPT(cudaGraphDestroy(graph));
  }
};
struct DestroyExecutable {
  void operator()(cudaGraphExec_t graph) const noexcept {
    GANMM_CHECK_CUDA_NOEXCEPT(cudaGraphExecDestroy(graph));
  }
};

class CudaGraph final : public BackendGraph {
 public:
  explicit CudaGraph(cudaGraph_t graph) : graph_(graph) {
    cudaGraphExec_t executable = nullptr;
    GANMM_CHECK_CUDA(cudaGraphInstantiate(&executable, graph, 0));
    executable_.reset(executable);
  }

  cudaGraphExec_t executable() const { return executable_.get(); }
  std::size_t nodes() const {
    std::size_t count = 0;
    GANMM_CHECK_CUDA(cudaGraphGetNodes(graph_.get(), nullptr, &count));
    return count;
  }

 private:
  std::unique_ptr<CUgraph_st, DestroyGraph> graph_;
  std::unique_ptr<CUgraphExec_st, DestroyExecutable> executable_;
};

}  // namespace

std::unique_ptr<BackendGraph> record_graph(BackendState& state, const std::function<void()>& work) {
  const CudaState& cuda = cuda_state(state);
  const DeviceGuard guard(cuda.device());
  // Thread-local: another thread of the application may allocate meanwhile without breaking it.
  GANMM_CHECK_CUDA(cudaStreamBeginCapture(cuda.stream(), cudaStreamCaptureModeThreadLocal));
  cudaGraph_t graph = nullptr;
  try {
    work();
  } catch (...) {
    // Ends the capture, which the failure may have invalidated already.
    GANMM_CHECK_CUDA_NOEXCEPT(cudaStreamEndCapture(cuda.stream(), &graph));
    if (graph != nullptr) DestroyGraph{}(graph);
    throw;
  }
  GANMM_CHECK_CUDA(cudaStreamEndCapture(cuda.stream(), &graph));
  return std::make_unique<CudaGraph>(graph);
}

void replay(BackendGraph& graph, BackendState& state) {
  const CudaState& cuda = cuda_state(state);
  const DeviceGuard guard(cuda.device());
  GANMM_CHECK_CUDA(cudaGraphLaunch(static_cast<CudaGraph&>(graph).executable(), cuda.stream()));
}

std::size_t graph_nodes(BackendGraph& graph) { return static_cast<CudaGraph&>(graph).nodes(); }

}  // namespace ganmm::kernels::cuda
