// Internal: what dense, conv and deconv layers share. A linear map with a weight tensor, and a bias
// unless the layer does without.
#pragma once

#include "kernels/conv.h"
#include "kernels/elementwise.h"
#include "kernels/gemm.h"
#include "nn/layer.h"

#include <cmath>
#include <string>

namespace ganmm::nn {

template <class T>
class LinearLayer : public Layer<T> {
 protected:
  LinearLayer(Shape input, Shape output, kernels::Activation activation, bool with_bias)
      : Layer<T>(input, output, activation), with_bias_(with_bias) {}

  // PREFIX.weight, uniform within `bound` of 0, and PREFIX.bias of `biases` zeros.
  void declare_tensors(ParamLayout& layout, const std::string& prefix, Shape weight, double bound,
                       Index biases) {
    weight_ = layout.add({prefix + ".weight", weight, {Init::Kind::uniform, bound}});
    if (with_bias_) bias_ = layout.add({prefix + ".bias", {biases}, {}});
  }

  ParamView<const T> weight(const ParamRange<T>& params) const { return params.value(weight_); }
  ParamView<Master<T>> weight_gradient(const ParamRange<T>& params) const {
    return params.grad(weight_);
  }

  kernels::Epilogue<T> epilogue(const ParamRange<T>& params, kernels::Activation activation) const {
    kernels::Epilogue<T> result;
    if (with_bias_) result.bias = params.master(bias_);
    result.activation = activation;
    return result;
  }

  // u: the signal, its last axis as long as the bias.
  void bias_gradient(Context& ctx, const ParamRange<T>& params, GroupView<const T> u,
                     Write write) const {
    if (with_bias_) kernels::bias_grad<T>(ctx, params.grad(bias_), u, write);
  }

 private:
  bool with_bias_;
  int weight_ = -1, bias_ = -1;
};

// Bound of the uniform initial weights of a convolution and of its adjoint, by the rule of
// improved_wgan_training: deviation sqrt(4 / (fan_in + fan_out)), where the fan of the smaller
// image's channels is divided by stride^2, because a pixel of the larger one meets that many fewer.
inline double convolution_bound(const kernels::ConvGeometry& geometry) {
  const double taps = static_cast<double>(geometry.kernel * geometry.kernel);
  const double larger = taps * static_cast<double>(geometry.in_c);
  const double smaller = taps * static_cast<double>(geometry.out_c) /
                         static_cast<double>(geometry.stride * geometry.stride);
  return std::sqrt(3.0) * std::sqrt(4.0 / (larger + smaller));
}

}  // namespace ganmm::nn
