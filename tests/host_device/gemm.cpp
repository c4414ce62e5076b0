// cuBLAS's part on the host device: plain loops, operands rounded as the math mode asks.
#include "kernels/backend.h"
#include "kernels/cuda/bias_activation.h"
#include "tests/host_device/state.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

namespace ganmm::kernels::cuda {
namespace {

float to_tf32(float value) {  // round to nearest, ties away, 10 mantissa bits: cvt.rna.tf32.f32
  std::uint32_t word;
  std::memcpy(&word, &value, sizeof word);
  if ((word & 0x7f800000u) == 0x7f800000u) return value;
  word = (word + 0x1000u) & 0xffffe000u;
  std::memcpy(&value, &word, sizeof value);
  return value;
}

}  // namespace

template <class T, class C>
void gemm(Context& ctx, MatrixView<C> c, MatrixView<const T> a, Transpose transpose_a,
          MatrixView<const T> b, Transpose transpose_b, Write write, const Epilogue<T>& epilogue) {
  const bool tf32 = std::is_same_v<T, float> && ctx.math() == MathMode::tf32;
  host_device::submit(ctx.backend(), [=] {
    const Index inner = transpose_a == Transpose::yes ? a.rows : a.cols;
    // op(m)[i][j] of one group, packed.
    const auto packed = [&](const MatrixView<const T>& m, Transpose t, Index g, Index rows,
                            Index cols) {
      std::vector<float> values;
      values.reserve(static_cast<std::size_t>(rows * cols));
      for (Index i = 0; i < rows; ++i) {
        for (Index j = 0; j < cols; ++j) {
          const Index row = t == Transpose::yes ? j : i, col = t == Transpose::yes ? i : j;
          const auto value =
              static_cast<float>(m.data[g * m.group_stride + row * m.row_stride + col]);
          values.push_back(tf32 ? to_tf32(value) : value);
        }
      }
      return values;
    };
    std::vector<float> sum(static_cast<std::size_t>(c.cols));
    for (Index g = 0; g < c.groups; ++g) {
      const auto left = packed(a, transpose_a, g, c.rows, inner);
      const auto right = packed(b, transpose_b, g, inner, c.cols);
      for (Index i = 0; i < c.rows; ++i) {
        std::fill(sum.begin(), sum.end(), 0.0f);
        for (Index l = 0; l < inner; ++l) {
          const float factor = left[static_cast<std::size_t>(i * inner + l)];
          const float* row = right.data() + l * c.cols;
          for (Index j = 0; j < c.cols; ++j) sum[static_cast<std::size_t>(j)] += factor * row[j];
        }
        for (Index j = 0; j < c.cols; ++j) {
          C& out = c.data[g * c.group_stride + i * c.row_stride + j];
          const float value = sum[static_cast<std::size_t>(j)];
          out =
              static_cast<C>(write == Write::accumulate ? static_cast<float>(out) + value : value);
        }
      }
    }
  });
  if (epilogue.bias.data != nullptr || !epilogue.activation.identity()) {
    bias_activation<C>(ctx, c, epilogue.bias, epilogue.activation);
  }
}

#define GANMM_INSTANTIATE(T, C)                                                                    \
  template void gemm<T, C>(Context&, MatrixView<C>, MatrixView<const T>, Transpose,                \
                           MatrixView<const T>, Transpose, Write, const Epilogue<T>&);
GANMM_INSTANTIATE(float, float)
GANMM_INSTANTIATE(BFloat16, BFloat16)
GANMM_INSTANTIATE(BFloat16, float)

}  // namespace ganmm::kernels::cuda
