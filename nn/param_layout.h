// The tensors of a network, described before any memory exists.
#pragma once

#include "kernels/core/shape.h"
#include "kernels/optim.h"

#include <string>
#include <vector>

namespace ganmm::nn {

struct Init {
  enum class Kind { zero, one, uniform };
  Kind kind = Kind::zero;
  double bound = 0.0;  // uniform in [-bound, bound)
};

struct ParamSpec {
  std::string name;  // "critic.0.weight"; unique within a layout
  Shape shape;       // of one group
  Init init;
};

// Names, shapes and offsets of all tensors of `groups` networks of one kind. Slab order is
// [tensor][group][element]; every tensor starts at a multiple of kSlotAlignment elements.
class ParamLayout {
 public:
  static constexpr Index kSlotAlignment = 64;

  explicit ParamLayout(Index groups) : groups_(groups) {}

  int add(ParamSpec spec);  // returns the tensor's number

  Index groups() const { return groups_; }
  Index elements() const { return elements_; }  // of one slab, padding included
  const std::vector<ParamSpec>& specs() const { return specs_; }
  const std::vector<kernels::TensorSlot>& slots() const { return slots_; }
  Index parameters_per_group() const;

 private:
  Index groups_;
  Index elements_ = 0;
  std::vector<ParamSpec> specs_;
  std::vector<kernels::TensorSlot> slots_;
};

}  // namespace ganmm::nn
