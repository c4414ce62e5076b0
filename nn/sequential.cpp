#include "nn/sequential.h"

#include <algorithm>

namespace ganmm::nn {

template <class T>
Sequential<T>::Sequential(const NetworkSpec& spec) : spec_(spec), layout_for_one_(1) {
  require<ConfigError>(!spec.layers.empty(), "network '", spec.name,
                       "': expected at least one layer");
  Shape shape = spec.input;
  for (std::size_t l = 0; l < spec.layers.size(); ++l) {
    try {
      layers_.push_back(make_layer<T>(spec.layers[l], shape));
    } catch (const Error& error) {
      throw ConfigError(message("network '", spec.name, "', layer ", l, ": ", error.what()));
    }
    layers_.back()->declare(layout_for_one_, spec.name + "." + std::to_string(l));
    shape = layers_.back()->output();
  }
}

template <class T>
ParamLayout Sequential<T>::layout(Index groups) const {
  ParamLayout result(groups);
  for (const ParamSpec& spec : layout_for_one_.specs()) result.add(spec);
  return result;
}

template <class T>
void Sequential<T>::require_penalty() const {
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    require<ConfigError>(!layers_[l]->couples_samples(), "gradient penalty for network '",
                         spec_.name, "': layer ", l,
                         " is a batch norm, which couples the samples of a batch, so a per-sample "
                         "penalty does not exist; use layer norm, no norm, or weight clipping");
  }
}

template <class T>
void Sequential<T>::forward(Context& ctx, const ParamRange<T>& params, Tape<T>& tape,
                            Index rows) const {
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    layers_[l]->forward(ctx, params, tape.site(l, 0, rows));
  }
}

template <class T>
void Sequential<T>::backward(Context& ctx, const ParamRange<T>& params, Tape<T>& tape,
                             const BackwardRows& r) const {
  for (std::size_t l = layers_.size(); l-- > 0;) {
    const Layer<T>& layer = *layers_[l];
    const GroupView<T> u = tape.signal(l + 1);
    layer.pre_activation_signal(ctx, tape.site(l, 0, r.rows), u.rows(0, r.rows));
    if (r.param_rows > 0) {
      layer.parameter_gradient(ctx, params, tape.site(l, 0, r.param_rows), u.rows(0, r.param_rows),
                               r.write);
    }
    const Index first = l > 0 ? 0 : r.input_first;
    const Index count = l > 0 ? r.rows : r.input_rows;
    if (count > 0) {
      layer.input_gradient(ctx, params, tape.site(l, first, count),
                           tape.signal(l).rows(first, count), u.rows(first, count));
    }
  }
}

template <class T>
Tape<T>::Tape(Arena& arena, const std::string& name, const Sequential<T>& net, Index groups,
              Index batch, TapeUse use, Index stat_batch, bool external_input)
    : groups_(groups), batch_(batch), stat_batch_(stat_batch == 0 ? batch : stat_batch) {
  const auto request = [&](const char* what, Shape shape) {
    return arena.request<T>(name + " " + what,
                            checked_multiply(checked_multiply(groups, batch), shape.count()));
  };
  shapes_.push_back(net.input());
  bool curved = false;
  for (const auto& layer : net.layers()) {
    shapes_.push_back(layer->output());
    curved = curved || !layer->piecewise_linear();
    Statistics s;
    s.count = layer->statistics(batch_, stat_batch_);
    s.per_item = !layer->couples_samples();
    if (s.count > 0) {
      s.mean = arena.request<Master<T>>(name + " means", groups * s.count);
      s.inv_sigma = arena.request<Master<T>>(name + " deviations", groups * s.count);
    }
    statistics_.push_back(s);
  }
  for (const Shape& shape : shapes_) {
    const bool external = external_input && activations_.empty();
    activations_.push_back(external ? Buffer<T>{} : request("activations", shape));
    if (use != TapeUse::forward) signals_.push_back(request("signals", shape));
    if (use == TapeUse::penalty) tangents_.push_back(request("tangents", shape));
    if (use == TapeUse::penalty && curved) {
      curvatures_.push_back(request("second-order signals", shape));
    }
  }
}

template <class T>
void Tape<T>::bind_input(GroupView<const T> input) {
  require<ShapeError>(
      input.groups == groups_ && input.features() == shapes_[0].count() && input.batch <= batch_,
      "tape input: expected [N=", groups_, "][B<=", batch_, "][", to_string(shapes_[0]),
      "], found [", input.groups, "][", input.batch, "][", to_string(input.item), "]");
  // A forward pass does not write its input; the view type of a tape is mutable for signals.
  bound_input_ = {const_cast<T*>(input.data), input.groups,      input.batch, shapes_[0],
                  input.group_stride,         input.batch_stride};
}

template <class T>
GroupView<T> Tape<T>::view(const std::vector<Buffer<T>>& buffers, std::size_t boundary) const {
  if (boundary >= buffers.size()) return {};
  return {buffers[boundary].data(), groups_, batch_, shapes_[boundary]};
}

template <class T>
Site<T> Tape<T>::site(std::size_t layer, Index first, Index rows) const {
  Site<T> site;
  site.x = activation(layer).rows(first, rows);
  site.y = activation(layer + 1).rows(first, rows);
  const Statistics& s = statistics_[layer];
  site.stat_batch = std::max<Index>(1, std::min(stat_batch_, rows));  // a pass may have no rows
  if (s.count > 0) {
    // Statistics per item start at the first row; those per statistics batch at the first batch.
    const Index per_batch = s.per_item ? 1 : s.count / (batch_ / stat_batch_);
    const Index offset = s.per_item ? first : first / stat_batch_ * per_batch;
    const Index count = s.per_item ? rows : rows / site.stat_batch * per_batch;
    site.mean = {s.mean.data() + offset, groups_, {count}, s.count};
    site.inv_sigma = {s.inv_sigma.data() + offset, groups_, {count}, s.count};
  }
  return site;
}

template <class T>
std::vector<std::string> Sequential<T>::describe(const Context& ctx) const {
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const std::string how = layers_[i]->describe(ctx);
    if (how.empty()) continue;
    lines.push_back(message("layer ", i + 1, " (", to_string(layers_[i]->input()), " to ",
                            to_string(layers_[i]->output()), "): ", how));
  }
  return lines;
}

template <class T>
Index workspace(const Sequential<T>& net, const Context& ctx, Index groups, Index batch) {
  Index bytes = 0;
  for (const auto& layer : net.layers())
    bytes = std::max(bytes, layer->workspace(ctx, groups, batch));
  return bytes;
}

template class Sequential<float>;
template class Sequential<double>;
template class Sequential<BFloat16>;
template class Tape<float>;
template class Tape<double>;
template class Tape<BFloat16>;
template Index workspace<float>(const Sequential<float>&, const Context&, Index, Index);
template Index workspace<double>(const Sequential<double>&, const Context&, Index, Index);
template Index workspace<BFloat16>(const Sequential<BFloat16>&, const Context&, Index, Index);

}  // namespace ganmm::nn
