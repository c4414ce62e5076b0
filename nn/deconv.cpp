// Transposed convolution: the adjoint of the convolution that maps this layer's output to its
// input, so forward and backward swap the ops of kernels/conv.h.
#include "kernels/conv.h"
#include "nn/layers.h"
#include "nn/linear_layer.h"

#include <algorithm>

namespace ganmm::nn {
namespace {

template <class T>
class Deconv final : public LinearLayer<T> {
 public:
  // `geometry` is that of the adjoint convolution: its input is this layer's output.
  Deconv(const kernels::ConvGeometry& geometry, kernels::Activation activation, bool bias)
      : LinearLayer<T>(geometry.output(), geometry.input(), activation, bias), geometry_(geometry) {
  }

  void declare(ParamLayout& layout, const std::string& prefix) override {
    this->declare_tensors(layout, prefix, geometry_.filter(), convolution_bound(geometry_),
                          geometry_.in_c);
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
    kernels::conv_backward_data<T>(ctx, site.y, site.x, this->weight(params), geometry_,
                                   this->epilogue(params, activation));
  }
  void map_adjoint(Context& ctx, const ParamRange<T>& params, const Site<T>&, GroupView<T> d_x,
                   GroupView<const T> u) const override {
    kernels::conv_forward<T>(ctx, d_x, u, this->weight(params), geometry_);
  }
  void map_parameters(Context& ctx, const ParamRange<T>& params, const Site<T>&,
                      GroupView<const T> x, GroupView<const T> u, bool with_bias,
                      Write write) const override {
    kernels::conv_backward_weights<T>(ctx, this->weight_gradient(params), u, x, geometry_, write);
    if (with_bias) this->bias_gradient(ctx, params, u, write);
  }
  void map_tangent(Context& ctx, const ParamRange<T>& params, const Site<T>&, GroupView<T> t_z,
                   GroupView<const T> t_x) const override {
    kernels::conv_backward_data<T>(ctx, t_z, t_x, this->weight(params), geometry_);
  }

  kernels::ConvGeometry geometry_;
};

}  // namespace

template <class T>
std::unique_ptr<Layer<T>> make_deconv(const LayerSpec& spec, Shape input) {
  require<ConfigError>(input.rank() == 3 && spec.output.rank() == 3,
                       "deconv layer: expected an "
                       "image input and output, found ",
                       to_string(input), " and ", to_string(spec.output));
  const Shape padded = spec.padded_as.rank() == 3 ? spec.padded_as : spec.output;
  auto geometry = kernels::same_padding(padded[0], padded[1], spec.output[2], input[2], spec.kernel,
                                        spec.stride);
  require<ConfigError>(geometry.out_h == input[0] && geometry.out_w == input[1],
                       "deconv layer: a convolution of ", to_string(padded), " with stride ",
                       spec.stride, " gives ", geometry.out_h, "x", geometry.out_w,
                       ", but the input is ", to_string(input));
  // A crop keeps the padding before the image and drops rows and columns after it; what the last
  // ones of the input reach must remain.
  const Index last_h = std::max<Index>((geometry.out_h - 1) * spec.stride - geometry.pad_top, 0);
  const Index last_w = std::max<Index>((geometry.out_w - 1) * spec.stride - geometry.pad_left, 0);
  require<ConfigError>(spec.output[0] > last_h && spec.output[0] <= padded[0] &&
                           spec.output[1] > last_w && spec.output[1] <= padded[1],
                       "deconv layer: expected a crop of ", padded[0], "x", padded[1],
                       " of at least ", last_h + 1, "x", last_w + 1, ", found ",
                       to_string(spec.output));
  geometry.in_h = spec.output[0];
  geometry.in_w = spec.output[1];
  return std::make_unique<Deconv<T>>(geometry, spec.activation, spec.bias);
}

template std::unique_ptr<Layer<float>> make_deconv<float>(const LayerSpec&, Shape);
template std::unique_ptr<Layer<double>> make_deconv<double>(const LayerSpec&, Shape);
template std::unique_ptr<Layer<BFloat16>> make_deconv<BFloat16>(const LayerSpec&, Shape);

}  // namespace ganmm::nn
