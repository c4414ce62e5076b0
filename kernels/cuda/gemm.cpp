// Grouped products by cuBLAS: one strided-batched call for all groups.
//
// cuBLAS thinks in columns. A row-major matrix is its own transpose there, so that
// c = op(a) op(b) is computed as c^T = op(b)^T op(a)^T with the operands swapped and the transpose
// flags as they are. The 64-bit interface takes every stride and count that a view can have.
//
// In tf32 cuBLAS rounds the operands itself. bfloat16 operands are multiplied exactly and summed in
// single precision. cuBLAS's choice of a kernel, and with it the order of summation, may depend on
// the number of groups.
#include "kernels/backend.h"
#include "kernels/cuda/bias_activation.h"
#include "kernels/cuda/check.h"
#include "kernels/cuda/context_cuda.h"
#include "kernels/cuda/cublas_library.h"

#include <type_traits>

namespace ganmm::kernels::cuda {

namespace {

template <class T>
constexpr cudaDataType_t kCudaType = std::is_same_v<T, BFloat16> ? CUDA_R_16BF : CUDA_R_32F;

cublasOperation_t operation(Transpose transpose) {
  return transpose == Transpose::yes ? CUBLAS_OP_T : CUBLAS_OP_N;
}

// A single row has no stride of its own to respect.
template <class T>
Index leading_dimension(const MatrixView<T>& matrix) {
  return matrix.rows <= 1 ? matrix.cols : matrix.row_stride;
}

// A sum over nothing.
template <class C>
void clear_product(const CudaState& state, const MatrixView<C>& c) {
  constexpr Index kBytes = sizeof(C);
  for (Index g = 0; g < c.groups; ++g) {
    GANMM_CHECK_CUDA(cudaMemset2DAsync(c.data + g * c.group_stride,
                                       static_cast<std::size_t>(leading_dimension(c) * kBytes), 0,
                                       static_cast<std::size_t>(c.cols * kBytes),
                                       static_cast<std::size_t>(c.rows), state.stream()));
  }
}

}  // namespace

template <class T, class C>
void gemm(Context& ctx, MatrixView<C> c, MatrixView<const T> a, Transpose transpose_a,
          MatrixView<const T> b, Transpose transpose_b, Write write, const Epilogue<T>& epilogue) {
  if (c.groups == 0 || c.rows == 0 || c.cols == 0) return;
  const CudaState& state = cuda_state(ctx);
  const DeviceGuard guard(state.device());
  const Index inner = transpose_a == Transpose::yes ? a.rows : a.cols;
  if (inner > 0) {
    const float alpha = 1.0f;
    const float beta = write == Write::accumulate ? 1.0f : 0.0f;
    const bool rounds = std::is_same_v<T, float> && ctx.math() == MathMode::tf32;
    GANMM_CHECK_CUBLAS(cublas().cublasGemmStridedBatchedEx_64(
        state.cublas(), operation(transpose_b), operation(transpose_a), c.cols, c.rows, inner,
        &alpha, b.data, kCudaType<T>, leading_dimension(b), b.group_stride, a.data, kCudaType<T>,
        leading_dimension(a), a.group_stride, &beta, c.data, kCudaType<C>, leading_dimension(c),
        c.group_stride, c.groups, rounds ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F,
        CUBLAS_GEMM_DEFAULT));
  } else if (write == Write::overwrite) {
    clear_product(state, c);
  }
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
