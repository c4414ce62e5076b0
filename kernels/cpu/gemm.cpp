// Products of one group after the other by the vector loops of gemm_loops.inc.
//
// There is no library path. The vector loops reach 0.9 to 1.7 times the rate of oneDNN's sgemm on
// the products of the mixtures' networks with AVX-512, 0.8 to 1.05 times on those of the
// autoencoder for images with AVX2 (docs/results.md), and that routine would break a promise: it
// blocks the inner axis by the size of the whole product, so a row's bits would depend on how many
// rows are computed with it.
#include "kernels/backend.h"
#include "kernels/cpu/gemm_loops.h"
#include "kernels/cpu/isa.h"

namespace ganmm::kernels::cpu {

namespace {

// Element (i, j) of a matrix after its transposition is data[i * row + j * col].
template <class T>
struct Operand {
  const T* data;
  Index row, col;
};

template <class T>
Operand<T> operand(const MatrixView<const T>& matrix, Transpose transpose, Index group) {
  const T* data = matrix.data + group * matrix.group_stride;
  if (transpose == Transpose::yes) return {data, 1, matrix.row_stride};
  return {data, matrix.row_stride, 1};
}

Finish finish_of(Activation activation) {
  if (activation.kind == ActivationKind::relu) return Finish::relu;
  return activation.kind == ActivationKind::leaky_relu ? Finish::piecewise : Finish::none;
}

}  // namespace

template <class T>
Multiply<T> multiply_loops(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::avx512) return avx512::multiply;
  if (isa == Isa::avx2) return avx2::multiply;
#endif
  static_cast<void>(isa);
  return baseline::multiply;
}
template Multiply<float> multiply_loops<float>(Isa);
template Multiply<double> multiply_loops<double>(Isa);

template <class T>
void multiply(const Product<T>& product) {
  static const Multiply<T> best = multiply_loops<T>(best_isa());
  best(product);
}
template void multiply(const Product<float>&);
template void multiply(const Product<double>&);

template <class T>
void gemm(Context& ctx, MatrixView<T> c, MatrixView<const T> a, Transpose transpose_a,
          MatrixView<const T> b, Transpose transpose_b, Write write, const Epilogue<T>& epilogue) {
  const Index inner = transpose_a == Transpose::yes ? a.rows : a.cols;
  // The loops apply a piecewise linear activation to the tile they hold in registers.
  const Finish finish = finish_of(epilogue.activation);
  for (Index g = 0; g < c.groups; ++g) {
    const Operand<T> left = operand(a, transpose_a, g);
    const Operand<T> right = operand(b, transpose_b, g);
    multiply<T>({c.data + g * c.group_stride, c.row_stride, left.data, left.row, left.col,
                 right.data, right.row, right.col, c.rows, c.cols, inner,
                 write == Write::accumulate,
                 epilogue.bias.data == nullptr ? nullptr : epilogue.bias.group(g), finish,
                 static_cast<T>(epilogue.activation.slope)});
  }
  if (!epilogue.activation.piecewise_linear()) {
    const GroupView<T> items(c.data, c.groups, c.rows, {c.cols}, c.group_stride, c.row_stride);
    cpu::activation_forward<T>(ctx, items, items, epilogue.activation);
  }
}

template void gemm<float>(Context&, MatrixView<float>, MatrixView<const float>, Transpose,
                          MatrixView<const float>, Transpose, Write, const Epilogue<float>&);
template void gemm<double>(Context&, MatrixView<double>, MatrixView<const double>, Transpose,
                           MatrixView<const double>, Transpose, Write, const Epilogue<double>&);

}  // namespace ganmm::kernels::cpu
