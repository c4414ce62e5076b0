#include "ganmm/split_net.h"

#include "kernels/elementwise.h"
#include "kernels/gemm.h"

#include <algorithm>

namespace ganmm {
namespace {

// Tensor numbers of layer l, which has a weight matrix and a bias.
int weight_of(std::size_t layer) { return static_cast<int>(2 * layer); }
int bias_of(std::size_t layer) { return static_cast<int>(2 * layer + 1); }

// Weights of a task on the CPU: enough that packing the signals for the product does not show, few
// enough that their gradients are still in cache when they are updated.
constexpr Index kTaskWeights = Index{1} << 17;
constexpr Index kLeastRows = 32;  // of a batch, for which a lane packs all weights

// [0, rows) in at most `parts` ranges.
std::vector<RowRange> split(Index rows, Index parts) {
  const Index count = std::min(rows, parts);
  std::vector<RowRange> ranges;
  for (Index i = 0; i < count; ++i) {
    const Index first = rows * i / count;
    ranges.push_back({first, rows * (i + 1) / count - first});
  }
  return ranges;
}

}  // namespace

std::vector<RowRange> split_over(const Lanes& lanes, Index rows) {
  if (lanes.device().kind != DeviceKind::cpu) return {{0, rows}};
  return split(rows, std::clamp<Index>(rows / kLeastRows, 1, lanes.count()));
}

SplitNet::SplitNet(Arena& arena, const nn::NetworkSpec& spec, Index batch, nn::StoreUse use,
                   bool own_input, Lanes& lanes)
    : net_(spec), params_(arena, spec.name, net_.layout(1), use),
      tape_(arena, spec.name, net_, 1, batch,
            use == nn::StoreUse::training ? nn::TapeUse::backward : nn::TapeUse::forward, 0,
            !own_input) {
  for (const nn::LayerSpec& layer : spec.layers) {
    require<ConfigError>(layer.kind == nn::LayerKind::dense && layer.bias, "network '", spec.name,
                         "': expected dense layers with biases alone; others are not split");
  }
  for (int lane = 0; lane < lanes.count(); ++lane) {
    Context& ctx = lanes.context(lane);
    ctx.scratch().require_bytes(nn::workspace(net_, ctx, 1, batch));
  }
  const auto& specs = params_.layout().specs();
  const auto& slots = params_.layout().slots();
  const bool whole = lanes.device().kind != DeviceKind::cpu;
  if (whole) tasks_.push_back({{}, slots});
  for (std::size_t layer = 0; layer < spec.layers.size(); ++layer) {
    const Shape shape = specs[2 * layer].shape;
    const Index inputs = shape[0], outputs = shape[1];
    const Index parts = whole ? 1 : (inputs * outputs + kTaskWeights - 1) / kTaskWeights;
    for (const RowRange& rows : split(inputs, parts)) {
      if (whole) {
        tasks_[0].pieces.push_back({layer, rows});
        continue;
      }
      Task task{{{layer, rows}}, {}};
      const Index offset = slots[2 * layer].offset;
      task.slots.push_back({offset + rows.first * outputs, rows.count * outputs});
      if (rows.first == 0) task.slots.push_back(slots[2 * layer + 1]);
      tasks_.push_back(task);
    }
  }
  if (use == nn::StoreUse::training) {
    step_ = arena.request<std::int32_t>(spec.name + " optimiser steps", tasks());
  }
}

void SplitNet::forward(Context& ctx, RowRange rows) const {
  const nn::ParamRange<float> params = params_.all();
  for (std::size_t l = 0; l < net_.layers().size(); ++l) {
    net_.layers()[l]->forward(ctx, params, tape_.site(l, rows.first, rows.count));
  }
}

void SplitNet::backward(Context& ctx, RowRange rows, bool to_input) const {
  const nn::ParamRange<float> params = params_.all();
  for (std::size_t l = net_.layers().size(); l-- > 0;) {
    const nn::Layer<float>& layer = *net_.layers()[l];
    const nn::Site<float> site = tape_.site(l, rows.first, rows.count);
    const GroupView<float> u = tape_.signal(l + 1).rows(rows.first, rows.count);
    layer.pre_activation_signal(ctx, site, u);
    if (l == 0 && !to_input) break;
    layer.input_gradient(ctx, params, site, tape_.signal(l).rows(rows.first, rows.count), u);
  }
}

void SplitNet::update(Context& ctx, Index task, Index rows,
                      const kernels::OptimizerSettings& settings) {
  const nn::ParamRange<float> params = params_.all();
  const Task& own = tasks_[static_cast<std::size_t>(task)];
  for (const Piece& piece : own.pieces) {
    const GroupView<const float> u = tape_.signal(piece.layer + 1).rows(0, rows);
    // Some columns of x and as many rows of the gradient.
    auto x = kernels::matrix(GroupView<const float>(tape_.activation(piece.layer).rows(0, rows)));
    auto gradient = kernels::matrix(params.grad(weight_of(piece.layer)));
    x.data += piece.rows.first;
    x.cols = piece.rows.count;
    gradient.data += piece.rows.first * gradient.row_stride;
    gradient.rows = piece.rows.count;
    kernels::gemm<float>(ctx, gradient, x, kernels::Transpose::yes, kernels::matrix(u),
                         kernels::Transpose::no, Write::overwrite);
    if (piece.rows.first == 0) {
      kernels::bias_grad<float>(ctx, params.grad(bias_of(piece.layer)), u.reshaped({u.features()}),
                                Write::overwrite);
    }
  }
  auto slabs = params.slabs();
  slabs.slots = &own.slots;
  slabs.step = step_.data() + task;
  kernels::optimizer_step<float>(ctx, slabs, settings);
}

void SplitNet::reset(Context& ctx, const kernels::OptimizerSettings& settings) {
  kernels::optimizer_reset<float>(ctx, params_.all().slabs(), settings);
  ctx.clear(step_.data(), static_cast<std::size_t>(step_.bytes()));
}

std::vector<std::vector<float>> SplitNet::download(Context& ctx) const {
  std::vector<std::vector<float>> tensors;
  for (std::size_t i = 0; i < params_.layout().specs().size(); ++i) {
    tensors.push_back(params_.download(ctx, static_cast<int>(i)));
  }
  return tensors;
}

void SplitNet::upload(Context& ctx, const std::vector<std::vector<float>>& tensors) {
  require<ShapeError>(tensors.size() == params_.layout().specs().size(), "network '",
                      net_.spec().name, "': expected ", params_.layout().specs().size(),
                      " tensors, found ", tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    params_.upload(ctx, static_cast<int>(i), tensors[i]);
  }
}

}  // namespace ganmm
