// Convolution layer, channels last, SAME padding.
#include "kernels/conv.h"

#include "nn/layers.h"
#include "nn/linear_layer.h"

namespace ganmm::nn {
namespace {

template <class T>
class Conv final : public LinearLayer<T> {
 public:
  Conv(const kernels::ConvGeometry& geometry, kernels::Activation activation, bool bias)
      : LinearLayer<T>(geometry.input(), geometry.output(), activation, bias), geometry_(geometry) {
  }

  void declare(ParamLayout& layout, const std::string& prefix) override {
    this->declare_tensors(layout, prefix, geometry_.filter(), convolution_bound(geometry_),
                          geometry_.out_c);
  }
  Index workspace(const Context& ctx, Index groups, Index batch) const override {
    return kernels::conv_workspace<T>(ctx, groups, batch, geometry_);
  }
  std::string describe(const Context& ctx) const override {
    return ctx.on_cpu() ? std::string() : kernels::describe_conv<T>(ctx, geometry_);
  }

 private:
  void map_forward(Context& ctx, const ParamRange<T>& params, const Site<T>& site,
                   kernels::Activation activation) const override {
    kernels::conv_forward<T>(ctx, site.y, site.x, this->weight(params), geometry_,
                             this->epilogue(params, activation));
  }
  void map_adjoint(Context& ctx, const ParamRange<T>& params, const Site<T>&, GroupView<T> d_x,
                   GroupView<const T> u) const override {
    kernels::conv_backward_data<T>(ctx, d_x, u, this->weight(params), geometry_);
  }
  void map_parameters(Context& ctx, const ParamRange<T>& params, const Site<T>&,
                      GroupView<const T> x, GroupView<const T> u, bool with_bias,
                      Write write) const override {
    kernels::conv_backward_weights<T>(ctx, this->weight_gradient(params), x, u, geometry_, write);
    if (with_bias) this->bias_gradient(ctx, params, u, write);
  }
  void map_tangent(Context& ctx, const ParamRange<T>& params, const Site<T>&, GroupView<T> t_z,
                   GroupView<const T> t_x) const override {
    kernels::conv_forward<T>(ctx, t_z, t_x, this->weight(params), geometry_);
  }

  kernels::ConvGeometry geometry_;
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
template std::unique_ptr<Layer<BFloat16>> make_conv<BFloat16>(const LayerSpec&, Shape);

}  // namespace ganmm::nn
