// The one way in which kernels are launched.
#pragma once

#include "kernels/core/context.h"
#include "kernels/core/error.h"
#include "kernels/core/meter.h"
#include "kernels/core/shape.h"
#include "kernels/cuda/check.h"
#include "kernels/cuda/context_cuda.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <type_traits>

namespace ganmm::kernels::cuda {

inline constexpr Index kMaxBlocksX = 2147483647;  // limits of every device since Kepler
inline constexpr Index kMaxBlocksY = 65535;
inline constexpr std::size_t kStaticSharedLimit = 48 << 10;  // more must be opted into

struct LaunchShape {
  Index blocks_x = 1;  // the large dimension
  Index blocks_y = 1;
  Index blocks_z = 1;
  int threads = 0;               // per block
  std::size_t shared_bytes = 0;  // dynamic, device::dynamic_shared()
  int cluster = 1;  // neighbouring blocks along x that run at the same time and can wait for each
                    // other, device::sync_cluster(); divides blocks_x
};

inline constexpr int kPortableCluster = 8;  // larger ones not every device has
inline constexpr int kMaxCluster = 16;

// How many blocks of 256 threads keep the whole device busy: eight fill the 2048 places of a
// multiprocessor. Grid-stride loops need no more; results do not depend on it.
inline constexpr int kElementThreads = 256;
inline Index resident_blocks(Context& ctx) { return Index{8} * cuda_state(ctx).multiprocessors(); }

// Bytes of shared memory that one block may ask for.
inline std::size_t shared_memory_limit(const Context& ctx) {
  int bytes = 0;
  GANMM_CHECK_CUDA(
      cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, ctx.device().index));
  return static_cast<std::size_t>(bytes);
}

// Calls use(config) with what the runtime must know to launch `shape`.
template <class Use>
auto with_launch_config(const CudaState& state, const LaunchShape& shape, Use use) {
  cudaLaunchAttribute cluster{};
  cluster.id = cudaLaunchAttributeClusterDimension;
  cluster.val.clusterDim.x = static_cast<unsigned>(shape.cluster);
  cluster.val.clusterDim.y = cluster.val.clusterDim.z = 1;
  cudaLaunchConfig_t config{};
  config.gridDim =
      dim3(static_cast<unsigned>(shape.blocks_x), static_cast<unsigned>(shape.blocks_y),
           static_cast<unsigned>(shape.blocks_z));
  config.blockDim = dim3(static_cast<unsigned>(shape.threads));
  config.dynamicSmemBytes = shape.shared_bytes;
  config.stream = state.stream();
  config.attrs = &cluster;
  config.numAttrs = shape.cluster > 1 ? 1 : 0;
  return use(config);
}

// Allows a kernel what a launch of `shape` takes beyond the ordinary.
inline cudaError_t allow(const void* function, const LaunchShape& shape) {
  cudaError_t error = cudaSuccess;
  if (shape.shared_bytes > kStaticSharedLimit) {
    error = cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 static_cast<int>(shape.shared_bytes));
  }
  if (error == cudaSuccess && shape.cluster > kPortableCluster) {
    error = cudaFuncSetAttribute(function, cudaFuncAttributeNonPortableClusterSizeAllowed, 1);
  }
  return error;
}

// How many clusters of this shape the device can hold at once; 0 where it cannot run them.
template <class... Parameters>
int resident_clusters(const Context& ctx, const LaunchShape& shape, void (*kernel)(Parameters...)) {
  if (shape.cluster > kMaxCluster || shape.shared_bytes > shared_memory_limit(ctx)) return 0;
  const CudaState& state = cuda_state(ctx);
  const DeviceGuard guard(state.device());
  int supported = 0;
  GANMM_CHECK_CUDA(
      cudaDeviceGetAttribute(&supported, cudaDevAttrClusterLaunch, ctx.device().index));
  if (supported == 0) return 0;
  const void* function = reinterpret_cast<const void*>(kernel);
  int clusters = 0;
  cudaError_t error = allow(function, shape);
  if (error == cudaSuccess) {
    error = with_launch_config(state, shape, [&](const cudaLaunchConfig_t& config) {
      return cudaOccupancyMaxActiveClusters(&clusters, function, &config);
    });
  }
  if (error == cudaSuccess) return clusters;
  (void)cudaGetLastError();  // the answer is no; nothing else failed
  return 0;
}

// Runs kernel(arguments...) on the context's stream. `name` is the kernel's, for messages.
// In a build with GANMM_SYNC_LAUNCHES=1 it waits, so that a failure inside the kernel is reported
// under its name; not inside a graph capture, where waiting is not allowed.
// Throws  ShapeError (a grid beyond the device's limits), CudaError.
template <class... Parameters>
void launch(Context& ctx, const char* name, const LaunchShape& shape, void (*kernel)(Parameters...),
            std::type_identity_t<Parameters>... arguments) {
  const auto check = [&](cudaError_t error, const char* attempt) {
    if (error == cudaSuccess) return;
    throw_cuda_error(error,
                     message(attempt, " ", name, " (", shape.blocks_x, " x ", shape.blocks_y, " x ",
                             shape.blocks_z, " blocks of ", shape.threads, " threads, ",
                             shape.shared_bytes, " bytes shared, clusters of ", shape.cluster, ")"),
                     __FILE__, __LINE__);
  };
  require<ShapeError>(shape.blocks_x >= 1 && shape.blocks_x <= kMaxBlocksX && shape.blocks_y >= 1 &&
                          shape.blocks_y <= kMaxBlocksY && shape.blocks_z >= 1 &&
                          shape.blocks_z <= kMaxBlocksY,
                      "launching ", name, ": expected 1 to ", kMaxBlocksX, " x ", kMaxBlocksY,
                      " x ", kMaxBlocksY, " blocks, found ", shape.blocks_x, " x ", shape.blocks_y,
                      " x ", shape.blocks_z, "; use smaller tensors");
  const CudaState& state = cuda_state(ctx);
  const DeviceGuard guard(state.device());
  const void* function = reinterpret_cast<const void*>(kernel);
  check(allow(function, shape), "preparing");
  if (ctx.meter() != nullptr) {
    cudaFuncAttributes attributes{};
    check(cudaFuncGetAttributes(&attributes, function), "measuring");
    ctx.meter()->count_kernel(attributes.numRegs, static_cast<int>(attributes.localSizeBytes));
  }
  std::array<void*, sizeof...(Parameters)> pointers{&arguments...};
  check(with_launch_config(state, shape,
                           [&](const cudaLaunchConfig_t& config) {
                             return cudaLaunchKernelExC(&config, function, pointers.data());
                           }),
        "launching");
#if GANMM_SYNC_LAUNCHES
  cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
  check(cudaStreamIsCapturing(state.stream(), &capture), "launching");
  if (capture == cudaStreamCaptureStatusNone) {
    check(cudaStreamSynchronize(state.stream()), "running");
  }
#endif
}

}  // namespace ganmm::kernels::cuda
