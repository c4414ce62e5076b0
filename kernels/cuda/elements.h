// How element-wise kernels walk over grouped views: as few and as long rows as all views agree on,
// 16 bytes at a time where memory allows.
//
// Bound by memory bandwidth. 16-byte accesses keep enough bytes in flight to fill it; groups go
// on grid.y, elements of a group on grid.x, both with strides. No division inside the loop: the
// step of the grid is split into rows and columns once, on the host.
#pragma once

#include "kernels/core/view.h"
#include "kernels/cuda/kernel.h"
#include "kernels/cuda/launch.h"

#include <algorithm>
#include <cstdint>

namespace ganmm::kernels::cuda {

// W neighbouring elements, loaded and stored by one instruction.
template <class T, unsigned W>
struct alignas(sizeof(T) * W) Pack {
  T value[W];
};

// Elements of T in 16 bytes, the widest access. Views of several types are walked with the width of
// the widest type.
template <class T>
inline constexpr unsigned kWide = 16 / sizeof(T);

// A view inside a kernel. Strides in elements of T.
template <class T>
struct Rows {
  T* data;
  Index group_stride;
  Index row_stride;
};

template <class T>
GANMM_DEVICE T& at(const Rows<T>& view, Index group, Index row, Index col) {
  return view.data[group * view.group_stride + row * view.row_stride + col];
}

struct ElementWalk {
  Index groups, rows, cols;
  Index step_rows, step_cols;  // the elements that one pass of the grid covers in a group
};

// Calls f(group, row, col) once for every element, over all threads of the grid.
template <class F>
GANMM_DEVICE void for_each_element(const ElementWalk& walk, F f) {
  const Index first =
      Index{device::block_index_x()} * device::block_size_x() + device::thread_index_x();
  const Index first_row = first / walk.cols;
  const Index first_col = first - first_row * walk.cols;
  for (Index group = device::block_index_y(); group < walk.groups; group += device::grid_size_y()) {
    Index col = first_col;
    for (Index row = first_row; row < walk.rows;) {
      f(group, row, col);
      row += walk.step_rows;
      col += walk.step_cols;
      if (col >= walk.cols) {
        col -= walk.cols;
        ++row;
      }
    }
  }
}

struct ElementExtent {
  Index groups, rows, cols;

  bool empty() const { return groups == 0 || rows == 0 || cols == 0; }
};

// Joins rows, then groups, where every view has them back to back. Views of equal shape.
template <class... T>
ElementExtent joined_extent(const GroupView<T>&... views) {
  ElementExtent extent{};
  ((extent = {views.groups, views.batch, views.features()}), ...);
  if ((views.rows_contiguous() && ...)) {
    extent.cols *= extent.rows;
    extent.rows = 1;
    if (((views.groups <= 1 || views.group_stride == extent.cols) && ...)) {
      extent.cols *= extent.groups;
      extent.groups = 1;
    }
  }
  return extent;
}

// Whether the elements of a view can be visited W at a time: start, row length and those strides
// that are used are multiples of a pack.
template <unsigned W, class T>
bool packs_fit(const ElementExtent& extent, const GroupView<T>& view) {
  return extent.cols % W == 0 &&
         reinterpret_cast<std::uintptr_t>(view.data) % sizeof(Pack<T, W>) == 0 &&
         (extent.groups <= 1 || view.group_stride % W == 0) &&
         (extent.rows <= 1 || view.batch_stride % W == 0);
}

template <unsigned W, class T>
Rows<Pack<T, W>> packs(const GroupView<T>& view) {
  return {reinterpret_cast<Pack<T, W>*>(view.data), view.group_stride / W, view.batch_stride / W};
}
template <unsigned W, class T>
Rows<const Pack<T, W>> packs(const GroupView<const T>& view) {
  return {reinterpret_cast<const Pack<T, W>*>(view.data), view.group_stride / W,
          view.batch_stride / W};
}

struct ElementLaunch {
  ElementWalk walk;
  LaunchShape shape;
};

// For an extent that is not empty, counted in whatever unit the kernel visits.
inline ElementLaunch element_launch(Context& ctx, const ElementExtent& extent) {
  const Index groups_at_once = std::min(extent.groups, kMaxBlocksY);
  const Index needed = (extent.rows * extent.cols + kElementThreads - 1) / kElementThreads;
  const Index resident = std::max<Index>(1, resident_blocks(ctx) / groups_at_once);
  const Index blocks = std::min(needed, resident);
  const Index step = blocks * kElementThreads;
  return {{extent.groups, extent.rows, extent.cols, step / extent.cols, step % extent.cols},
          {blocks, groups_at_once, 1, kElementThreads}};
}

}  // namespace ganmm::kernels::cuda
