// Keeps the first rows and columns of an image.
#include "kernels/elementwise.h"
#include "nn/layers.h"

namespace ganmm::nn {
namespace {

template <class T>
class Crop final : public Layer<T> {
 public:
  using Layer<T>::Layer;
  void declare(ParamLayout&, const std::string&) override {}

 private:
  void map_forward(Context& ctx, const ParamRange<T>&, const Site<T>& site,
                   kernels::Activation activation) const override {
    kernels::crop<T>(ctx, site.y, site.x);
    if (!activation.identity()) kernels::activation_forward<T>(ctx, site.y, site.y, activation);
  }
  void map_adjoint(Context& ctx, const ParamRange<T>&, const Site<T>&, GroupView<T> d_x,
                   GroupView<const T> u) const override {
    kernels::crop_backward<T>(ctx, d_x, u);
  }
  void map_parameters(Context&, const ParamRange<T>&, const Site<T>&, GroupView<const T>,
                      GroupView<const T>, bool, Write) const override {}
  void map_tangent(Context& ctx, const ParamRange<T>&, const Site<T>&, GroupView<T> t_z,
                   GroupView<const T> t_x) const override {
    kernels::crop<T>(ctx, t_z, t_x);
  }
};

}  // namespace

template <class T>
std::unique_ptr<Layer<T>> make_crop(const LayerSpec& spec, Shape input) {
  require<ConfigError>(input.rank() == 3 && spec.output.rank() == 3 && spec.output[0] <= input[0] &&
                           spec.output[1] <= input[1] && spec.output[2] == input[2],
                       "crop layer: expected an image no larger than ", to_string(input),
                       " with its channels, found ", to_string(spec.output));
  return std::make_unique<Crop<T>>(input, spec.output, spec.activation);
}

template std::unique_ptr<Layer<float>> make_crop<float>(const LayerSpec&, Shape);
template std::unique_ptr<Layer<double>> make_crop<double>(const LayerSpec&, Shape);
template std::unique_ptr<Layer<BFloat16>> make_crop<BFloat16>(const LayerSpec&, Shape);

}  // namespace ganmm::nn
