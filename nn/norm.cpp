// Batch normalisation and layer normalisation layers (statistics always of the batch or item at
// hand, as in the published nets; no running averages).
#include "kernels/norm.h"

#include "nn/layers.h"

namespace ganmm::nn {
namespace {

template <class T>
class Norm final : public Layer<T> {
 public:
  Norm(Shape input, Shape output, kernels::Activation activation, kernels::NormKind kind)
      : Layer<T>(input, output, activation), kind_(kind) {}

  void declare(ParamLayout& layout, const std::string& prefix) override {
    const Index channels = this->input().back();
    gamma_ = layout.add({prefix + ".gamma", {channels}, {Init::Kind::one, 0}});
    beta_ = layout.add({prefix + ".beta", {channels}, {}});
  }
  Index statistics(Index batch, Index stat_batch) const override {
    return kernels::norm_statistics(settings(stat_batch), batch, this->input().back());
  }
  Index workspace(const Context& ctx, Index groups, Index batch) const override {
    return kernels::norm_workspace(ctx, groups, batch, settings(batch));
  }
  bool couples_samples() const override { return kind_ == kernels::NormKind::batch; }

 private:
  bool map_is_linear() const override { return false; }

  kernels::NormSettings settings(Index stat_batch) const {
    kernels::NormSettings s;
    s.kind = kind_;
    s.stat_batch = stat_batch;
    return s;
  }
  void map_forward(Context& ctx, const ParamRange<T>& params, const Site<T>& site,
                   kernels::Activation activation) const override {
    kernels::norm_forward<T>(ctx, site.y.reshaped(this->input()), site.mean, site.inv_sigma, site.x,
                             params.master(gamma_), params.master(beta_),
                             settings(site.stat_batch));
    if (!activation.identity()) kernels::activation_forward<T>(ctx, site.y, site.y, activation);
  }
  void map_adjoint(Context& ctx, const ParamRange<T>& params, const Site<T>& site, GroupView<T> d_x,
                   GroupView<const T> u) const override {
    kernels::norm_backward_data<T>(ctx, d_x, u.reshaped(this->input()), site.x, site.mean,
                                   site.inv_sigma, params.master(gamma_),
                                   settings(site.stat_batch));
  }
  void map_parameters(Context& ctx, const ParamRange<T>& params, const Site<T>& site,
                      GroupView<const T> x, GroupView<const T> u, bool,
                      Write write) const override {
    kernels::norm_backward_params<T>(ctx, params.grad(gamma_), params.grad(beta_),
                                     u.reshaped(this->input()), x, site.mean, site.inv_sigma,
                                     settings(site.stat_batch), write);
  }
  void map_tangent(Context& ctx, const ParamRange<T>& params, const Site<T>& site, GroupView<T> t_z,
                   GroupView<const T> t_x) const override {
    kernels::norm_tangent<T>(ctx, t_z.reshaped(this->input()), t_x, site.x, site.mean,
                             site.inv_sigma, params.master(gamma_), settings(site.stat_batch));
  }
  void map_penalty(Context& ctx, const ParamRange<T>& params, const Site<T>& site,
                   GroupView<const T> u, GroupView<const T> t_x, GroupView<const T> r_z,
                   GroupView<T> r_x) const override {
    if (r_z.data != nullptr) r_z = r_z.reshaped(this->input());
    kernels::norm_penalty<T>(ctx, r_x, params.grad(gamma_), params.grad(beta_), r_z,
                             u.reshaped(this->input()), t_x, site.x, site.mean, site.inv_sigma,
                             params.master(gamma_), settings(site.stat_batch));
  }

  kernels::NormKind kind_;
  int gamma_ = -1, beta_ = -1;
};

}  // namespace

template <class T>
std::unique_ptr<Layer<T>> make_norm(const LayerSpec& spec, Shape input, kernels::NormKind kind) {
  const Shape output = spec.output.rank() == 0 ? input : spec.output;
  require<ConfigError>(output.count() == input.count(), "norm layer: expected an output of ",
                       input.count(), " elements, found ", to_string(output));
  return std::make_unique<Norm<T>>(input, output, spec.activation, kind);
}

template std::unique_ptr<Layer<float>> make_norm<float>(const LayerSpec&, Shape, kernels::NormKind);
template std::unique_ptr<Layer<double>> make_norm<double>(const LayerSpec&, Shape,
                                                          kernels::NormKind);
template std::unique_ptr<Layer<BFloat16>> make_norm<BFloat16>(const LayerSpec&, Shape,
                                                              kernels::NormKind);

}  // namespace ganmm::nn
