#include "ganmm/embedding.h"

#include "ganmm/dec.h"
#include "ganmm/device_rows.h"
#include "kernels/core/error.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace ganmm {
namespace {

constexpr double kCodeSpread = 5.6;  // mean squared distance of codes from their cluster's mean
constexpr double kReconstruction = 0.67;  // of the rows' variance, beside KL(P|Q): IDEC's on MNIST

io::Scaling scaling_of(const Encoder& encoder, GroupView<const float> rows, Lanes& lanes) {
  io::Dataset codes;
  codes.rows = rows.batch;
  codes.item = {encoder.codes};
  codes.values = encode(encoder, rows, lanes);
  require<Error>(
      std::ranges::all_of(codes.values, [](float v) { return std::isfinite(v); }),
      "the autoencoder diverged: its codes are not numbers any more; check the scaling of "
      "the data (--scale)");
  return io::fit_scaling(codes, io::ScaleKind::maxabs);
}

// The means [k][codes] of the codes of every cluster that has some, and the mean squared distance
// of codes from their cluster's.
struct Clusters {
  std::vector<float> means;
  double spread = 0;
};

Clusters clusters_of(std::span<const float> codes, Index width,
                     std::span<const std::int32_t> label) {
  const auto clusters = static_cast<std::size_t>(std::ranges::max(label)) + 1;
  const auto w = static_cast<std::size_t>(width);
  std::vector<double> sum(clusters * w, 0.0), count(clusters, 0.0);
  double squares = 0;
  for (std::size_t row = 0; row < label.size(); ++row) {
    const auto own = static_cast<std::size_t>(label[row]);
    count[own] += 1;
    for (std::size_t i = 0; i < w; ++i) {
      const auto code = static_cast<double>(codes[row * w + i]);
      sum[own * w + i] += code;
      squares += code * code;
    }
  }
  Clusters result;
  for (std::size_t i = 0; i < sum.size(); ++i) {
    if (count[i / w] == 0) continue;
    const double mean = sum[i] / count[i / w];
    squares -= count[i / w] * mean * mean;
    result.means.push_back(static_cast<float>(mean));
  }
  result.spread = squares / static_cast<double>(label.size());
  return result;
}

// Codes times `factor`, rows as before: the same autoencoder.
void rescale(Embedding& embedding, double factor) {
  const auto scale = [](std::vector<float>& values, double by) {
    for (float& value : values) value = static_cast<float>(static_cast<double>(value) * by);
  };
  auto& encoder = embedding.encoder.tensors;
  scale(encoder[encoder.size() - 2], factor);  // weight and bias of the last layer
  scale(encoder[encoder.size() - 1], factor);
  scale(embedding.decoder.front(), 1 / factor);  // weight of the first one
}

// Mean squared distance of the rows from their mean.
double variance(const io::Dataset& data) {
  const auto width = static_cast<std::size_t>(data.item.count());
  std::vector<double> sum(width, 0.0);
  double squares = 0;
  for (std::size_t i = 0; i < data.values.size(); ++i) {
    const auto value = static_cast<double>(data.values[i]);
    sum[i % width] += value;
    squares += value * value;
  }
  const auto rows = static_cast<double>(data.rows);
  for (const double s : sum) squares -= s * s / rows;
  return squares / rows;
}

}  // namespace

Embedding train_embedding(const io::Dataset& data, const AutoencoderSettings& settings,
                          Lanes& lanes, const IterationCallbacks& callbacks) {
  const DeviceRows rows(data.values, data.rows, data.item, lanes);
  AutoencoderResult trained = train_autoencoder(rows.view(), settings, lanes, callbacks);
  io::Scaling scaling = scaling_of(trained.encoder, rows.view(), lanes);
  return {std::move(trained.encoder), std::move(trained.decoder), std::move(scaling)};
}

std::vector<std::int32_t> refine_embedding(Embedding& embedding, const io::Dataset& data,
                                           std::span<const std::int32_t> label, Index steps,
                                           const AutoencoderSettings& settings, Lanes& lanes,
                                           const IterationCallbacks& callbacks) {
  const DeviceRows rows(data.values, data.rows, data.item, lanes);
  const Encoder& encoder = embedding.encoder;
  const auto clusters = [&] {
    return clusters_of(encode(encoder, rows.view(), lanes), encoder.codes, label);
  };
  // DEC's kernel has a scale of its own and codes have that of the rows: brought to where MNIST's
  // codes lie by themselves.
  const double spread = clusters().spread;
  if (spread > 0) rescale(embedding, std::sqrt(kCodeSpread / spread));
  const std::vector<float> centres = clusters().means;
  DecSettings dec;
  dec.clusters = static_cast<Index>(centres.size()) / encoder.codes;
  dec.iterations = steps;
  dec.refresh = steps_per_epoch(data.rows, dec.batch);
  dec.tolerance = 0;  // all steps: there is always another warp to learn from
  dec.warp = settings.warp;
  const double all = variance(data);
  dec.reconstruction = all > 0 ? kReconstruction / all : 0;
  dec.seed = settings.seed;
  std::vector<std::int32_t> refined;
  DecCallbacks each{callbacks, [&](const DecRefresh& refresh) {
                      refined.assign(refresh.labels.begin(), refresh.labels.end());
                    }};
  DecResult found =
      refine_clusters(rows.view(), encoder, centres, dec, lanes, each, embedding.decoder);
  embedding.scaling = scaling_of(found.encoder, rows.view(), lanes);
  embedding.encoder = std::move(found.encoder);
  if (!found.decoder.empty()) embedding.decoder = std::move(found.decoder);
  return refined;
}

std::vector<float> embed(const Embedding& embedding, std::span<const float> values, Index rows,
                         Lanes& lanes) {
  const Encoder& encoder = embedding.encoder;
  // Block by block: on a GPU the rows of a file need not fit into its memory.
  constexpr Index block = 65536;
  const auto width = static_cast<std::size_t>(encoder.item.count());
  std::vector<float> codes;
  for (Index first = 0; first < rows; first += block) {
    const Index count = std::min(block, rows - first);
    const auto part = values.subspan(static_cast<std::size_t>(first) * width,
                                     static_cast<std::size_t>(count) * width);
    const auto own = encode(encoder, DeviceRows(part, count, encoder.item, lanes).view(), lanes);
    codes.insert(codes.end(), own.begin(), own.end());
  }
  io::apply(embedding.scaling, codes, encoder.codes);
  return codes;
}

std::vector<float> unembed(const Embedding& embedding, std::vector<float> codes, Index rows,
                           Lanes& lanes) {
  const Encoder& encoder = embedding.encoder;
  io::invert(embedding.scaling, codes, encoder.codes);
  return decode(encoder, embedding.decoder, DeviceRows(codes, rows, {encoder.codes}, lanes).view(),
                lanes);
}

}  // namespace ganmm
