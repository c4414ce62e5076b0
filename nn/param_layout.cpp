#include "nn/param_layout.h"

#include <algorithm>

namespace ganmm::nn {

int ParamLayout::add(ParamSpec spec) {
  const bool taken = std::any_of(specs_.begin(), specs_.end(),
                                 [&](const ParamSpec& other) { return other.name == spec.name; });
  require<ConfigError>(!taken, "parameter '", spec.name,
                       "' declared twice; give layers distinct names");
  const Index count = spec.shape.count();
  slots_.push_back({elements_, count});
  const Index size = checked_multiply(count, groups_);
  elements_ += (size + kSlotAlignment - 1) / kSlotAlignment * kSlotAlignment;
  specs_.push_back(std::move(spec));
  return static_cast<int>(specs_.size()) - 1;
}

Index ParamLayout::parameters_per_group() const {
  Index sum = 0;
  for (const auto& slot : slots_) sum += slot.count;
  return sum;
}

}  // namespace ganmm::nn
