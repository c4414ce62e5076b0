// Optimisers over flat parameter slabs: one call updates every tensor of every group.
//
// A slab holds tensors in the order [tensor][group][element]; value, gradient and optimiser state
// lie in parallel slabs with the same offsets.
#pragma once

#include "kernels/core/context.h"
#include "kernels/core/view.h"

#include <vector>

namespace ganmm::kernels {

struct TensorSlot {
  Index offset = 0;  // of group 0, in elements
  Index count = 0;   // elements per group; group g starts at offset + g * count
};

// The parallel slabs of groups [first_group, first_group + groups).
template <class T>
struct ParamSlabs {
  T* value = nullptr;
  T* grad = nullptr;
  T* state1 = nullptr;           // Adam: first moment. RMSProp: mean square
  T* state2 = nullptr;           // Adam: second moment. RMSProp: unused, may be null
  std::int32_t* step = nullptr;  // [all groups] updates done so far, advanced by the call
  const std::vector<TensorSlot>* slots = nullptr;  // in host memory
  Index first_group = 0;
  Index groups = 0;
  BFloat16* rounded = nullptr;  // math mode bf16: value in storage precision, kept up to date
};

enum class OptimizerKind { adam, rmsprop };

struct OptimizerSettings {
  OptimizerKind kind = OptimizerKind::adam;
  double learning_rate = 1e-4;
  double beta1 = 0.5;     // Adam
  double beta2 = 0.9;     // Adam's second moment; RMSProp's decay
  double epsilon = 1e-8;  // Adam: added to the root. RMSProp: added inside the root (1e-10)
  double clip = 0.0;      // > 0: every value is clamped to [-clip, clip] after the update
};

// Adam (Kingma & Ba 2015): m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2;
//   p -= lr * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps), t the group's step, from 1.
// RMSProp (TensorFlow 1's form): s = decay s + (1-decay) g^2, s starts at 1;
//   p -= lr * g / sqrt(s + eps).
// Gradients are left unchanged.
template <class T>
void optimizer_step(Context& ctx, const ParamSlabs<T>& slabs, const OptimizerSettings& settings);

// rounded = value. For values that did not come from optimizer_step. No-op without `rounded`.
template <class T>
void round_values(Context& ctx, const ParamSlabs<T>& slabs);

// Sets the optimiser state of these groups to its start (zeros; ones for RMSProp's mean square)
// and their step to 0.
template <class T>
void optimizer_reset(Context& ctx, const ParamSlabs<T>& slabs, const OptimizerSettings& settings);

}  // namespace ganmm::kernels
