// kernels/cuda/launch.h for the host device: the same names, running or recording the kernel there.
#pragma once

#include "kernels/core/context.h"
#include "kernels/core/error.h"
#include "kernels/core/meter.h"
#include "kernels/core/shape.h"
#include "tests/host_device/block.h"
#include "tests/host_device/state.h"

#include <cstddef>
#include <string>
#include <type_traits>

namespace ganmm::kernels::cuda {

inline constexpr Index kMaxBlocksX = 2147483647;
inline constexpr Index kMaxBlocksY = 65535;
inline constexpr std::size_t kStaticSharedLimit = 48 << 10;
inline constexpr std::size_t kSharedLimit = 227 << 10;  // of sm_90, for one block

struct LaunchShape {
  Index blocks_x = 1;
  Index blocks_y = 1;
  Index blocks_z = 1;
  int threads = 0;
  std::size_t shared_bytes = 0;
  int cluster = 1;
};

inline constexpr int kMaxCluster = 16;

template <class... Parameters>
int resident_clusters(const Context&, const LaunchShape& shape, void (*)(Parameters...)) {
  return shape.cluster <= kMaxCluster && shape.shared_bytes <= kSharedLimit ? 1 : 0;
}

inline constexpr int kElementThreads = 256;
// Few, so that grid-stride loops take more than one turn already on small data.
inline Index resident_blocks(Context&) { return 3; }

inline std::size_t shared_memory_limit(const Context&) { return kSharedLimit; }

template <class... Parameters>
void launch(Context& ctx, const char* name, const LaunchShape& shape, void (*kernel)(Parameters...),
            std::type_identity_t<Parameters>... arguments) {
  require<ShapeError>(
      shape.blocks_x >= 1 && shape.blocks_x <= kMaxBlocksX && shape.blocks_y >= 1 &&
          shape.blocks_y <= kMaxBlocksY && shape.blocks_z >= 1 && shape.blocks_z <= kMaxBlocksY &&
          shape.threads >= 1 && shape.threads <= 1024 && shape.shared_bytes <= kSharedLimit &&
          shape.cluster >= 1 && shape.cluster <= kMaxCluster && shape.blocks_x % shape.cluster == 0,
      "launching ", name, ": a shape that no device takes");
  if (ctx.meter() != nullptr) ctx.meter()->count_kernel(0, 0);
  const host_device::Grid grid{shape.blocks_x, shape.blocks_y, shape.blocks_z,
                               shape.cluster,  shape.threads,  shape.shared_bytes};
  host_device::submit(ctx.backend(),
                      [=] { host_device::run_grid(name, grid, [=] { kernel(arguments...); }); });
}

}  // namespace ganmm::kernels::cuda
