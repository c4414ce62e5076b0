// Non-owning views of grouped tensors. Every tensor has a group axis, outermost: N networks (or
// N x R networks of R restarts) are N groups of one tensor, and N = 1 is no special case.
#pragma once

#include "kernels/core/bfloat16.h"
#include "kernels/core/shape.h"

#include <type_traits>

namespace ganmm {

// Activations [N][B][item...]: `batch` items per group, each item contiguous (channels last).
// Group stride 0 means "the same rows for every group" and is legal for inputs only.
template <class T>
struct GroupView {
  T* data = nullptr;
  Index groups = 0;
  Index batch = 0;
  Shape item;
  Index group_stride = 0;  // elements
  Index batch_stride = 0;  // elements, >= item.count()

  GroupView() = default;
  GroupView(T* data_, Index groups_, Index batch_, Shape item_)  // contiguous
      : data(data_), groups(groups_), batch(batch_), item(item_),
        group_stride(batch_ * item_.count()), batch_stride(item_.count()) {}
  GroupView(T* data_, Index groups_, Index batch_, Shape item_, Index group_stride_,
            Index batch_stride_)
      : data(data_), groups(groups_), batch(batch_), item(item_), group_stride(group_stride_),
        batch_stride(batch_stride_) {}

  template <class U>
  requires std::is_same_v<const U, T>
  GroupView(const GroupView<U>& view)  // a view to read from a view to write
      : data(view.data), groups(view.groups), batch(view.batch), item(view.item),
        group_stride(view.group_stride), batch_stride(view.batch_stride) {}

  Index features() const { return item.count(); }
  T* row(Index group, Index b) const { return data + group * group_stride + b * batch_stride; }
  bool rows_contiguous() const { return batch_stride == features() || batch <= 1; }

  // Items [first, first + count) of every group.
  GroupView rows(Index first, Index count) const {
    require<ShapeError>(first >= 0 && count >= 0 && first + count <= batch, "rows [", first, ", ",
                        first + count, ") of a view with batch ", batch);
    return {data + first * batch_stride, groups, count, item, group_stride, batch_stride};
  }
  // Groups [first, first + count).
  GroupView slice(Index first, Index count) const {
    require<ShapeError>(first >= 0 && count >= 0 && first + count <= groups, "groups [", first,
                        ", ", first + count, ") of a view with ", groups);
    return {data + first * group_stride, count, batch, item, group_stride, batch_stride};
  }
  // The same elements of an item under another shape.
  GroupView reshaped(Shape shape) const {
    if (shape.count() != item.count()) {  // no message is built on the way of every layer pass
      throw ShapeError(message("item ", to_string(item), " viewed as ", to_string(shape),
                               ": expected the same number of elements"));
    }
    return {data, groups, batch, shape, group_stride, batch_stride};
  }
  // [R*N][B] as [R][N*B]: the batches of neighbouring groups joined. Needs contiguous groups.
  GroupView joined(Index new_groups) const {
    require<ShapeError>(new_groups > 0 && groups % new_groups == 0 && rows_contiguous() &&
                            group_stride == batch * batch_stride,
                        "joining ", groups, " groups into ", new_groups,
                        ": expected contiguous groups that divide evenly");
    return {data, new_groups, batch * (groups / new_groups), item};
  }
};

// One tensor of all N networks: [N][shape...], no batch axis, each group's tensor contiguous.
template <class T>
struct ParamView {
  T* data = nullptr;
  Index groups = 0;
  Shape shape;
  Index group_stride = 0;  // elements

  ParamView() = default;
  ParamView(T* data_, Index groups_, Shape shape_)
      : data(data_), groups(groups_), shape(shape_), group_stride(shape_.count()) {}
  ParamView(T* data_, Index groups_, Shape shape_, Index group_stride_)
      : data(data_), groups(groups_), shape(shape_), group_stride(group_stride_) {}

  template <class U>
  requires std::is_same_v<const U, T> ParamView(const ParamView<U>& view)
      : data(view.data), groups(view.groups), shape(view.shape), group_stride(view.group_stride) {}

  T* group(Index g) const { return data + g * group_stride; }
  Index count() const { return shape.count(); }
  ParamView slice(Index first, Index n) const {
    return {data + first * group_stride, n, shape, group_stride};
  }
};

// Whether an op replaces its output or adds to it.
enum class Write { overwrite, accumulate };

}  // namespace ganmm
