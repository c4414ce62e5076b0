// Internal: the makers of the layer kinds, one per file of that name. make_layer picks.
#pragma once

#include "kernels/norm.h"
#include "nn/layer.h"

#include <memory>

namespace ganmm::nn {

template <class T>
std::unique_ptr<Layer<T>> make_dense(const LayerSpec& spec, Shape input);
template <class T>
std::unique_ptr<Layer<T>> make_conv(const LayerSpec& spec, Shape input);
template <class T>
std::unique_ptr<Layer<T>> make_deconv(const LayerSpec& spec, Shape input);
template <class T>
std::unique_ptr<Layer<T>> make_norm(const LayerSpec& spec, Shape input, kernels::NormKind kind);
template <class T>
std::unique_ptr<Layer<T>> make_crop(const LayerSpec& spec, Shape input);

}  // namespace ganmm::nn
