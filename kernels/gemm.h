// Grouped matrix multiply: one product per group, all of the same shape.
#pragma once

#include "kernels/activation.h"
#include "kernels/core/context.h"
#include "kernels/core/view.h"

namespace ganmm::kernels {

// One row-major matrix per group; rows may be further apart than `cols`.
template <class T>
struct MatrixView {
  T* data = nullptr;
  Index groups = 0;
  Index rows = 0;
  Index cols = 0;
  Index group_stride = 0;  // elements; 0 = the same matrix for every group (inputs only)
  Index row_stride = 0;    // elements, >= cols

  template <class U>  // a matrix to read from one to write
  requires(std::is_same_v<U, const T> && !std::is_const_v<T>) operator MatrixView<U>() const {
    return {data, groups, rows, cols, group_stride, row_stride};
  }
};

// Items as rows: [N][B][F] -> B x F.
template <class T>
MatrixView<T> matrix(const GroupView<T>& view) {
  return {view.data,       view.groups,       view.batch,
          view.features(), view.group_stride, view.batch_stride};
}
// A tensor [N][a][b] as a x b; of higher rank as (product of all but the last axis) x last.
template <class T>
MatrixView<T> matrix(const ParamView<T>& view) {
  const Index cols = view.shape.back();
  return {view.data, view.groups,       cols == 0 ? 0 : view.count() / cols,
          cols,      view.group_stride, cols};
}

enum class Transpose { no, yes };

// What happens to a product before it is stored: c = act(product + bias).
template <class T>
struct Epilogue {
  ParamView<const Master<T>> bias;  // [N][cols of c], or data == nullptr for none
  Activation activation;
};

// c[n] (=|+=) op(a[n]) op(b[n]), then the epilogue. With Write::accumulate an epilogue other than
// the empty one is refused.
// C is T, or single precision where T is bfloat16 (then without an epilogue): weight gradients.
// Shapes   c m x k, op(a) m x l, op(b) l x k, equal groups. l = 0 gives zeros (or bias).
// Aliasing none.
// Throws   ShapeError.
template <class T, class C = T>
void gemm(Context& ctx, MatrixView<C> c, MatrixView<const T> a, Transpose transpose_a,
          MatrixView<const T> b, Transpose transpose_b, Write write,
          const Epilogue<T>& epilogue = {});

}  // namespace ganmm::kernels
