// The rows of a data set in the memory of the device that works on them: the host's own on the CPU,
// otherwise a copy.
#pragma once

#include "kernels/core/lanes.h"
#include "kernels/core/view.h"

#include <span>

namespace ganmm {

class DeviceRows {
 public:
  // values: [rows][item]; they must outlive this object.
  DeviceRows(std::span<const float> values, Index rows, Shape item, Lanes& lanes)
      : arena_(lanes.device()), view_(values.data(), 1, rows, item) {
    if (lanes.device().kind == DeviceKind::cpu) return;
    copy_ = arena_.request<float>("data", rows * item.count());
    arena_.reserve();
    lanes.context(0).copy_to_device(copy_.data(), values.data(), values.size_bytes());
    view_.data = copy_.data();
  }

  GroupView<const float> view() const { return view_; }  // [1][rows][item]

 private:
  Arena arena_;
  Buffer<float> copy_;
  GroupView<const float> view_;
};

}  // namespace ganmm
