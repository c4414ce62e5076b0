#include "kernels/cuda/transposed_copy.h"
#include "tests/support/devices.h"

#include <vector>

namespace ganmm::kernels {
namespace {

struct Size {
  Index groups, rows, cols;
};

// Integers that bfloat16 holds, also twice them.
template <class T>
void check_transposed(Context& ctx, const Size& size, Index gap, auto start) {
  using To = decltype(start);
  CAPTURE(size.groups);
  CAPTURE(size.rows);
  CAPTURE(size.cols);
  const Index x_stride = size.cols + gap, y_stride = size.rows + 2 * gap;
  const Index x_group = size.rows * x_stride + gap, y_group = size.cols * y_stride + 3 * gap;
  std::vector<T> x(static_cast<std::size_t>(size.groups * x_group));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = T(static_cast<float>(i % 127));
  const std::vector<To> before(static_cast<std::size_t>(size.groups * y_group), start);
  Slab x_slab(ctx.device(), static_cast<Index>(x.size() * sizeof(T)));
  Slab y_slab(ctx.device(), static_cast<Index>(before.size() * sizeof(To)));
  auto* x_data = reinterpret_cast<const T*>(x_slab.data());
  auto* y_data = reinterpret_cast<To*>(y_slab.data());
  for (const Write write : {Write::overwrite, Write::accumulate}) {
    ctx.copy_to_device(x_slab.data(), x.data(), x.size() * sizeof(T));
    ctx.copy_to_device(y_slab.data(), before.data(), before.size() * sizeof(To));
    cuda::transposed_copy<To, T>(
        ctx, {y_data, size.groups, size.cols, size.rows, y_group, y_stride},
        {x_data, size.groups, size.rows, size.cols, x_group, x_stride}, write);
    std::vector<To> y(before.size());
    ctx.copy_to_host(y.data(), y_slab.data(), y.size() * sizeof(To));
    std::vector<To> expected = before;  // gaps stay
    for (Index g = 0; g < size.groups; ++g) {
      for (Index r = 0; r < size.rows; ++r) {
        for (Index c = 0; c < size.cols; ++c) {
          const T value = x[static_cast<std::size_t>(g * x_group + r * x_stride + c)];
          To& out = expected[static_cast<std::size_t>(g * y_group + c * y_stride + r)];
          out = To(static_cast<float>(value) +
                   (write == Write::accumulate ? static_cast<float>(start) : 0.0f));
        }
      }
    }
    bool equal = true;
    for (std::size_t i = 0; i < y.size(); ++i) {
      equal = equal && static_cast<float>(y[i]) == static_cast<float>(expected[i]);
    }
    CHECK(equal);
  }
}

TEST_CASE("transposed copy: filters of odd sizes, with gaps" * doctest::test_suite("gpu")) {
  Context ctx(Device{DeviceKind::cuda, 0});
  for (const Size& size : {Size{1, 1, 1}, {2, 33, 31}, {7, 25, 64}, {3, 100, 5}, {1, 64, 96}}) {
    for (const Index gap : {0, 3}) {
      check_transposed<float>(ctx, size, gap, 100.0f);
      check_transposed<BFloat16>(ctx, size, gap, BFloat16(100.0f));
      check_transposed<BFloat16>(ctx, size, gap, 100.0f);
    }
  }
}

TEST_CASE("transposed copy: nothing to do" * doctest::test_suite("gpu")) {
  Context ctx(Device{DeviceKind::cuda, 0});
  CHECK_NOTHROW(
      cuda::transposed_copy<float, float>(ctx, {}, MatrixView<const float>{}, Write::overwrite));
}

}  // namespace
}  // namespace ganmm::kernels
