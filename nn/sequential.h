// A chain of layers, and the tape on which one batch passes through it.
#pragma once

#include "kernels/core/arena.h"
#include "nn/layer.h"

#include <memory>
#include <string>
#include <vector>

namespace ganmm::nn {

template <class T>
class Tape;

// What a tape must hold besides activations.
enum class TapeUse {
  forward,   // activations only
  backward,  // and signals
  penalty,   // and tangents (and second-order signals where a layer is not piecewise linear)
};

template <class T>
class Sequential {
 public:
  explicit Sequential(const NetworkSpec& spec);  // throws ConfigError

  const NetworkSpec& spec() const { return spec_; }
  Shape input() const { return spec_.input; }
  Shape output() const { return layers_.back()->output(); }
  const std::vector<std::unique_ptr<Layer<T>>>& layers() const { return layers_; }

  // How this context computes the layers that leave it a choice, a line each:
  // "layer 1 (28x28x1 to 14x14x16): forward direct, ...".
  std::vector<std::string> describe(const Context& ctx) const;

  // The layout of this network's tensors for `groups` networks.
  ParamLayout layout(Index groups) const;

  // Throws ConfigError, naming the layer, when a per-sample gradient penalty does not exist.
  void require_penalty() const;

  // Reads tape.input() rows [0, rows), leaves every layer's output on the tape.
  void forward(Context& ctx, const ParamRange<T>& params, Tape<T>& tape, Index rows) const;

  struct BackwardRows {
    Index rows = 0;         // rows [0, rows) carry a signal
    Index input_first = 0;  // rows [input_first, input_first + input_rows) get an input gradient
    Index input_rows = 0;
    Index param_rows = 0;  // parameter gradients come from rows [0, param_rows); 0 = none
    Write write = Write::overwrite;
  };
  // Reads dL/dy in tape.signal(L); leaves u of every layer in tape.signal(1..L) and the input
  // gradient in tape.signal(0).
  void backward(Context& ctx, const ParamRange<T>& params, Tape<T>& tape,
                const BackwardRows& rows) const;

 private:
  NetworkSpec spec_;
  std::vector<std::unique_ptr<Layer<T>>> layers_;
  ParamLayout layout_for_one_;
};

// Activations, signals and tangents of up to `batch` rows per group at every boundary between
// layers: boundary 0 is the input, boundary L the output. Belongs to the caller, so that one
// network can be in use for several batches at once.
template <class T>
class Tape {
 public:
  // stat_batch: rows per statistics batch of batch norm layers (0 = the whole batch).
  Tape(Arena& arena, const std::string& name, const Sequential<T>& net, Index groups, Index batch,
       TapeUse use, Index stat_batch = 0, bool external_input = false);

  Index groups() const { return groups_; }
  Index batch() const { return batch_; }
  std::size_t depth() const { return shapes_.size() - 1; }

  GroupView<T> activation(std::size_t boundary) const {
    return boundary == 0 && bound_input_.data != nullptr ? bound_input_
                                                         : view(activations_, boundary);
  }
  GroupView<T> signal(std::size_t boundary) const { return view(signals_, boundary); }
  GroupView<T> tangent(std::size_t boundary) const { return view(tangents_, boundary); }
  GroupView<T> curvature(std::size_t boundary) const { return view(curvatures_, boundary); }
  GroupView<T> input() const { return activation(0); }

  // Reads boundary 0 from `input` instead of own memory, which is then not planned for: call with
  // external_input = true at construction. Forward passes only read it. Group stride 0 allowed.
  void bind_input(GroupView<const T> input);
  GroupView<T> output() const { return activation(depth()); }

  // The tensors around layer `layer` (0-based) for rows [first, first + rows).
  Site<T> site(std::size_t layer, Index first, Index rows) const;

 private:
  GroupView<T> view(const std::vector<Buffer<T>>& buffers, std::size_t boundary) const;

  Index groups_, batch_, stat_batch_;
  std::vector<Shape> shapes_;
  std::vector<Buffer<T>> activations_, signals_, tangents_, curvatures_;
  GroupView<T> bound_input_;
  struct Statistics {
    Buffer<Master<T>> mean, inv_sigma;
    Index count = 0;        // per group
    bool per_item = false;  // layer norm: one per row; batch norm: channels per statistics batch
  };
  std::vector<Statistics> statistics_;
};

// Scratch bytes that passes of up to `batch` rows through the network need.
template <class T>
Index workspace(const Sequential<T>& net, const Context& ctx, Index groups, Index batch);

}  // namespace ganmm::nn
