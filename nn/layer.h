// A layer without autograd: forward, backward, tangent and penalty gradient.
//
// Every layer is z = map(x), y = phi(z). With u = dL/dz the signal at the pre-activation:
//
//   forward    y = phi(map(x))
//   backward   u = phi'(z) d_y; d_x = map^T u; parameter gradients from (x, u)
//   tangent    t_y = phi'(z) (Dmap t_x)              directional derivative at the saved point
//   penalty    parameter gradients of  v . grad_x f  for the fixed direction v whose tangents are
//              t; see nn/gradient_penalty.h for the recipe and for r
//
// Layers hold settings and tensor numbers only; every tensor is passed in. So one layer can be in
// use for several batches at once.
#pragma once

#include "kernels/activation.h"
#include "kernels/core/context.h"
#include "kernels/core/view.h"
#include "nn/network_spec.h"
#include "nn/param_layout.h"
#include "nn/param_store.h"

#include <memory>
#include <string>

namespace ganmm::nn {

// The tensors around one layer for some rows of one batch.
template <class T>
struct Site {
  GroupView<T> x, y;                     // input and output of the forward pass
  ParamView<Master<T>> mean, inv_sigma;  // norm layers: statistics of these rows
  Index stat_batch = 0;                  // batch norm: rows per statistics batch
};

template <class T>
class Layer {
 public:
  Layer(Shape input, Shape output, kernels::Activation activation)
      : input_(input), output_(output), activation_(activation) {}
  virtual ~Layer() = default;

  Shape input() const { return input_; }
  Shape output() const { return output_; }
  bool piecewise_linear() const { return map_is_linear() && activation_.piecewise_linear(); }

  virtual void declare(ParamLayout& layout, const std::string& prefix) = 0;
  // (mean, 1/sigma) pairs that the forward pass of a batch saves per group.
  virtual Index statistics(Index /*batch*/, Index /*stat_batch*/) const { return 0; }
  // Scratch bytes that any of the passes needs.
  virtual Index workspace(const Context& /*ctx*/, Index /*groups*/, Index /*batch*/) const {
    return 0;
  }
  // How this context computes the layer, for people; empty where it has no choice.
  virtual std::string describe(const Context& /*ctx*/) const { return {}; }
  // Whether a per-sample gradient penalty exists through this layer (not through batch norm).
  virtual bool couples_samples() const { return false; }

  void forward(Context& ctx, const ParamRange<T>& params, const Site<T>& site) const;

  // Turns dL/dy into u, in place. First step of a backward pass; the next two read u.
  void pre_activation_signal(Context& ctx, const Site<T>& site, GroupView<T> d_y) const;
  void input_gradient(Context& ctx, const ParamRange<T>& params, const Site<T>& site,
                      GroupView<T> d_x, GroupView<const T> u) const;
  void parameter_gradient(Context& ctx, const ParamRange<T>& params, const Site<T>& site,
                          GroupView<const T> u, Write write) const;

  void tangent(Context& ctx, const ParamRange<T>& params, const Site<T>& site, GroupView<T> t_y,
               GroupView<const T> t_x) const;

  // Accumulates into the parameter gradients. r_y is the second-order signal from above (valid if
  // r_y_arrives), overwritten by the one at z; it may be null when nothing arrives and the layer is
  // piecewise linear. r_x receives the signal for the layer below; null when that is not needed.
  void penalty(Context& ctx, const ParamRange<T>& params, const Site<T>& site, GroupView<const T> u,
               GroupView<const T> t_y, GroupView<const T> t_x, GroupView<T> r_y, bool r_y_arrives,
               GroupView<T> r_x) const;

  // Whether the layer sends a second-order signal down, given whether one arrives.
  bool penalty_signal(bool r_y_arrives) const { return r_y_arrives || !piecewise_linear(); }

 protected:
  virtual bool map_is_linear() const { return true; }
  virtual void map_forward(Context& ctx, const ParamRange<T>& params, const Site<T>& site,
                           kernels::Activation activation) const = 0;
  virtual void map_adjoint(Context& ctx, const ParamRange<T>& params, const Site<T>& site,
                           GroupView<T> d_x, GroupView<const T> u) const = 0;
  virtual void map_parameters(Context& ctx, const ParamRange<T>& params, const Site<T>& site,
                              GroupView<const T> x, GroupView<const T> u, bool with_bias,
                              Write write) const = 0;
  virtual void map_tangent(Context& ctx, const ParamRange<T>& params, const Site<T>& site,
                           GroupView<T> t_z, GroupView<const T> t_x) const = 0;
  // Default: the whole second-order gradient of a linear map (weights bilinear in u and t_x).
  virtual void map_penalty(Context& ctx, const ParamRange<T>& params, const Site<T>& site,
                           GroupView<const T> u, GroupView<const T> t_x, GroupView<const T> r_z,
                           GroupView<T> r_x) const;

  kernels::Activation activation() const { return activation_; }

 private:
  Shape input_, output_;
  kernels::Activation activation_;
};

// Builds the layer that `spec` describes for items of shape `input`. Throws ConfigError.
template <class T>
std::unique_ptr<Layer<T>> make_layer(const LayerSpec& spec, Shape input);

}  // namespace ganmm::nn
