// DEC: clusters and the codes they lie in, refined together. The method of `ganmm fit --method
// dec`, on the ops of kernels/student.h.
//
//   1. an autoencoder is trained on the rows (ganmm/autoencoder.h); its decoder is dropped;
//   2. k-means on the codes gives the centres;
//   3. encoder and centres go down the gradient of KL(P|Q), batch by batch. Every `refresh` steps
//      the whole data set is encoded and P computed from all of its Q; training ends when few
//      enough labels changed since the refresh before. The first refresh, where k-means' labels
//      have had no step to change in, is no reason to end.
//
// Of raw features without an autoencoder the paper says nothing; here there always is one.
// Source: Xie, Girshick & Farhadi, ICML 2016; reconstruction: IDEC, Guo et al., IJCAI 2017; warped
// images: the same, Deep embedded clustering with data augmentation, ACML 2018. Adam takes the
// place of SGD with momentum, whose rate depends on the scale of the loss.
#pragma once

#include "ganmm/autoencoder.h"
#include "ganmm/prediction.h"

#include <functional>
#include <span>

namespace ganmm {

struct DecSettings {
  Index clusters = 0;       // 1 <= k <= n
  Index restarts = 20;      // of k-means on the codes
  Index iterations = 8000;  // steps at most
  Index refresh = 0;        // steps between refreshes; 0: half a pass over the rows, 30 to 140
  Index batch = 256;        // rows of a step, at most all
  double tolerance = 1e-3;  // ends when a smaller share of the labels changed between refreshes
  double learning_rate = 1e-4;
  // Beyond DEC: how much the images of a step are warped (AutoencoderSettings::warp), while the
  // targets stay those of the images as they are, and what the squared distance of a row from its
  // reconstruction counts beside KL(P|Q), with a decoder that is trained along.
  double warp = 0;
  double reconstruction = 0;
  std::uint64_t seed = 0;
};

// What a refresh finds.
struct DecRefresh {
  Index iteration = 0;    // steps done
  double changed = 0;     // share of labels that changed since the refresh before; 0 at the first
  double divergence = 0;  // KL(P|Q) per row, of the P that it makes
  double confidence = 0;  // mean over rows of the largest q
  std::vector<Index> sizes;              // rows per cluster
  std::span<const std::int32_t> labels;  // [n], valid during the callback
};

struct DecCallbacks {
  IterationCallbacks each;  // progress < 0 while the autoencoder trains
  std::function<void(const DecRefresh&)> refreshed;
};

struct DecResult {
  Encoder encoder;
  std::vector<std::vector<float>> decoder;  // with DecSettings::reconstruction
  std::vector<float> centres;               // [k][codes]
  Index iterations = 0;                     // steps of the third part
  bool converged = false;
  bool cancelled = false;
};

// All three parts. data: [1][n][item] in the memory of lanes.device(). `autoencoder` must be
// resolved. Results do not depend on the number of lanes. Throws ConfigError unless 1 <= k <= n.
DecResult fit_dec(GroupView<const float> data, const AutoencoderSettings& autoencoder,
                  const DecSettings& settings, Lanes& lanes, const DecCallbacks& callbacks = {});

// The third part, from centres [k][codes]. decoder: of the encoder, with
// DecSettings::reconstruction.
DecResult refine_clusters(GroupView<const float> data, const Encoder& encoder,
                          std::vector<float> centres, const DecSettings& settings, Lanes& lanes,
                          const DecCallbacks& callbacks = {},
                          const std::vector<std::vector<float>>& decoder = {});

// Posteriors are q. values: [rows][item].
Prediction predict_dec(const Encoder& encoder, std::span<const float> centres,
                       std::span<const float> values, Index rows, Lanes& lanes);

}  // namespace ganmm
