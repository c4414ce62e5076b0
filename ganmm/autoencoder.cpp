#include "ganmm/autoencoder.h"

#include "ganmm/problems.h"
#include "ganmm/row_order.h"
#include "ganmm/split_net.h"
#include "kernels/elementwise.h"
#include "kernels/random.h"
#include "kernels/reduce.h"
#include "kernels/select.h"
#include "kernels/warp.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ganmm {
namespace {

nn::LayerSpec dense(Shape output, bool relu) {
  nn::LayerSpec layer;
  layer.output = output;
  if (relu) layer.activation.kind = kernels::ActivationKind::relu;
  return layer;
}

// One autoencoder with the memory of its training.
class Training {
 public:
  Training(GroupView<const float> data, const AutoencoderSettings& s, Lanes& lanes)
      : data_(data), settings_(s), lanes_(lanes), batch_(std::min(s.batch, data.batch)),
        arena_(lanes.device()), encoder_(arena_, encoder_spec(data.item, s.hidden, s.codes), batch_,
                                         nn::StoreUse::training, true, plan(lanes)),
        decoder_(arena_, decoder_spec(data.item, s.hidden, s.codes), batch_, nn::StoreUse::training,
                 false, lanes),
        target_(arena_.request<float>("rows", batch_ * data.features())),
        order_(arena_.request<std::int32_t>("row order", data.batch)),
        distance_(arena_.request<float>("squared distances", batch_ + 1)),
        ranges_(split_over(lanes, batch_)) {
    arena_.reserve();
    lanes.reserve_scratch();
    Context& ctx = lanes.context(0);
    optimizer_.beta1 = 0.9;
    optimizer_.beta2 = 0.999;
    for (SplitNet* net : {&encoder_, &decoder_}) {
      net->params().initialize(ctx, s.seed, 0, 0, 1);
      net->reset(ctx, optimizer_);
    }
    decoder_.tape().bind_input(encoder_.tape().output());
  }

  AutoencoderResult run(const IterationCallbacks& callbacks) {
    AutoencoderResult result;
    const Index per_epoch = steps_per_epoch(data_.batch, batch_);
    const Index steps = per_epoch * settings_.epochs;
    for (Index step = 0; step < steps && !result.cancelled; ++step) {
      if (step % per_epoch == 0) shuffle(step / per_epoch);
      const double done = static_cast<double>(step) / static_cast<double>(steps);
      optimizer_.learning_rate =
          settings_.learning_rate * 0.5 * (1 + std::cos(std::numbers::pi * done));
      take_step(step, order_.data() + step % per_epoch * batch_);
      if ((step + 1) % per_epoch == 0) result.error.push_back(error());
      ++result.steps;
      callbacks.done(step);
      result.cancelled = callbacks.stop();
    }
    result.encoder = {data_.item, settings_.hidden, settings_.codes,
                      encoder_.download(lanes_.context(0))};
    result.decoder = decoder_.download(lanes_.context(0));
    return result;
  }

 private:
  static Lanes& plan(Lanes& lanes) {
    lanes.plan_scratch();
    return lanes;
  }

  void shuffle(Index epoch) {
    std::vector<std::int32_t> order(static_cast<std::size_t>(data_.batch));
    permute(order, settings_.seed, Purpose::embedding_rows, static_cast<std::uint32_t>(epoch));
    lanes_.context(0).copy_to_device(order_.data(), order.data(),
                                     order.size() * sizeof(std::int32_t));
  }

  void take_step(Index step, const std::int32_t* row) {
    lanes_.for_each(static_cast<Index>(ranges_.size()), [&](int lane, Index part) {
      pass(lanes_.context(lane), ranges_[static_cast<std::size_t>(part)], step, row);
    });
    lanes_.for_each(encoder_.tasks() + decoder_.tasks(), [&](int lane, Index task) {
      const bool decodes = task >= encoder_.tasks();
      (decodes ? decoder_ : encoder_)
          .update(lanes_.context(lane), decodes ? task - encoder_.tasks() : task, batch_,
                  optimizer_);
    });
  }

  // Some rows of a batch there and back. The loss is the mean over the batch of the squared
  // distance between a row and its reconstruction.
  void pass(Context& ctx, RowRange rows, Index step, const std::int32_t* row) {
    const Shape item = data_.item;
    const GroupView<float> target =
        GroupView<float>(target_.data(), 1, batch_, item).rows(rows.first, rows.count);
    const GroupView<float> input = encoder_.tape().input().rows(rows.first, rows.count);
    const auto key = [&](Purpose purpose) {
      return RandomKey{settings_.seed, purpose, static_cast<std::uint32_t>(step),
                       static_cast<std::uint32_t>(rows.first)};
    };
    if (warps(item, settings_.warp)) {
      kernels::gather_rows<float>(ctx, input, data_, row + rows.first, rows.count);
      warp_rows(ctx, target, input, settings_.warp, key(Purpose::embedding_warp));
    } else {
      kernels::gather_rows<float>(ctx, target, data_, row + rows.first, rows.count);
    }
    if (settings_.noise > 0) {
      // Every row is a group of its own, so that its noise does not depend on who passes it.
      kernels::fill_normal<float>(ctx, {input.data, rows.count, 1, item}, 0.0, settings_.noise,
                                  key(Purpose::embedding_noise));
      kernels::axpby<float>(ctx, input, 1.0, target, 1.0);
    } else {
      kernels::copy<float, float>(ctx, input, target);
    }
    encoder_.forward(ctx, rows);
    decoder_.forward(ctx, rows);
    const GroupView<float> signal =
        decoder_.tape().signal(decoder_.tape().depth()).rows(rows.first, rows.count);
    const double scale = 2.0 / static_cast<double>(batch_);
    kernels::copy<float, float>(ctx, signal, decoder_.tape().output().rows(rows.first, rows.count));
    kernels::axpby<float>(ctx, signal, -scale, target, scale);
    decoder_.backward(ctx, rows, true);
    kernels::copy<float, float>(
        ctx, encoder_.tape().signal(encoder_.tape().depth()).rows(rows.first, rows.count),
        decoder_.tape().signal(0).rows(rows.first, rows.count));
    encoder_.backward(ctx, rows, false);
  }

  // The loss of the last batch, from the signal it left.
  double error() {
    Context& ctx = lanes_.context(0);
    const GroupView<float> norms(distance_.data(), 1, batch_, {1});
    float mean = 0;
    float* device_mean = distance_.data() + batch_;
    kernels::row_squared_norms<float>(ctx, norms, decoder_.tape().signal(decoder_.tape().depth()));
    kernels::group_mean<float>(ctx, {device_mean, 1, {1}}, norms);
    ctx.copy_to_host(&mean, device_mean, sizeof mean);
    const double half = static_cast<double>(batch_) / 2;
    return static_cast<double>(mean) * half * half;
  }

  GroupView<const float> data_;
  const AutoencoderSettings& settings_;
  Lanes& lanes_;
  Index batch_;
  Arena arena_;
  SplitNet encoder_, decoder_;
  Buffer<float> target_;
  Buffer<std::int32_t> order_;
  Buffer<float> distance_;  // [batch], and their mean
  std::vector<RowRange> ranges_;
  kernels::OptimizerSettings optimizer_;
};

}  // namespace

bool warps(const Shape& item, double amount) {
  return amount > 0 && item.rank() == 3 && item[0] > 1 && item[1] > 1;
}

void warp_rows(Context& ctx, GroupView<float> y, GroupView<const float> x, double amount,
               const RandomKey& key) {
  const kernels::WarpSettings settings{.shift = 0.07 * amount,
                                       .rotation = 10 * amount,
                                       .slant = 0.15 * amount,
                                       .zoom = 0.1 * amount};
  kernels::warp_images<float>(ctx, {y.data, y.batch, 1, y.item}, {x.data, x.batch, 1, x.item},
                              settings, key);
}

nn::NetworkSpec encoder_spec(Shape item, const std::vector<Index>& hidden, Index codes) {
  nn::NetworkSpec spec{"encoder", item, {}};
  for (const Index width : hidden) spec.layers.push_back(dense({width}, true));
  spec.layers.push_back(dense({codes}, false));
  return spec;
}

nn::NetworkSpec decoder_spec(Shape item, const std::vector<Index>& hidden, Index codes) {
  nn::NetworkSpec spec{"decoder", {codes}, {}};
  for (auto width = hidden.rbegin(); width != hidden.rend(); ++width) {
    spec.layers.push_back(dense({*width}, true));
  }
  spec.layers.push_back(dense(item, false));
  return spec;
}

AutoencoderSettings AutoencoderSettings::resolved(Index rows) const {
  constexpr Index least_epochs = 100, least_steps = 2000, most_steps = 1000000000;
  AutoencoderSettings s = *this;
  Problems problems;
  const auto width = [](Index units) { return units >= 1 && units <= 65536; };
  problems.expect(rows >= 1 && rows < Index{1} << 31, "data: expected 1 to 2^31 - 1 rows, found ",
                  rows);
  problems.expect(!s.hidden.empty() && s.hidden.size() <= 16 &&
                      std::ranges::all_of(s.hidden, width),
                  "encoder: expected 1 to 16 layers of 1 to 65536 units");
  problems.expect(width(s.codes), "codes: expected 1 to 65536, found ", s.codes);
  problems.expect(s.batch >= 1 && s.batch <= 65536, "batch: expected 1 to 65536, found ", s.batch);
  problems.expect(s.epochs >= 0, "epochs: expected 0 (automatic) or more, found ", s.epochs);
  problems.expect(s.learning_rate > 0 && std::isfinite(s.learning_rate),
                  "learning rate: expected a finite number > 0, found ", s.learning_rate);
  problems.expect(s.noise >= 0 && std::isfinite(s.noise),
                  "corruption: expected a finite number >= 0, found ", s.noise);
  problems.expect(s.warp >= 0 && s.warp <= 10, "warp: expected 0 to 10, found ", s.warp);
  problems.report();
  const Index steps = steps_per_epoch(rows, s.batch);
  if (s.epochs == 0) s.epochs = std::max(least_epochs, (least_steps + steps - 1) / steps);
  problems.expect(s.epochs <= most_steps / steps, "epochs: expected at most ", most_steps / steps,
                  " with ", steps, " steps each, found ", s.epochs);
  problems.report();
  return s;
}

Index steps_per_epoch(Index rows, Index batch) { return rows / std::min(batch, rows); }

AutoencoderResult train_autoencoder(GroupView<const float> data,
                                    const AutoencoderSettings& settings, Lanes& lanes,
                                    const IterationCallbacks& callbacks) {
  return Training(data, settings, lanes).run(callbacks);
}

namespace {

// What a net makes of rows, on the host.
std::vector<float> run(const nn::NetworkSpec& spec, const std::vector<std::vector<float>>& tensors,
                       GroupView<const float> data, Lanes& lanes) {
  constexpr Index batch = 1024;  // rows at once
  Arena arena(lanes.device());
  lanes.plan_scratch();
  SplitNet net(arena, spec, batch, nn::StoreUse::inference, false, lanes);
  arena.reserve();
  lanes.reserve_scratch();
  Context& ctx = lanes.context(0);
  net.upload(ctx, tensors);
  const Index outputs = net.tape().output().features();
  std::vector<float> result(static_cast<std::size_t>(data.batch * outputs));
  for (Index first = 0; first < data.batch; first += batch) {
    const Index count = std::min(batch, data.batch - first);
    net.tape().bind_input(data.rows(first, count));
    const auto ranges = split_over(lanes, count);
    lanes.for_each(static_cast<Index>(ranges.size()), [&](int lane, Index part) {
      net.forward(lanes.context(lane), ranges[static_cast<std::size_t>(part)]);
    });
    ctx.copy_to_host(result.data() + first * outputs, net.tape().output().data,
                     static_cast<std::size_t>(count * outputs) * sizeof(float));
  }
  return result;
}

}  // namespace

std::vector<float> encode(const Encoder& encoder, GroupView<const float> data, Lanes& lanes) {
  return run(encoder_spec(encoder.item, encoder.hidden, encoder.codes), encoder.tensors, data,
             lanes);
}

std::vector<float> decode(const Encoder& encoder, const std::vector<std::vector<float>>& decoder,
                          GroupView<const float> codes, Lanes& lanes) {
  return run(decoder_spec(encoder.item, encoder.hidden, encoder.codes), decoder, codes, lanes);
}

}  // namespace ganmm
