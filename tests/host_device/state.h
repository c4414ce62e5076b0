// The host device: a CUDA backend whose device is this process. Kernels run as fibres (block.h),
// device memory is heap memory that host code may not touch, streams run what they are handed at
// once, and a recorded graph is replayed in a random order that respects its dependencies.
#pragma once

#include "kernels/core/backend.h"

#include <functional>

namespace ganmm::host_device {

// Runs `work` with device memory open, or adds it to the graph that is being recorded.
void submit(BackendState& state, std::function<void()> work);

MathMode math_of(BackendState& state);

}  // namespace ganmm::host_device
