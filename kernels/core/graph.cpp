#include "kernels/core/graph.h"

namespace ganmm {

void Graph::record(Context& ctx, std::function<void()> work) {
  clear();
  if (ctx.on_cpu()) {
    work_ = std::move(work);
  } else {
    graph_ = kernels::cuda::record_graph(ctx.backend(), work);
  }
}

void Graph::clear() {
  work_ = nullptr;
  graph_.reset();
}

void Graph::run(Context& ctx) {
  require<ShapeError>(recorded(), "graph: expected recorded work, found none; record it first");
  if (graph_ != nullptr) {
    kernels::cuda::replay(*graph_, ctx.backend());
  } else {
    work_();
  }
}

std::size_t Graph::nodes() const {
  return graph_ == nullptr ? 0 : kernels::cuda::graph_nodes(*graph_);
}

}  // namespace ganmm
