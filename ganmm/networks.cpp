#include "ganmm/networks.h"

namespace ganmm {
namespace {

using kernels::Activation;
using kernels::ActivationKind;
using nn::LayerKind;
using nn::LayerSpec;

const Activation kRelu{ActivationKind::relu};
const Activation kLeaky{ActivationKind::leaky_relu, 0.2};
const Activation kSigmoid{ActivationKind::sigmoid};

LayerSpec dense(Shape output, Activation activation = {}) {
  return {.kind = LayerKind::dense, .output = output, .activation = activation};
}
LayerSpec conv(Index channels, Activation activation = {}) {
  return {.kind = LayerKind::conv, .output = {0, 0, channels}, .activation = activation};
}
LayerSpec deconv(Shape output, Shape padded_as, Activation activation = {}) {
  return {.kind = LayerKind::deconv,
          .output = output,
          .activation = activation,
          .padded_as = padded_as};
}
LayerSpec batch_norm(Activation activation, Shape output = {}) {
  return {.kind = LayerKind::batch_norm, .output = output, .activation = activation};
}
LayerSpec crop(Shape output) { return {.kind = LayerKind::crop, .output = output}; }

Networks make_mlp(const Settings& s, Shape item) {
  Networks nets;
  nets.generator = {"generator", {s.noise}, {dense({s.hidden}, kRelu), dense(item)}};
  nets.critic = {"critic", item, {dense({s.hidden}, kRelu), dense({1})}};
  nets.classifier = {"classifier", item, {dense({s.hidden}, kRelu), dense({s.clusters})}};
  return nets;
}

Networks make_conv(const Settings& s, Shape item) {
  const auto half = [](Index extent) { return (extent + 1) / 2; };
  const Index w = s.width;
  const Index h1 = half(item[0]), w1 = half(item[1]);
  const Index h2 = half(h1), w2 = half(w1);
  const Index h3 = half(h2), w3 = half(w2);
  // Transposed convolutions double the size; an odd target is a crop of the doubled image.
  const auto doubled = [](Shape from, Index channels) {
    return Shape{2 * from[0], 2 * from[1], channels};
  };
  const Shape s3{h3, w3, 4 * w}, s2{h2, w2, 2 * w}, s1{h1, w1, w};

  Networks nets;
  // Batch norm belongs to the clipping variant; the penalty's origin has none in either net.
  if (s.objective == Objective::wgan_clip) {
    const auto up = [&](std::vector<LayerSpec>& layers, Shape from, Shape to) {
      const Shape full = doubled(from, to[2]);
      layers.push_back(deconv(full, full));
      layers.push_back(batch_norm(kRelu));
      if (full != to) layers.push_back(crop(to));
    };
    std::vector<LayerSpec> layers{dense({s3.count()}), batch_norm(kRelu, s3)};
    up(layers, s3, s2);
    up(layers, s2, s1);
    layers.push_back(deconv(item, doubled(s1, item[2]), kSigmoid));
    nets.generator = {"generator", {s.noise}, layers};
    nets.critic = {"critic",
                   item,
                   {conv(w, kLeaky), conv(2 * w), batch_norm(kLeaky), conv(4 * w),
                    batch_norm(kLeaky), dense({1})}};
  } else {
    nets.generator = {"generator",
                      {s.noise},
                      {dense(s3, kRelu), deconv(s2, doubled(s3, s2[2]), kRelu),
                       deconv(s1, doubled(s2, s1[2]), kRelu),
                       deconv(item, doubled(s1, item[2]), kSigmoid)}};
    nets.critic = {
        "critic", item, {conv(w, kLeaky), conv(2 * w, kLeaky), conv(4 * w, kLeaky), dense({1})}};
  }
  nets.classifier = {
      "classifier", item, {conv(w, kLeaky), conv(2 * w, kLeaky), dense({s.clusters})}};
  return nets;
}

}  // namespace

Networks make_networks(const Settings& settings, Shape item) {
  return settings.net == NetKind::conv ? make_conv(settings, item) : make_mlp(settings, item);
}

}  // namespace ganmm
