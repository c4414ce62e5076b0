// The bytes that the views of an op span, for kernels/core/meter.h.
#pragma once

#include "kernels/core/meter.h"
#include "kernels/core/view.h"
#include "kernels/gemm.h"

namespace ganmm::kernels {

template <class T>
double bytes_of(const GroupView<T>& view) {
  if (view.data == nullptr) return 0;
  const Index groups = view.groups > 1 && view.group_stride == 0 ? 1 : view.groups;
  return static_cast<double>(groups * view.batch * view.features()) * sizeof(T);
}
template <class T>
double bytes_of(const ParamView<T>& view) {
  if (view.data == nullptr) return 0;
  return static_cast<double>(view.groups * view.count()) * sizeof(T);
}
template <class T>
double bytes_of(const MatrixView<T>& view) {
  const Index groups = view.groups > 1 && view.group_stride == 0 ? 1 : view.groups;
  return static_cast<double>(groups * view.rows * view.cols) * sizeof(T);
}

// An op that reads or writes each of these once and multiplies nothing.
template <class... V>
OpCost traffic(const V&... views) {
  return {(bytes_of(views) + ... + 0.0), 0};
}

}  // namespace ganmm::kernels
