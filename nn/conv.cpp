// Convolution layer, channels last, SAME padding.
#include "kernels/conv.h"

#include "kernels/elementwise.h"
#include "nn/layers.h"

#include <cmath>

namespace ganmm::nn {
namespace {

template <class T>
class Conv final : public Layer<T> {
 public:
  Conv(const kernels::ConvGeometry& geometry, kernels::Activation activation, bool bias)
      : Layer<T>(geometry.input(), geometry.output(), activation), geometry_(geometry),
        bias_(bias) {}

  void declare(ParamLayout& layout, const std::string& prefix) override {
    // improved_wgan_training's rule: uniform with deviation sqrt(4 / (fan_in + fan_out)), fan_out
    // divided by stride^2 because an input pixel takes part in that many fewer outputs.
    const double taps = static_cast<double>(geometry_.kernel * geometry_.kernel);
    const double fan_in = taps * static_cast<double>(geometry_.in_c);
    const double fan_out = taps * static_cast<double>(geometry_.out_c) /
                           static_cast<double>(geometry_.stride * geometry_.stride);
    const double bound = std::sqrt(3.0) * std::sqrt(4.0 / (fan_in + fan_out));
    weight_ = layout.add({prefix + ".weight", geometry_.filter(), {Init::Kind::uniform, bound}});
    if (bias_) bias_number_ = layout.add({prefix + ".bias", {geometry_.out_c}, {}});
  }
  Index workspace(const Context& ctx, Index groups, Index batch) const override {
    return kernels::conv_workspace<T>(ctx, groups, batch, geometry_);
  }

 private:
  void map_forward(Context& ctx, const ParamRange<T>& params, const Site<T>& site,
                   kernels::Activation activation) const override {
    kernels::Epilogue<T> epilogue;
    if (bias_) epilogue.bias = params.value(bias_number_);
    epilogue.activation = activation;
    kernels::conv_forward<T>(ctx, site.y, site.x, params.value(weight_), geometry_, epilogue);
  }
  void map_adjoint(Context& ctx, const ParamRange<T>& params, const Site<T>&, GroupView<T> d_x,
                   GroupView<const T> u) const override {
    kernels::conv_backward_data<T>(ctx, d_x, u, params.value(weight_), geometry_);
  }
  void map_parameters(Context& ctx, const ParamRange<T>& params, const Site<T>&,
                      GroupView<const T> x, GroupView<const T> u, bool with_bias,
                      Write write) const override {
    kernels::conv_backward_weights<T>(ctx, params.grad(weight_), x, u, geometry_, write);
    if (bias_ && with_bias) kernels::bias_grad<T>(ctx, params.grad(bias_number_), u, write);
  }
  void map_tangent(Context& ctx, const ParamRange<T>& params, const Site<T>&, GroupView<T> t_z,
                   GroupView<const T> t_x) const override {
    kernels::conv_forward<T>(ctx, t_z, t_x, params.value(weight_), geometry_);
  }

  kernels::ConvGeometry geometry_;
  bool bias_;
  int weight_ = -1, bias_number_ = -1;
};

}  // namespace

template <class T>
std::unique_ptr<Layer<T>> make_conv(const LayerSpec& spec, Shape input) {
  require<ConfigError>(input.rank() == 3 && spec.output.rank() == 3,
                       "conv layer: expected an image "
                       "input and an output {0, 0, channels}, found ",
                       to_string(input), " and ", to_string(spec.output));
  const auto geometry =
      kernels::same_padding(input[0], input[1], input[2], spec.output[2], spec.kernel, spec.stride);
  return std::make_unique<Conv<T>>(geometry, spec.activation, spec.bias);
}

template std::unique_ptr<Layer<float>> make_conv<float>(const LayerSpec&, Shape);
template std::unique_ptr<Layer<double>> make_conv<double>(const LayerSpec&, Shape);

}  // namespace ganmm::nn
