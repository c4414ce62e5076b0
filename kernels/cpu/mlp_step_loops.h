// One GAN's M-step on one core, compiled once per instruction set (kernels/cpu/isa.h). What it
// computes is in kernels/mlp_step.h; here are the places where it computes it.
#pragma once

#include "kernels/cpu/isa.h"

#include <cstdint>

namespace ganmm::kernels::cpu {

// Rows of activations and of weights start kMlpPad elements apart or a multiple of it, so that
// every vector of every instruction set is whole; what is beyond the width of a layer is zero.
inline constexpr std::int64_t kMlpPad = 16;

struct MlpPhi {
  enum Kind { piecewise, tanh, sigmoid };
  Kind kind;
  float slope;  // piecewise: phi(z) = max(z, slope z), 0 <= slope <= 1
};

// A tensor in work: [rows][stride] with its optimiser state. In place in the slabs where a row
// fills its stride, else in scratch.
struct MlpTensor {
  std::int64_t rows, cols, stride;
  bool in_place;
  float *slab_value, *slab_state1, *slab_state2;  // [rows][cols], of the group at hand
  float *value, *state1, *state2;
  float* grad;  // always in scratch
};

struct MlpLayer {
  std::int64_t in, out;
  MlpPhi phi;
  MlpTensor weight, bias;  // a layer with one output has its weight as one row of `in` elements
  float* transposed;       // [out][padded in]: the weight as a backward pass multiplies with it
  std::int64_t transposed_stride;
  // [batch][stride of the weight]: output, signal at the pre-activation; critics with a penalty
  // also the tangent, and the second-order signal if an activation is smooth.
  float *y, *u, *t, *r;
};

struct MlpOptimizer {
  bool adam;
  float rate, beta1, beta2, epsilon, limit;
  float root_scale;  // Adam: 1 / sqrt(1 - beta2^t); `rate` is divided by 1 - beta1^t
};

// Column sums over a batch of the critic's last hidden layer: of its outputs and of phi'.
struct MlpSums {
  float *y, *slope;
};

struct MlpWork {
  MlpLayer generator[4], critic[4];
  int generator_layers, critic_layers;
  bool with_penalty, curved;  // curved: with a penalty and a smooth activation in the critic
  float lambda;
  std::int64_t batch, critic_steps, features, row_stride;  // items are row_stride apart
  float* noise;       // [max(batch, kMlpBlock)][noise], rounded up to quads
  float* fakes;       // [critic_steps * batch] items
  float *real, *mix;  // [batch] items
  float* gradient;    // [batch] items: the critic's input gradient, then the penalty's direction
  float* alpha;       // [batch], rounded up to quads
  float* scale;       // [batch], padded
  MlpSums real_sums, fake_sums;
};

inline constexpr std::int64_t kMlpBlock = 24;  // samples made at a time; a multiple of 4

// One M-step of the group whose tensors are bound.
struct MlpStepJob {
  const float* data;
  std::int64_t data_stride;
  const std::int32_t* row;  // [critic_steps * batch]
  std::uint64_t seed;
  std::uint32_t group, step;
  const MlpOptimizer* generator_optimizer;                       // of this step
  const MlpOptimizer* critic_optimizer;                          // [critic_steps]
  float *real_loss, *fake_loss, *penalty_loss, *generated_loss;  // null: not wanted
};

struct MlpStepLoops {
  void (*load)(const MlpTensor& tensor);   // slabs -> scratch, unless in place
  void (*store)(const MlpTensor& tensor);  // and back
  void (*run)(const MlpWork& work, const MlpStepJob& job);
};

const MlpStepLoops& mlp_step_loops(Isa isa);

namespace baseline {
extern const MlpStepLoops kMlpStepLoops;
}
namespace avx2 {
extern const MlpStepLoops kMlpStepLoops;
}
namespace avx512 {
extern const MlpStepLoops kMlpStepLoops;
}

}  // namespace ganmm::kernels::cpu
