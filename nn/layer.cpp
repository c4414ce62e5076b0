#include "nn/layer.h"

#include "nn/layers.h"

namespace ganmm::nn {

template <class T>
void Layer<T>::forward(Context& ctx, const ParamRange<T>& params, const Site<T>& site) const {
  map_forward(ctx, params, site, activation_);
}

template <class T>
void Layer<T>::pre_activation_signal(Context& ctx, const Site<T>& site, GroupView<T> d_y) const {
  if (!activation_.identity()) {
    kernels::activation_backward<T>(ctx, d_y, d_y, site.y, activation_);
  }
}

template <class T>
void Layer<T>::input_gradient(Context& ctx, const ParamRange<T>& params, const Site<T>& site,
                              GroupView<T> d_x, GroupView<const T> u) const {
  map_adjoint(ctx, params, site, d_x, u);
}

template <class T>
void Layer<T>::parameter_gradient(Context& ctx, const ParamRange<T>& params, const Site<T>& site,
                                  GroupView<const T> u, Write write) const {
  map_parameters(ctx, params, site, site.x, u, true, write);
}

template <class T>
void Layer<T>::tangent(Context& ctx, const ParamRange<T>& params, const Site<T>& site,
                       GroupView<T> t_y, GroupView<const T> t_x) const {
  map_tangent(ctx, params, site, t_y, t_x);
  if (!activation_.identity()) {
    kernels::activation_backward<T>(ctx, t_y, t_y, site.y, activation_);
  }
}

template <class T>
void Layer<T>::penalty(Context& ctx, const ParamRange<T>& params, const Site<T>& site,
                       GroupView<const T> u, GroupView<const T> t_y, GroupView<const T> t_x,
                       GroupView<T> r_y, bool r_y_arrives, GroupView<T> r_x) const {
  GroupView<const T> r_z;
  if (!activation_.piecewise_linear()) {
    const GroupView<const T> arriving = r_y_arrives ? GroupView<const T>(r_y) : r_z;
    kernels::activation_curvature<T>(ctx, r_y, arriving, site.y, u, t_y, activation_);
    r_z = r_y;
  } else if (r_y_arrives) {
    pre_activation_signal(ctx, site, r_y);
    r_z = r_y;
  }
  map_penalty(ctx, params, site, u, t_x, r_z, r_x);
}

template <class T>
void Layer<T>::map_penalty(Context& ctx, const ParamRange<T>& params, const Site<T>& site,
                           GroupView<const T> u, GroupView<const T> t_x, GroupView<const T> r_z,
                           GroupView<T> r_x) const {
  map_parameters(ctx, params, site, t_x, u, false, Write::accumulate);
  if (r_z.data == nullptr) return;
  map_parameters(ctx, params, site, site.x, r_z, true, Write::accumulate);
  if (r_x.data != nullptr) map_adjoint(ctx, params, site, r_x, r_z);
}

template <class T>
std::unique_ptr<Layer<T>> make_layer(const LayerSpec& spec, Shape input) {
  const kernels::Activation& a = spec.activation;
  require<ConfigError>(a.kind != kernels::ActivationKind::leaky_relu ||
                           (a.slope > 0 && a.slope < 1),
                       "expected a leaky_relu slope in (0, 1), found ", a.slope,
                       "; use relu for slope 0 and identity for slope 1");
  switch (spec.kind) {
  case LayerKind::dense: return make_dense<T>(spec, input);
  case LayerKind::conv: return make_conv<T>(spec, input);
  case LayerKind::deconv: return make_deconv<T>(spec, input);
  case LayerKind::batch_norm: return make_norm<T>(spec, input, kernels::NormKind::batch);
  case LayerKind::layer_norm: return make_norm<T>(spec, input, kernels::NormKind::layer);
  case LayerKind::crop: return make_crop<T>(spec, input);
  }
  throw ConfigError("layer of unknown kind");
}

template class Layer<float>;
template class Layer<double>;
template class Layer<BFloat16>;
template std::unique_ptr<Layer<float>> make_layer<float>(const LayerSpec&, Shape);
template std::unique_ptr<Layer<double>> make_layer<double>(const LayerSpec&, Shape);
template std::unique_ptr<Layer<BFloat16>> make_layer<BFloat16>(const LayerSpec&, Shape);

}  // namespace ganmm::nn
