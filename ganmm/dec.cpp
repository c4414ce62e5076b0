#include "ganmm/dec.h"

#include "ganmm/device_rows.h"
#include "ganmm/kmeans.h"
#include "ganmm/row_order.h"
#include "ganmm/split_net.h"
#include "kernels/elementwise.h"
#include "kernels/select.h"
#include "kernels/student.h"

#include <algorithm>
#include <cmath>
#include <memory>

namespace ganmm {
namespace {

std::size_t size(Index count) { return static_cast<std::size_t>(count); }

nn::ParamLayout centre_layout(Index clusters, Index codes) {
  nn::ParamLayout layout(1);
  layout.add({"centres", {clusters, codes}, {}});
  return layout;
}

double mean_of_largest(std::span<const float> q, Index clusters) {
  double sum = 0;
  for (auto row = q.begin(); row != q.end(); row += clusters) {
    sum += static_cast<double>(*std::max_element(row, row + clusters));
  }
  return q.empty() ? 0.0 : sum / static_cast<double>(q.size()) * static_cast<double>(clusters);
}

// The third part with its memory.
class Refinement {
 public:
  Refinement(GroupView<const float> data, const Encoder& encoder, const std::vector<float>& centres,
             const DecSettings& s, Lanes& lanes, const std::vector<std::vector<float>>& decoder)
      : data_(data), settings_(s), lanes_(lanes), rows_(data.batch), k_(s.clusters),
        codes_(encoder.codes), batch_(std::min(s.batch, rows_)), arena_(lanes.device()),
        net_(arena_, encoder_spec(encoder.item, encoder.hidden, codes_), batch_,
             nn::StoreUse::training, false, plan(lanes)),
        decoder_(s.reconstruction > 0
                     ? std::make_unique<SplitNet>(
                           arena_, decoder_spec(encoder.item, encoder.hidden, codes_), batch_,
                           nn::StoreUse::training, false, lanes)
                     : nullptr),
        centres_(arena_, "centres", centre_layout(k_, codes_), nn::StoreUse::training),
        batch_rows_(arena_.request<float>("rows", batch_ * data.features())),
        plain_rows_(arena_.request<float>("rows before the warp",
                                          warps(data.item, s.warp) ? batch_ * data.features() : 0)),
        batch_target_(arena_.request<float>("targets of a batch", batch_ * k_)),
        weight_(arena_.request<float>("weights of differences", batch_ * k_)),
        order_(arena_.request<std::int32_t>("row order", rows_)),
        code_(arena_.request<float>("codes", rows_ * codes_)),
        share_(arena_.request<float>("assignments", rows_ * k_)),
        target_(arena_.request<float>("targets", rows_ * k_)),
        frequency_(arena_.request<float>("frequencies", k_)),
        label_(arena_.request<std::int32_t>("labels", rows_)), ranges_(split_over(lanes, batch_)) {
    arena_.reserve();
    lanes.reserve_scratch();
    Context& ctx = lanes.context(0);
    optimizer_.learning_rate = s.learning_rate;
    optimizer_.beta1 = 0.9;
    optimizer_.beta2 = 0.999;
    net_.upload(ctx, encoder.tensors);
    net_.reset(ctx, optimizer_);
    if (decoder_ != nullptr) {
      decoder_->upload(ctx, decoder);
      decoder_->reset(ctx, optimizer_);
      decoder_->tape().bind_input(net_.tape().output());
    }
    centres_.upload(ctx, 0, centres);
    kernels::optimizer_reset<float>(ctx, centres_.all().slabs(), optimizer_);
  }

  DecResult run(const Encoder& start, const DecCallbacks& callbacks) {
    const Index per_epoch = steps_per_epoch(rows_, batch_);
    const Index interval =
        settings_.refresh > 0 ? settings_.refresh : std::clamp<Index>(per_epoch / 2, 30, 140);
    DecResult result;
    for (Index step = 0;; ++step) {
      if (step % interval == 0 || step == settings_.iterations) {
        const DecRefresh found = refresh(step);
        if (callbacks.refreshed) callbacks.refreshed(found);
        result.converged = step > 0 && found.changed < settings_.tolerance;
      }
      if (result.converged || result.cancelled || step == settings_.iterations) break;
      if (step % per_epoch == 0) shuffle(step / per_epoch);
      take_step(step, order_.data() + step % per_epoch * batch_);
      ++result.iterations;
      callbacks.each.done(step);
      result.cancelled = callbacks.each.stop();
    }
    Context& ctx = lanes_.context(0);
    result.encoder = start;
    result.encoder.tensors = net_.download(ctx);
    if (decoder_ != nullptr) result.decoder = decoder_->download(ctx);
    result.centres = centres_.download(ctx, 0);
    return result;
  }

 private:
  static Lanes& plan(Lanes& lanes) {
    lanes.plan_scratch();
    return lanes;
  }

  GroupView<float> shares() const { return {share_.data(), 1, rows_, {k_}}; }
  ParamView<const float> centre() const { return centres_.all().value(0); }

  // Codes, assignments and targets of all rows.
  DecRefresh refresh(Index step) {
    Context& ctx = lanes_.context(0);
    const GroupView<float> codes(code_.data(), 1, rows_, {codes_});
    for (Index first = 0; first < rows_; first += batch_) {
      const Index count = std::min(batch_, rows_ - first);
      net_.tape().bind_input(data_.rows(first, count));
      const auto ranges = split_over(lanes_, count);
      lanes_.for_each(static_cast<Index>(ranges.size()), [&](int lane, Index part) {
        Context& own = lanes_.context(lane);
        const RowRange rows = ranges[size(part)];
        net_.forward(own, rows);
        const GroupView<float> to = codes.rows(first + rows.first, rows.count);
        kernels::copy<float, float>(own, to, net_.tape().output().rows(rows.first, rows.count));
        kernels::student_assign<float>(own, shares().rows(first + rows.first, rows.count),
                                       label_.data() + first + rows.first, rows_, to, centre());
      });
    }
    kernels::bias_grad<float>(ctx, {frequency_.data(), 1, {k_}}, shares(), Write::overwrite);
    kernels::student_target<float>(ctx, {target_.data(), 1, rows_, {k_}}, shares(),
                                   {frequency_.data(), 1, {k_}});
    net_.tape().bind_input({batch_rows_.data(), 1, batch_, data_.item});
    return describe(step);
  }

  DecRefresh describe(Index step) {
    Context& ctx = lanes_.context(0);
    std::vector<float> q(size(rows_ * k_)), p(q.size());
    std::vector<std::int32_t> labels(size(rows_));
    ctx.copy_to_host(q.data(), share_.data(), q.size() * sizeof(float));
    ctx.copy_to_host(p.data(), target_.data(), p.size() * sizeof(float));
    ctx.copy_to_host(labels.data(), label_.data(), labels.size() * sizeof(std::int32_t));
    DecRefresh found;
    found.iteration = step;
    found.confidence = mean_of_largest(q, k_);
    for (std::size_t i = 0; i < q.size(); ++i) {
      if (p[i] > 0) {
        found.divergence += static_cast<double>(p[i]) *
                            std::log(static_cast<double>(p[i]) / static_cast<double>(q[i]));
      }
    }
    found.divergence /= static_cast<double>(rows_);
    found.sizes.assign(size(k_), 0);
    Index changed = 0;
    for (std::size_t row = 0; row < labels.size(); ++row) {
      ++found.sizes[size(labels[row])];
      if (step > 0 && labels[row] != labels_[row]) ++changed;
    }
    found.changed = static_cast<double>(changed) / static_cast<double>(rows_);
    labels_ = std::move(labels);
    found.labels = labels_;
    return found;
  }

  void shuffle(Index epoch) {
    std::vector<std::int32_t> order(size(rows_));
    permute(order, settings_.seed, Purpose::clustering_rows, static_cast<std::uint32_t>(epoch));
    lanes_.context(0).copy_to_device(order_.data(), order.data(),
                                     order.size() * sizeof(std::int32_t));
  }

  void take_step(Index step, const std::int32_t* row) {
    lanes_.for_each(static_cast<Index>(ranges_.size()), [&](int lane, Index part) {
      pass(lanes_.context(lane), ranges_[size(part)], step, row);
    });
    const Index encoding = net_.tasks(), decoding = decoder_ == nullptr ? 0 : decoder_->tasks();
    lanes_.for_each(encoding + decoding + 1, [&](int lane, Index task) {
      Context& ctx = lanes_.context(lane);
      if (task < encoding) return net_.update(ctx, task, batch_, optimizer_);
      if (task < encoding + decoding) {
        return decoder_->update(ctx, task - encoding, batch_, optimizer_);
      }
      const auto params = centres_.all();
      kernels::student_centre_gradient<float>(ctx, params.grad(0),
                                              GroupView<float>(weight_.data(), 1, batch_, {k_}),
                                              net_.tape().output(), centre());
      kernels::optimizer_step<float>(ctx, params.slabs(), optimizer_);
    });
  }

  // Some rows of a batch: the loss is the mean over the batch of their part of KL(P|Q), and of what
  // reconstruction adds.
  void pass(Context& ctx, RowRange rows, Index step, const std::int32_t* row) {
    const auto part = [&](const GroupView<float>& view) {
      return view.rows(rows.first, rows.count);
    };
    const GroupView<float> target = part({batch_target_.data(), 1, batch_, {k_}});
    read_rows(ctx, rows, step, row);
    kernels::gather_rows<float>(ctx, target, {target_.data(), 1, rows_, {k_}}, row + rows.first,
                                rows.count);
    net_.forward(ctx, rows);
    const GroupView<float> d_code = part(net_.tape().signal(net_.tape().depth()));
    kernels::student_code_gradient<float>(ctx, d_code, part({weight_.data(), 1, batch_, {k_}}),
                                          part(net_.tape().output()), centre(), target,
                                          1.0 / static_cast<double>(batch_));
    if (decoder_ != nullptr) {
      decoder_->forward(ctx, rows);
      const nn::Tape<float>& tape = decoder_->tape();
      const double scale = 2.0 * settings_.reconstruction / static_cast<double>(batch_);
      const GroupView<float> signal = part(tape.signal(tape.depth()));
      kernels::copy<float, float>(ctx, signal, part(tape.output()));
      kernels::axpby<float>(ctx, signal, -scale, part(net_.tape().input()), scale);
      decoder_->backward(ctx, rows, true);
      kernels::axpby<float>(ctx, d_code, 1.0, part(tape.signal(0)), 1.0);
    }
    net_.backward(ctx, rows, false);
  }

  void read_rows(Context& ctx, RowRange rows, Index step, const std::int32_t* row) {
    const Shape item = data_.item;
    const GroupView<float> input = net_.tape().input().rows(rows.first, rows.count);
    if (!warps(item, settings_.warp)) {
      kernels::gather_rows<float>(ctx, input, data_, row + rows.first, rows.count);
      return;
    }
    const GroupView<float> plain =
        GroupView<float>(plain_rows_.data(), 1, batch_, item).rows(rows.first, rows.count);
    kernels::gather_rows<float>(ctx, plain, data_, row + rows.first, rows.count);
    warp_rows(ctx, input, plain, settings_.warp,
              {settings_.seed, Purpose::clustering_warp, static_cast<std::uint32_t>(step),
               static_cast<std::uint32_t>(rows.first)});
  }

  GroupView<const float> data_;
  const DecSettings& settings_;
  Lanes& lanes_;
  Index rows_, k_, codes_, batch_;
  Arena arena_;
  SplitNet net_;
  std::unique_ptr<SplitNet> decoder_;  // none without reconstruction
  nn::ParamStore<float> centres_;
  Buffer<float> batch_rows_, plain_rows_, batch_target_, weight_;
  Buffer<std::int32_t> order_;
  Buffer<float> code_, share_, target_, frequency_;
  Buffer<std::int32_t> label_;
  std::vector<RowRange> ranges_;
  kernels::OptimizerSettings optimizer_;
  std::vector<std::int32_t> labels_;  // at the last refresh
};

}  // namespace

DecResult fit_dec(GroupView<const float> data, const AutoencoderSettings& autoencoder,
                  const DecSettings& settings, Lanes& lanes, const DecCallbacks& callbacks) {
  const Index steps = autoencoder.epochs * steps_per_epoch(data.batch, autoencoder.batch);
  const AutoencoderResult start = train_autoencoder(
      data, autoencoder, lanes,
      {[&](Index step) { callbacks.each.done(step - steps); }, callbacks.each.cancelled});
  const std::vector<float> codes = encode(start.encoder, data, lanes);
  const DeviceRows rows(codes, data.batch, {autoencoder.codes}, lanes);
  const KMeansRuns runs =
      kmeans(rows.view(), {.clusters = settings.clusters, .restarts = settings.restarts},
             {settings.seed, Purpose::kmeans}, lanes, {{}, callbacks.each.cancelled});
  if (!start.cancelled && !runs.cancelled) {
    return refine_clusters(data, start.encoder, runs.best.centres, settings, lanes, callbacks);
  }
  DecResult unrefined;
  unrefined.encoder = start.encoder;
  unrefined.centres = runs.best.centres;
  unrefined.cancelled = true;
  return unrefined;
}

DecResult refine_clusters(GroupView<const float> data, const Encoder& encoder,
                          std::vector<float> centres, const DecSettings& settings, Lanes& lanes,
                          const DecCallbacks& callbacks,
                          const std::vector<std::vector<float>>& decoder) {
  require<ConfigError>(settings.clusters >= 1 && settings.clusters <= data.batch,
                       "DEC: expected 1 to ", data.batch, " clusters of as many rows, found ",
                       settings.clusters);
  return Refinement(data, encoder, centres, settings, lanes, decoder).run(encoder, callbacks);
}

Prediction predict_dec(const Encoder& encoder, std::span<const float> centres,
                       std::span<const float> values, Index rows, Lanes& lanes) {
  const Index codes = encoder.codes, clusters = static_cast<Index>(centres.size()) / codes;
  const DeviceRows data(values, rows, encoder.item, lanes);
  const std::vector<float> host_codes = encode(encoder, data.view(), lanes);
  const DeviceRows code(host_codes, rows, {codes}, lanes);
  Arena arena(lanes.device());
  const auto centre = arena.request<float>("centres", clusters * codes);
  const auto share = arena.request<float>("assignments", rows * clusters);
  const auto label = arena.request<std::int32_t>("labels", rows);
  arena.reserve();
  Context& ctx = lanes.context(0);
  ctx.copy_to_device(centre.data(), centres.data(), centres.size_bytes());
  kernels::student_assign<float>(ctx, {share.data(), 1, rows, {clusters}}, label.data(), rows,
                                 code.view(), {centre.data(), 1, {clusters, codes}});
  Prediction prediction;
  prediction.assignments.resize(size(rows));
  prediction.posteriors.resize(size(rows * clusters));
  ctx.copy_to_host(prediction.assignments.data(), label.data(),
                   prediction.assignments.size() * sizeof(std::int32_t));
  ctx.copy_to_host(prediction.posteriors.data(), share.data(),
                   prediction.posteriors.size() * sizeof(float));
  prediction.confidence = mean_of_largest(prediction.posteriors, clusters);
  return prediction;
}

}  // namespace ganmm
