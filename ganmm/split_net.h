// A network of dense layers that all lanes train together.
//
// One large net leaves no groups to hand to lanes, so a step is split twice: forward and backward
// by the rows of the batch, then weight gradients and updates by the rows of the weight matrices.
// Neither touches a bit: an element of a product is the same sum whatever is computed beside it
// (kernels/cpu/gemm_loops.h), so results do not depend on the number of lanes. A GPU takes all at
// once.
#pragma once

#include "kernels/core/lanes.h"
#include "nn/sequential.h"

#include <vector>

namespace ganmm {

struct RowRange {
  Index first = 0, count = 0;
};

// [0, rows) in as many ranges as there are lanes, or fewer where a range would be too short to be
// worth the packing of the weights.
std::vector<RowRange> split_over(const Lanes& lanes, Index rows);

class SplitNet {
 public:
  // Plans its memory in `arena`, batches of up to `batch` rows; without `own_input` they are bound
  // to the tape. Dense layers with biases only: throws ConfigError.
  SplitNet(Arena& arena, const nn::NetworkSpec& spec, Index batch, nn::StoreUse use, bool own_input,
           Lanes& lanes);

  // In between, every lane passes some rows forward and backward.
  void forward(Context& ctx, RowRange rows) const;
  // From dL/dy in tape().signal(depth); with `to_input` also dL/dx in tape().signal(0).
  void backward(Context& ctx, RowRange rows, bool to_input) const;

  // After that every task takes an optimiser step with some of the weights, from the gradients of
  // rows [0, rows). All tasks once per step.
  Index tasks() const { return static_cast<Index>(tasks_.size()); }
  void update(Context& ctx, Index task, Index rows, const kernels::OptimizerSettings& settings);

  // Starts the optimiser anew.
  void reset(Context& ctx, const kernels::OptimizerSettings& settings);

  // All tensors on the host, by their numbers in the layout.
  std::vector<std::vector<float>> download(Context& ctx) const;
  void upload(Context& ctx, const std::vector<std::vector<float>>& tensors);

  const nn::Sequential<float>& net() const { return net_; }
  const nn::Tape<float>& tape() const { return tape_; }
  nn::Tape<float>& tape() { return tape_; }
  nn::ParamStore<float>& params() { return params_; }

 private:
  // Rows of one layer's weight matrix, the bias with the first of them.
  struct Piece {
    std::size_t layer;
    RowRange rows;
  };
  struct Task {
    std::vector<Piece> pieces;
    std::vector<kernels::TensorSlot> slots;  // what they cover
  };

  nn::Sequential<float> net_;
  nn::ParamStore<float> params_;
  nn::Tape<float> tape_;
  std::vector<Task> tasks_;
  Buffer<std::int32_t> step_;  // [tasks] optimiser steps
};

}  // namespace ganmm
