// The memory of a ParamLayout: value, gradient and optimiser state in parallel slabs. With bfloat16
// activations all of these are single precision, and a rounded copy of the values is kept beside
// them: updates smaller than a bfloat16 spacing must not be lost.
#pragma once

#include "kernels/core/arena.h"
#include "kernels/core/context.h"
#include "kernels/core/view.h"
#include "kernels/optim.h"
#include "nn/param_layout.h"

#include <string>
#include <vector>

namespace ganmm::nn {

// What a store is for decides which slabs it has.
enum class StoreUse { inference, training };

template <class T>
class ParamStore;

// The tensors of groups [first, first + groups) of a store: what layers are handed.
template <class T>
class ParamRange {
 public:
  ParamRange(const ParamStore<T>& store, Index first, Index groups)
      : store_(&store), first_(first), groups_(groups) {}

  ParamView<const T> value(int tensor) const;  // as multiplied with: rounded where T is bfloat16
  ParamView<const Master<T>> master(int tensor) const;
  ParamView<Master<T>> grad(int tensor) const;
  kernels::ParamSlabs<Master<T>> slabs() const;
  Index first() const { return first_; }
  Index groups() const { return groups_; }

 private:
  const ParamStore<T>* store_;
  Index first_;
  Index groups_;
};

template <class T>
class ParamStore {
 public:
  // Requests its slabs from `arena`; usable once that is reserved. Must outlive its ranges.
  ParamStore(Arena& arena, const std::string& name, ParamLayout layout, StoreUse use);

  const ParamLayout& layout() const { return layout_; }
  ParamRange<T> range(Index first, Index groups) const;  // throws ShapeError
  ParamRange<T> all() const { return range(0, layout_.groups()); }

  // Fills the values of groups [first, first + groups) from (seed, tensor name, group, generation).
  // The same network gets the same weights whatever other tensors exist. Host work; not for use
  // inside a step.
  void initialize(Context& ctx, std::uint64_t seed, std::uint32_t generation, Index first,
                  Index groups);

  // All values of one tensor, [groups][shape], as host memory.
  std::vector<Master<T>> download(Context& ctx, int tensor) const;
  void upload(Context& ctx, int tensor, const std::vector<Master<T>>& values);

 private:
  friend class ParamRange<T>;
  ParamLayout layout_;
  Buffer<Master<T>> value_, grad_, state1_, state2_;
  Buffer<BFloat16> rounded_;  // T = bfloat16 only
  Buffer<std::int32_t> step_;
};

}  // namespace ganmm::nn
