#include "kernels/gemm.h"

#include "kernels/backend.h"
#include "kernels/dispatch/dispatch.h"

namespace ganmm::kernels {

namespace {

const char* text(Transpose transpose) { return transpose == Transpose::yes ? "^T" : ""; }

template <class T>
void check_layout(const MatrixView<T>& matrix, const char* name, bool input) {
  require<ShapeError>(matrix.groups >= 0 && matrix.rows >= 0 && matrix.cols >= 0,
                      "gemm: expected counts >= 0, found ", name, " ", matrix.groups, " x [",
                      matrix.rows, "x", matrix.cols, "]; check the view that was built");
  const bool empty = matrix.groups == 0 || matrix.rows == 0 || matrix.cols == 0;
  require<ShapeError>(empty || matrix.data != nullptr, "gemm: expected memory for ", name, " [",
                      matrix.rows, "x", matrix.cols,
                      "], found a null pointer; reserve the arena before running");
  require<ShapeError>(matrix.rows <= 1 || matrix.row_stride >= matrix.cols,
                      "gemm: expected a row stride of at least ", matrix.cols, " in ", name,
                      ", found ", matrix.row_stride, "; rows must not overlap");
  const Index extent = empty ? 0 : (matrix.rows - 1) * matrix.row_stride + matrix.cols;
  require<ShapeError>(
      matrix.groups <= 1 || matrix.group_stride >= extent || (input && matrix.group_stride == 0),
      "gemm: expected a group stride of at least ", extent, input ? " (or 0, shared)" : "", " in ",
      name, ", found ", matrix.group_stride, "; groups must not overlap");
}

}  // namespace

template <class T, class C>
void gemm(Context& ctx, MatrixView<C> c, MatrixView<const T> a, Transpose transpose_a,
          MatrixView<const T> b, Transpose transpose_b, Write write, const Epilogue<T>& epilogue) {
  check_layout(c, "c", false);
  check_layout(a, "a", true);
  check_layout(b, "b", true);
  const bool swap_a = transpose_a == Transpose::yes;
  const bool swap_b = transpose_b == Transpose::yes;
  const Index a_rows = swap_a ? a.cols : a.rows;
  const Index a_cols = swap_a ? a.rows : a.cols;
  const Index b_rows = swap_b ? b.cols : b.rows;
  const Index b_cols = swap_b ? b.rows : b.cols;
  require<ShapeError>(a.groups == c.groups && b.groups == c.groups,
                      "gemm: expected as many groups in a and b as in c, ", c.groups, ", found ",
                      a.groups, " and ", b.groups,
                      "; share a matrix between groups by group stride 0");
  require<ShapeError>(a_rows == c.rows && b_cols == c.cols && a_cols == b_rows,
                      "gemm: expected c m x k = a m x l times b l x k, found c [", c.rows, "x",
                      c.cols, "] a", text(transpose_a), " [", a_rows, "x", a_cols, "] b",
                      text(transpose_b), " [", b_rows, "x", b_cols,
                      "]; check the shapes and the transpose flags");
  const ParamView<const Master<T>>& bias = epilogue.bias;
  require<ShapeError>(
      write == Write::overwrite || (bias.data == nullptr && epilogue.activation.identity()),
      "gemm: expected no bias or activation when accumulating, found one; overwrite instead");
  require<ShapeError>(bias.data == nullptr || (bias.groups == c.groups && bias.count() == c.cols),
                      "gemm: expected a bias of ", c.groups, " x [", c.cols, "], found ",
                      bias.groups, " x [", to_string(bias.shape), "]; one value per column of c");
  if (c.groups == 0 || c.rows == 0 || c.cols == 0) return;
  dispatch<T>(
      ctx, "gemm",
      OpCost{bytes_of(c) + bytes_of(a) + bytes_of(b),
             2.0 * static_cast<double>(c.groups * c.rows * c.cols * a_cols)},
      [&](auto& x) { cpu::gemm<T>(x, c, a, transpose_a, b, transpose_b, write, epilogue); },
      [&](auto& x) { cuda::gemm<T, C>(x, c, a, transpose_a, b, transpose_b, write, epilogue); });
}

#define GANMM_INSTANTIATE(T)                                                                       \
  template void gemm<T, T>(Context&, MatrixView<T>, MatrixView<const T>, Transpose,                \
                           MatrixView<const T>, Transpose, Write, const Epilogue<T>&);

GANMM_FOR_EACH_TYPE(GANMM_INSTANTIATE)

template void gemm<BFloat16, float>(Context&, MatrixView<float>, MatrixView<const BFloat16>,
                                    Transpose, MatrixView<const BFloat16>, Transpose, Write,
                                    const Epilogue<BFloat16>&);

}  // namespace ganmm::kernels
