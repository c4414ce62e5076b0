// Classification and sampling with a finished model.
#include "ganmm/consensus_posterior.h"
#include "ganmm/device_rows.h"
#include "ganmm/kmeans.h"
#include "ganmm/mixture.h"
#include "ganmm/model.h"
#include "ganmm/row_logits.h"
#include "kernels/random.h"
#include "kernels/select.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace ganmm {
namespace {

// A model's networks on a device, ready for forward passes.
struct Loaded {
  Loaded(const Model& model, Lanes& lanes)
      : arena(lanes.device()),
        mixture(arena, model.settings, model.seen(), nn::StoreUse::inference) {}

  void upload(const Model& model, Context& ctx) {
    const auto upload_store = [&](nn::ParamStore<float>& store) {
      const auto& specs = store.layout().specs();
      for (std::size_t i = 0; i < specs.size(); ++i) {
        store.upload(ctx, static_cast<int>(i), model.tensors.at(specs[i].name).values);
      }
    };
    upload_store(mixture.generator_params);
    upload_store(mixture.critic_params);
    if (mixture.critics_assign()) {
      const auto bytes = static_cast<std::size_t>(mixture.score_centre.bytes());
      ctx.copy_to_device(mixture.score_centre.data(), model.tensors.at(kScoreCentre).values.data(),
                         bytes);
      ctx.copy_to_device(mixture.score_scale.data(), model.tensors.at(kScoreScale).values.data(),
                         bytes);
    } else {
      upload_store(mixture.classifier_params);
    }
  }

  Arena arena;
  Mixture<> mixture;
};

Prediction classify(const Model& model, std::span<const float> values, Index rows, Lanes& lanes,
                    const PosteriorSink& sink) {
  const Index features = model.seen().count(), clusters = model.clusters();
  Loaded loaded(model, lanes);
  Arena& arena = loaded.arena;
  const Mixture<>& mixture = loaded.mixture;
  const Index mixtures = mixture.mixtures;
  const ConsensusPosterior clustering(model.joint, mixtures, clusters);

  // Every chunk runs all mixtures one after the other, on its lane's own tape.
  struct LaneWork {
    RowLogits<float> logits;
    Buffer<float> input, posterior;
    Buffer<std::int32_t> label;
  };
  std::vector<LaneWork> work;
  lanes.plan_scratch();
  for (int lane = 0; lane < lanes.count(); ++lane) {
    Context& ctx = lanes.context(lane);
    RowLogits<float> logits(arena, ctx, mixture, 1);
    const Index chunk = logits.chunk();
    work.push_back({std::move(logits), arena.request<float>("prediction rows", chunk * features),
                    arena.request<float>("prediction posteriors", chunk * clusters),
                    arena.request<std::int32_t>("prediction labels", chunk)});
  }
  const Index chunk = work.front().logits.chunk();
  arena.reserve();
  lanes.reserve_scratch();
  loaded.upload(model, lanes.context(0));

  Prediction result;
  result.assignments.resize(static_cast<std::size_t>(rows));
  const Index chunks = (rows + chunk - 1) / chunk;
  // With a sink the posteriors exist for a round of chunks at a time.
  const Index per_round = sink ? std::min<Index>(chunks, 4 * lanes.count()) : chunks;
  std::vector<float>& posteriors = result.posteriors;
  std::vector<double> confidence(static_cast<std::size_t>(chunks), 0.0);
  for (Index round = 0; round < chunks; round += per_round) {
    const Index begin = round * chunk, end = std::min(rows, (round + per_round) * chunk);
    posteriors.resize(static_cast<std::size_t>((end - begin) * clusters));
    lanes.for_each(std::min(per_round, chunks - round), [&](int lane, Index task) {
      Context& ctx = lanes.context(lane);
      LaneWork& w = work[static_cast<std::size_t>(lane)];
      const Index first = begin + task * chunk, count = std::min(chunk, rows - first);
      std::vector<float> posterior(static_cast<std::size_t>(count * clusters));
      const std::span<float> out(posteriors.data() + (first - begin) * clusters, posterior.size());
      clustering.begin(out);
      ctx.copy_to_device(w.input.data(), values.data() + first * features,
                         static_cast<std::size_t>(count * features) * sizeof(float));
      const GroupView<const float> input(w.input.data(), 1, count, model.seen());
      for (Index r = 0; r < mixtures; ++r) {
        kernels::classify_rows<float>(ctx, {w.posterior.data(), 1, count, {clusters}},
                                      w.label.data(), chunk, w.logits.of(ctx, mixture, r, input),
                                      1.0);
        ctx.copy_to_host(posterior.data(), w.posterior.data(), posterior.size() * sizeof(float));
        clustering.add(r, posterior, out);
      }
      clustering.finish(out);
      for (Index p = 0; p < count; ++p) {
        const float* row = out.data() + p * clusters;
        const float* best = std::max_element(row, row + clusters);
        result.assignments[static_cast<std::size_t>(first + p)] =
            static_cast<std::int32_t>(best - row);
        confidence[static_cast<std::size_t>(round + task)] += static_cast<double>(*best);
      }
    });
    if (sink) sink(posteriors);
  }
  if (sink) posteriors = {};
  const double total = std::accumulate(confidence.begin(), confidence.end(), 0.0);
  result.confidence = rows == 0 ? 0.0 : total / static_cast<double>(rows);
  return result;
}

}  // namespace

Prediction predict(const Model& model, std::span<const float> values, Index rows, Lanes& lanes,
                   const PosteriorSink& sink) {
  const Index features = model.item.count();
  require<ShapeError>(static_cast<Index>(values.size()) == rows * features, "predict: expected ",
                      rows, " rows of ", features, " values, found ", values.size(), " values");
  Prediction result;
  switch (model.settings.method) {
  case Method::kmeans:
    result = predict_nearest(model.centres, values, rows, model.item, lanes);
    break;
  case Method::gmm:
    result = predict_gaussians(model.gaussians, DeviceRows(values, rows, model.item, lanes).view(),
                               lanes);
    break;
  case Method::dec: result = predict_dec(model.encoder, model.centres, values, rows, lanes); break;
  case Method::ganmm:
  case Method::ganmm_em:
    if (!model.embedding) return classify(model, values, rows, lanes, sink);
    return classify(model, embed(model.embedding, values, rows, lanes), rows, lanes, sink);
  }
  if (sink) {
    sink(result.posteriors);
    result.posteriors = {};
  }
  return result;
}

namespace {

// The component of all mixtures with the largest share of its points in the cluster; where the
// cluster has no points, the one of its number.
Index most_in(const Model& model, Index cluster) {
  const Index clusters = model.clusters();
  Index most = cluster;
  double largest = 0;
  for (Index g = 0; g < model.mixtures() * clusters; ++g) {
    const auto joint = model.joint.begin() + g * clusters;
    const double points = std::accumulate(joint, joint + clusters, 0.0);
    const double share = points > 0 ? static_cast<double>(joint[cluster]) / points : 0.0;
    if (share > largest) {
      largest = share;
      most = g;
    }
  }
  return most;
}

}  // namespace

std::vector<float> sample(const Model& model, Index cluster, Index count, std::uint64_t seed,
                          Lanes& lanes) {
  const Index clusters = model.clusters(), mixtures = model.mixtures();
  require<ConfigError>(can_sample(model),
                       "sample: expected a model that can draw samples, found one of method ",
                       to_string(model.settings.method),
                       ", which has centres alone; fit with --method ganmm or gmm");
  require<ConfigError>(cluster >= 0 && cluster < clusters, "sample: expected a cluster from 0 to ",
                       clusters - 1, ", found ", cluster);
  require<ConfigError>(count >= 1, "sample: expected at least one sample, found ", count);
  static_cast<void>(checked_multiply(checked_multiply(count, model.item.count()), sizeof(float)));
  if (model.settings.method == Method::gmm) {
    auto values = sample_gaussian(model.gaussians, cluster, count, seed, lanes);
    io::invert(model.scaling, values, model.item.count());
    return values;
  }
  Loaded loaded(model, lanes);
  const Mixture<>& mixture = loaded.mixture;
  Context& ctx = lanes.context(0);
  // Batch norm takes its statistics from a batch of the training size.
  const Index batch = model.settings.batch;
  lanes.plan_scratch();
  nn::Tape<float> tape(loaded.arena, "samples", mixture.generator, 1, batch, nn::TapeUse::forward);
  ctx.scratch().require_bytes(nn::workspace(mixture.generator, ctx, 1, batch));
  loaded.arena.reserve();
  lanes.reserve_scratch();
  loaded.upload(model, ctx);

  // Points of this cluster in the components that lie mostly in it, cumulated.
  std::vector<double> points(static_cast<std::size_t>(mixtures * clusters));
  double total = 0;
  for (std::size_t g = 0; g < points.size(); ++g) {
    const float* joint = model.joint.data() + static_cast<Index>(g) * clusters;
    if (std::max_element(joint, joint + clusters) == joint + cluster) {
      total += static_cast<double>(joint[cluster]);
    }
    points[g] = total;
  }
  const Index features = model.seen().count();
  std::vector<float> values(static_cast<std::size_t>(count * features));
  std::vector<std::vector<Index>> wanted(points.size());  // samples that each component makes
  for (Index s = 0; s < count; ++s) {
    const Philox draw =
        philox(seed, static_cast<std::uint32_t>(s), static_cast<std::uint32_t>(cluster), 0,
               static_cast<std::uint32_t>(Purpose::sample));
    const double target = static_cast<double>(uniform01(draw.word[0])) * total;
    auto g = std::upper_bound(points.begin(), points.end(), target) - points.begin();
    if (total == 0) g = most_in(model, cluster);
    wanted[static_cast<std::size_t>(g)].push_back(s);
  }
  std::vector<float> made(static_cast<std::size_t>(batch * features));
  for (std::size_t g = 0; g < wanted.size(); ++g) {
    for (std::size_t done = 0; done < wanted[g].size(); done += static_cast<std::size_t>(batch)) {
      kernels::fill_normal<float>(ctx, tape.input(), 0.0, 1.0,
                                  {seed, Purpose::sample, static_cast<std::uint32_t>(1 + done),
                                   static_cast<std::uint32_t>(g)});
      mixture.generator.forward(ctx, mixture.generator_params.range(static_cast<Index>(g), 1), tape,
                                batch);
      ctx.copy_to_host(made.data(), tape.output().data, made.size() * sizeof(float));
      const auto take = std::min(static_cast<std::size_t>(batch), wanted[g].size() - done);
      for (std::size_t i = 0; i < take; ++i) {
        std::copy_n(made.begin() + static_cast<Index>(i) * features, features,
                    values.begin() + wanted[g][done + i] * features);
      }
    }
  }
  if (model.embedding) values = unembed(model.embedding, std::move(values), count, lanes);
  io::invert(model.scaling, values, model.item.count());
  return values;
}

}  // namespace ganmm
