#include "kernels/core/graph.h"

namespace ganmm {

void Graph::run(Context& ctx, const std::function<void()>& work) {
  if (ctx.on_cpu() || !called_ || ctx.meter() != nullptr) {
    called_ = true;
    return work();
  }
  if (graph_ == nullptr) graph_ = kernels::cuda::record_graph(ctx.backend(), work);
  kernels::cuda::replay(*graph_, ctx.backend());
}

void Graph::clear() {
  called_ = false;
  graph_.reset();
}

std::size_t Graph::nodes() const {
  return graph_ == nullptr ? 0 : kernels::cuda::graph_nodes(*graph_);
}

}  // namespace ganmm
