// What can be said about cuDNN without a device: that its absence is reported, and which plans it
// makes for a device that is described to it. Its convolutions run in conv_test.cpp.
#include "kernels/core/error.h"
#include "kernels/cuda/cudnn_graph.h"
#include "kernels/cuda/cudnn_version.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace ganmm::kernels::cuda {
namespace {

// One H100, as cuDNN describes it.
const char* kDevice =
    R"({"cudaDeviceId":0,"deviceName":"NVIDIA H100 80GB HBM3","deviceVer":900,"driverVer":13000,)"
    R"("maxGridSize":[2147483647,65535,65535],"maxBlockSize":[1024,1024,64],"regsPerBlock":65536,)"
    R"("multiProcessorCount":132,"warpSize":32,"maxSharedMemoryPerBlock":49152,)"
    R"("maxSharedMemoryPerBlockOptin":232448,"reservedSharedMemoryPerBlock":1024,)"
    R"("maxRegistersPerSM":65536,"maxCtasPerSM":32,"maxThreadsPerBlock":1024,)"
    R"("maxThreadsPerSM":2048,"pciDeviceId":0,"isTccDriver":0,"supportCoopLaunch":1,)"
    R"("smClockRateKHz":1980000,"memClockRateKHz":2619000,"l2CacheSize":52428800,)"
    R"("totalGlobalMem":85899345920})";

constexpr Index kMiB = Index{1} << 20;

// The layers of the image networks, of odd sizes, and without padding.
std::vector<ConvGeometry> geometries() {
  return {same_padding(28, 28, 1, 64, 5, 2),  same_padding(14, 14, 64, 128, 5, 2),
          same_padding(7, 7, 128, 256, 5, 2), same_padding(14, 14, 16, 32, 5, 2),
          same_padding(5, 7, 3, 5, 3, 1),     {4, 4, 8, 2, 2, 8, 3, 1, 0, 0}};
}

// Plans for a device that is not there since cuDNN 9.8.
bool can_plan() {
  const std::string reason = cudnn_missing_reason();
  if (!reason.empty()) {
    MESSAGE("not run: ", reason);
    return false;
  }
  const std::string version = cudnn_version();
  const bool old = version.size() == 5 && version < "9.8.0";
  if (old) MESSAGE("not run: cuDNN ", version);
  return !old;
}

ConvPlanKey key_of(ConvOp op, const ConvGeometry& geometry, MathMode math, Index alignment = 4) {
  return {op, geometry, 150, math, math == MathMode::bf16, alignment, alignment};
}

}  // namespace

TEST_CASE("cudnn: a library that is missing or another is reported with advice") {
  const std::string missing = cudnn_missing_reason("libcudnn-absent.so.9");
  CAPTURE(missing);
  CHECK(missing.find("libcudnn-absent.so.9 cannot be loaded") != std::string::npos);
  CHECK(missing.find("LD_LIBRARY_PATH") != std::string::npos);
  CHECK(missing.find('\n') == std::string::npos);
  const std::string other = cudnn_missing_reason("libm.so.6");
  CAPTURE(other);
  CHECK(other.find("cudnnGetVersion") != std::string::npos);
}

TEST_CASE("cudnn: the version is that of the library loaded") {
  CHECK(cudnn_version().empty() == !cudnn_missing_reason().empty());
  if (!cudnn_version().empty()) CHECK(cudnn_version().substr(0, 2) == "9.");
}

TEST_CASE("cudnn: plans have single precision where that was asked for") {
  if (!can_plan()) return;
  for (const ConvGeometry& geometry : geometries()) {
    for (const ConvOp op : kConvOps) {
      for (const MathMode math : {MathMode::fp32, MathMode::tf32, MathMode::bf16}) {
        CAPTURE(to_string(geometry.input()));
        CAPTURE(static_cast<int>(op));
        CAPTURE(to_string(math));
        const Index alignment = math == MathMode::bf16 ? 2 : 4;
        for (const Index bytes : {alignment, Index{16}}) {
          const ConvPlan plan =
              plan_convolution({nullptr, kDevice}, key_of(op, geometry, math, bytes), 64 * kMiB);
          CHECK(plan.plan != nullptr);
          CHECK(plan.workspace_bytes <= 64 * kMiB);
          const bool tensor_cores = plan.engine.find("tensor") != std::string::npos;
          if (math == MathMode::fp32) CHECK_FALSE(tensor_cores);
          if (math != MathMode::fp32 && geometry.in_c >= 64 && bytes == 16) CHECK(tensor_cores);
        }
      }
    }
  }
}

TEST_CASE("cudnn: single precision stored in a bf16 run is not rounded") {
  if (!can_plan()) return;
  ConvPlanKey key = key_of(ConvOp::forward, geometries()[1], MathMode::bf16, 16);
  key.bfloat16 = false;
  const ConvPlan plan = plan_convolution({nullptr, kDevice}, key, 64 * kMiB);
  CHECK(plan.engine.find("tensor") == std::string::npos);
}

TEST_CASE("cudnn: the limit of the workspace is kept") {
  if (!can_plan()) return;
  const ConvPlanKey key = key_of(ConvOp::forward, geometries()[0], MathMode::fp32);
  CHECK(plan_convolution({nullptr, kDevice}, key, 64 * kMiB).workspace_bytes > 0);
  CHECK(plan_convolution({nullptr, kDevice}, key, 0).workspace_bytes == 0);
}

// What serves a batch or an alignment that was not announced when memory was planned.
TEST_CASE("cudnn: there is a plan without workspace for everything") {
  if (!can_plan()) return;
  for (const ConvGeometry& geometry : geometries()) {
    for (const ConvOp op : kConvOps) {
      for (const MathMode math : {MathMode::fp32, MathMode::tf32, MathMode::bf16}) {
        CAPTURE(to_string(geometry.input()));
        CAPTURE(static_cast<int>(op));
        CAPTURE(to_string(math));
        ConvPlanKey key = key_of(op, geometry, math, math == MathMode::bf16 ? 2 : 4);
        for (const Index batch : {1, 50}) {
          key.batch = batch;
          CHECK_NOTHROW(static_cast<void>(plan_convolution({nullptr, kDevice}, key, 0)));
        }
      }
    }
  }
}

TEST_CASE("cudnn: what it refuses becomes an error that names the call") {
  if (!can_plan()) return;
  ConvPlanKey key = key_of(ConvOp::forward, geometries()[1], MathMode::fp32);
  key.batch = 0;
  std::string text;
  try {
    static_cast<void>(plan_convolution({nullptr, kDevice}, key, kMiB));
  } catch (const Error& error) {
    text = error.what();
  }
  CAPTURE(text);
  CHECK(text.find("cudnnBackend") != std::string::npos);
  CHECK(text.find("kernels/cuda/cudnn_graph.cpp:") != std::string::npos);
  CHECK(text.find('\n') == std::string::npos);
}

TEST_CASE("cudnn: a geometry is expressible when cuDNN would derive the same output") {
  for (const ConvGeometry& geometry : geometries()) CHECK(expressible(geometry));
  CHECK(expressible({8, 8, 1, 3, 3, 1, 3, 2, 0, 0}));        // one row of pixels is left over
  CHECK_FALSE(expressible({8, 8, 1, 2, 3, 1, 3, 2, 0, 0}));  // a whole window is
}

}  // namespace ganmm::kernels::cuda
