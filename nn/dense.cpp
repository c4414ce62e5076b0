// Dense layer: z = x W + b, W [in][out]. Items of any shape are read as rows of `in` features.
#include "kernels/gemm.h"
#include "nn/layers.h"
#include "nn/linear_layer.h"

#include <cmath>

namespace ganmm::nn {
namespace {

using kernels::matrix;
using kernels::Transpose;

template <class T>
class Dense final : public LinearLayer<T> {
 public:
  Dense(Shape input, Shape output, kernels::Activation activation, bool bias)
      : LinearLayer<T>(input, output, activation, bias) {}

  void declare(ParamLayout& layout, const std::string& prefix) override {
    const Index in = this->input().count(), out = this->output().count();
    // Glorot & Bengio 2010: variance 2 / (in + out), as a uniform.
    const double bound = std::sqrt(6.0 / static_cast<double>(in + out));
    this->declare_tensors(layout, prefix, {in, out}, bound, out);
  }

 private:
  void map_forward(Context& ctx, const ParamRange<T>& params, const Site<T>& site,
                   kernels::Activation activation) const override {
    kernels::gemm<T>(ctx, matrix(site.y), matrix(site.x), Transpose::no,
                     matrix(this->weight(params)), Transpose::no, Write::overwrite,
                     this->epilogue(params, activation));
  }
  void map_adjoint(Context& ctx, const ParamRange<T>& params, const Site<T>&, GroupView<T> d_x,
                   GroupView<const T> u) const override {
    kernels::gemm<T>(ctx, matrix(d_x), matrix(u), Transpose::no, matrix(this->weight(params)),
                     Transpose::yes, Write::overwrite);
  }
  void map_parameters(Context& ctx, const ParamRange<T>& params, const Site<T>&,
                      GroupView<const T> x, GroupView<const T> u, bool with_bias,
                      Write write) const override {
    kernels::gemm<T>(ctx, matrix(this->weight_gradient(params)), matrix(x), Transpose::yes,
                     matrix(u), Transpose::no, write);
    if (with_bias) this->bias_gradient(ctx, params, u.reshaped({u.features()}), write);
  }
  void map_tangent(Context& ctx, const ParamRange<T>& params, const Site<T>&, GroupView<T> t_z,
                   GroupView<const T> t_x) const override {
    kernels::gemm<T>(ctx, matrix(t_z), matrix(t_x), Transpose::no, matrix(this->weight(params)),
                     Transpose::no, Write::overwrite);
  }
};

}  // namespace

template <class T>
std::unique_ptr<Layer<T>> make_dense(const LayerSpec& spec, Shape input) {
  require<ConfigError>(spec.output.count() >= 1 && spec.output.rank() >= 1,
                       "dense layer: expected an output of at least one unit, found ",
                       to_string(spec.output));
  return std::make_unique<Dense<T>>(input, spec.output, spec.activation, spec.bias);
}

template std::unique_ptr<Layer<float>> make_dense<float>(const LayerSpec&, Shape);
template std::unique_ptr<Layer<double>> make_dense<double>(const LayerSpec&, Shape);
template std::unique_ptr<Layer<BFloat16>> make_dense<BFloat16>(const LayerSpec&, Shape);

}  // namespace ganmm::nn
