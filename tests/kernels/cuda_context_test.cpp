// The CUDA side of Context and of the backend's memory. Outside the suite "gpu" stands what holds
// on every machine and in every build, with and without CUDA.
#include "kernels/activation.h"
#include "kernels/core/backend.h"
#include "kernels/core/context.h"
#include "kernels/gemm.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

using namespace ganmm;

namespace {

constexpr Device kCuda{DeviceKind::cuda, 0};

bool one_line_with_advice(const std::string& text) {
  const auto contains = [&](const char* part) { return text.find(part) != std::string::npos; };
  return !contains("\n") && (contains("choose") || contains("-DGANMM_CUDA=ON"));
}

template <class E, class F>
std::string message_of(const F& action) {
  try {
    action();
  } catch (const E& error) {
    return error.what();
  }
  return {};
}

struct RowLayout {
  Index features, stride;
};

std::vector<float> ramp(std::size_t count) {  // exact in tf32 too
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<float>(i % 17) - 8.0f;
  return values;
}

}  // namespace

TEST_CASE("cuda status: a reason is given exactly when no device can be used") {
  const CudaStatus status = cuda_status();
  CHECK(status.devices.empty() == !status.reason.empty());
  CHECK(status.reason.find('\n') == std::string::npos);
  CHECK(cuda_available() == !status.devices.empty());
}

TEST_CASE("cuda status: a build with CUDA names its versions, one without has none") {
  const CudaStatus status = cuda_status();
  CHECK(status.built == !status.runtime_version.empty());
  CHECK(status.built == !status.architectures.empty());
  // Both libraries are loaded when they are needed: a build with them may run where there are none.
  if (status.built) CHECK(status.cublas_version.empty() == !status.cublas_reason.empty());
  if (status.built) CHECK(status.cudnn_version.empty() == !status.cudnn_reason.empty());
  if (!GANMM_HAVE_CUDNN) CHECK(status.cudnn_version.empty());
  if (!status.devices.empty()) CHECK(!status.driver_version.empty());
}

TEST_CASE("cuda context: a device that does not exist is refused with advice") {
  const std::string text = message_of<UnsupportedError>([] {
    Context ctx(Device{DeviceKind::cuda, 4096});
  });
  CAPTURE(text);
  CHECK(one_line_with_advice(text));
}

TEST_CASE("cuda context: without a device the refusal repeats the status' reason") {
  const CudaStatus status = cuda_status();
  const std::string text = message_of<UnsupportedError>([] { Context ctx(kCuda); });
  CAPTURE(text);
  CHECK(text.empty() == !status.devices.empty());
  CHECK(text.find(status.reason) != text.npos);
  if (!text.empty()) CHECK(one_line_with_advice(text));
}

TEST_CASE("context: only fp32 on the CPU, the others are refused with advice") {
  for (const MathMode math : {MathMode::tf32, MathMode::bf16}) {
    const std::string text = message_of<UnsupportedError>([&] { Context ctx(Device{}, math); });
    CAPTURE(text);
    CHECK(one_line_with_advice(text));
  }
}

TEST_CASE("cuda memory: releasing nothing is allowed") {
  CHECK_NOTHROW(kernels::cuda::release(kCuda, nullptr));
}

TEST_SUITE("gpu") {
  TEST_CASE("cuda context: bytes come back as they went") {
    Context ctx(kCuda);
    const std::vector<float> values = ramp(100003);
    const std::size_t bytes = values.size() * sizeof(float);
    Slab first(kCuda, static_cast<Index>(bytes));
    Slab second(kCuda, static_cast<Index>(bytes));
    std::vector<float> source = values;
    ctx.copy_to_device(first.data(), source.data(), bytes);
    std::fill(source.begin(), source.end(), -1.0f);  // the copy has been taken
    ctx.copy(second.data(), first.data(), bytes);
    ctx.clear(first.data(), bytes);
    std::vector<float> back(values.size());
    ctx.copy_to_host(back.data(), second.data(), bytes);
    CHECK(back == values);
    ctx.copy_to_host(back.data(), first.data(), bytes);
    CHECK(back == std::vector<float>(values.size(), 0.0f));
  }

  TEST_CASE("cuda context: an arena starts as zeros on a slab that was used before") {
    constexpr Index kCount = 1 << 20;
    Context ctx(kCuda);
    {
      const std::vector<float> values = ramp(kCount);
      Slab used(kCuda, kCount * 4);
      ctx.copy_to_device(used.data(), values.data(), values.size() * 4);
    }
    Arena arena(kCuda);
    const auto buffer = arena.request<float>("values", kCount);
    arena.reserve();
    std::vector<float> back(kCount, 1.0f);
    ctx.copy_to_host(back.data(), buffer.data(), back.size() * 4);
    CHECK(back == std::vector<float>(kCount, 0.0f));
  }

  TEST_CASE("cuda context: two contexts live and end independently") {
    Context first(kCuda);
    Slab slab(kCuda, 4);
    const float value = 3;
    {
      Context second(kCuda, MathMode::tf32);
      second.copy_to_device(slab.data(), &value, 4);
      second.synchronize();
    }
    float back = 0;
    first.copy_to_host(&back, slab.data(), 4);
    CHECK(back == value);
  }

  TEST_CASE("cuda memory: a request beyond the device says what was asked and what is free") {
    const std::string text = message_of<OutOfMemoryError>([] { Slab slab(kCuda, Index{1} << 50); });
    CAPTURE(text);
    CHECK(text.find(std::to_string(Index{1} << 50)) != text.npos);
    CHECK(text.find("free") != text.npos);
    Slab small(kCuda, 1024);  // the failure leaves the device usable
    CHECK_NOTHROW(kernels::cuda::clear_now(kCuda, small.data(), 1024));
  }

  TEST_CASE("cuda math: fp32 keeps all 24 bits, tf32 rounds its operands to nearest") {
    // 1 + 3 * 2^-12 lies between the tf32 neighbours 1 and 1 + 2^-10, closer to the upper one.
    // Truncation would give 1 and three times the error of rounding.
    constexpr Index kSize = 256;
    const float value = 1.0f + 3 * 0x1p-12f;
    const auto count = static_cast<std::size_t>(kSize * kSize);
    const std::vector<float> a(count, value), b(count, 1.0f);
    for (const MathMode math : {MathMode::fp32, MathMode::tf32}) {
      CAPTURE(to_string(math));
      Context ctx(kCuda, math);
      Slab slab(kCuda, 3 * kSize * kSize * 4);
      auto* data = reinterpret_cast<float*>(slab.data());
      ctx.copy_to_device(data, a.data(), count * 4);
      ctx.copy_to_device(data + count, b.data(), count * 4);
      const auto view = [&](std::size_t which) {
        return kernels::MatrixView<float>{data + which * count, 1, kSize, kSize, 0, kSize};
      };
      kernels::gemm<float>(ctx, view(2), view(0), kernels::Transpose::no, view(1),
                           kernels::Transpose::no, Write::overwrite);
      std::vector<float> c(count);
      ctx.copy_to_host(c.data(), data + 2 * count, count * 4);
      // All terms and sums are multiples of 2^-12 below 2^9: exact in fp32 once operands are.
      const float exact = static_cast<float>(kSize) * value;
      const float rounding = static_cast<float>(kSize) * 0x1p-12f;
      const auto [low, high] = std::minmax_element(c.begin(), c.end());
      CHECK(*low >= exact);
      CHECK(*high <= exact + (math == MathMode::fp32 ? 0.0f : rounding));
    }
  }

  TEST_CASE("cuda activation: the piecewise linear ones and all derivatives have the CPU's bits") {
    using kernels::ActivationKind;
    constexpr Index kGroups = 3, kBatch = 5;
    // 8: four floats at a time; 7: one at a time; stride 9: rows that cannot be joined.
    for (const RowLayout rows : {RowLayout{8, 8}, {7, 7}, {7, 9}, {8, 12}}) {
      for (const auto kind :
           {ActivationKind::identity, ActivationKind::relu, ActivationKind::leaky_relu,
            ActivationKind::tanh, ActivationKind::sigmoid}) {
        CAPTURE(rows.features);
        CAPTURE(rows.stride);
        CAPTURE(static_cast<int>(kind));
        const kernels::Activation activation{kind, 0.2};
        const bool smooth = !activation.piecewise_linear();
        const Index count = kGroups * kBatch * rows.stride;
        const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(float);
        std::vector<float> x = ramp(static_cast<std::size_t>(count));
        for (float& value : x) value *= 0.3f;
        const auto run = [&](Context& ctx, std::byte* memory) {
          auto* data = reinterpret_cast<float*>(memory);
          const auto view = [&](Index which) {
            return GroupView<float>(data + which * count, kGroups, kBatch, {rows.features},
                                    kBatch * rows.stride, rows.stride);
          };
          ctx.clear(data, 3 * bytes);
          ctx.copy_to_device(data, x.data(), bytes);
          // tanh and exp differ in their last bits: of the smooth ones only the derivative is
          // compared, from the same numbers taken for y.
          if (!smooth) kernels::activation_forward<float>(ctx, view(1), view(0), activation);
          kernels::activation_backward<float>(ctx, view(2), view(0), view(smooth ? 0 : 1),
                                              activation);
          std::vector<float> all(static_cast<std::size_t>(3 * count));
          ctx.copy_to_host(all.data(), data, 3 * bytes);
          return all;
        };
        Context cpu, cuda(kCuda);
        Slab on_cpu({}, 3 * count * 4), on_cuda(kCuda, 3 * count * 4);
        CHECK(run(cuda, on_cuda.data()) == run(cpu, on_cpu.data()));
      }
    }
  }
}
