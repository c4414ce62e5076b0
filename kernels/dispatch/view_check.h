// Checks of views that the dispatchers of several op families share: shapes, strides, memory.
// A text is built only when a check fails; on small batches it would cost more than the op.
#pragma once

#include "kernels/core/view.h"

#include <string>
#include <type_traits>

namespace ganmm::kernels {

// "[H=28][W=28][C=1]": the last axis is C, the ones before it W and H.
inline std::string describe_axes(const Shape& shape) {
  static constexpr char kLetters[] = "DHWC";
  std::string text;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    text += message("[", kLetters[Shape::kMaxRank - shape.rank() + axis], "=", shape[axis], "]");
  }
  return text;
}

template <class T>
std::string describe(const GroupView<T>& view) {
  return message("[N=", view.groups, "][B=", view.batch, "]", describe_axes(view.item));
}

template <class T>
std::string describe(const ParamView<T>& view) {
  return message("[N=", view.groups, "]", describe_axes(view.shape));
}

// A view that can be walked: counts >= 0, memory, items and (outputs) groups that do not overlap.
// Views of const elements are inputs, whose groups may share their rows by group stride 0.
template <class T>
void check_view(const char* op, const char* name, const GroupView<T>& view) {
  if (view.groups < 0 || view.batch < 0) {
    throw ShapeError(message(op, ": expected counts >= 0 in ", name, ", found ", describe(view),
                             "; check the view that was built"));
  }
  const Index features = view.features();
  if (view.groups == 0 || view.batch == 0 || features == 0) return;
  if (view.data == nullptr) {
    throw ShapeError(message(op, ": expected memory for ", name, " ", describe(view),
                             ", found a null pointer; reserve the arena before running"));
  }
  if (view.batch > 1 && view.batch_stride < features) {
    throw ShapeError(message(op, ": expected a batch stride of at least ", features, " in ", name,
                             " ", describe(view), ", found ", view.batch_stride,
                             "; items must not overlap"));
  }
  const Index extent = (view.batch - 1) * view.batch_stride + features;
  const bool shared = std::is_const_v<T> && view.group_stride == 0;
  if (view.groups > 1 && view.group_stride < extent && !shared) {
    throw ShapeError(message(op, ": expected a group stride of at least ", extent,
                             std::is_const_v<T> ? " (or 0, shared)" : "", " in ", name, " ",
                             describe(view), ", found ", view.group_stride,
                             "; groups must not overlap"));
  }
}

// check_view, and the shape of another view.
template <class A, class B>
void check_like(const char* op, const char* name, const GroupView<A>& view, const char* other_name,
                const GroupView<B>& other) {
  if (view.groups != other.groups || view.batch != other.batch || !(view.item == other.item)) {
    throw ShapeError(message(op, ": expected ", name, " ", describe(other), " like ", other_name,
                             ", found ", describe(view), "; give both the same shape"));
  }
  check_view(op, name, view);
}

// One tensor of `count` elements for each of `groups` groups; `what` says what an element stands
// for.
template <class T>
void check_param(const char* op, const char* name, const ParamView<T>& view, Index groups,
                 Index count, const char* what) {
  if (view.groups != groups || view.count() != count) {
    throw ShapeError(message(op, ": expected ", name, " [N=", groups, "][C=", count, "], found ",
                             describe(view), "; give it ", what));
  }
  if (groups == 0 || count == 0) return;
  if (view.data == nullptr) {
    throw ShapeError(message(op, ": expected memory for ", name, " ", describe(view),
                             ", found a null pointer; reserve the arena before running"));
  }
  const bool shared = std::is_const_v<T> && view.group_stride == 0;
  if (groups > 1 && view.group_stride < count && !shared) {
    throw ShapeError(message(op, ": expected a group stride of at least ", count, " in ", name, " ",
                             describe(view), ", found ", view.group_stride,
                             "; groups must not overlap"));
  }
}

// Items whose last axis is the channels.
template <class T>
void check_channels(const char* op, const char* name, const GroupView<T>& view) {
  if (view.item.rank() < 1) {
    throw ShapeError(message(op, ": expected items of ", name,
                             " with a channel axis, found scalars ", describe(view),
                             "; give them the shape {1}"));
  }
}

// One number per item.
template <class T>
void check_scores(const char* op, const char* name, const GroupView<T>& view) {
  check_view(op, name, view);
  if (view.features() != 1) {
    throw ShapeError(message(op, ": expected ", name, " [N][B][C=1], found ", describe(view),
                             "; pass the output of a critic"));
  }
}

}  // namespace ganmm::kernels
