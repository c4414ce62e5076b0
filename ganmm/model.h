// A trained clustering: networks, scaling and what the components of several mixtures
// have in common with the clusters, or what another method found. Host memory; independent of the
// device it was trained on.
#pragma once

#include "ganmm/embedding.h"
#include "ganmm/gaussian_mixture.h"
#include "ganmm/prediction.h"
#include "ganmm/settings.h"
#include "io/scaling.h"
#include "kernels/core/lanes.h"

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace ganmm {

// Tensors [R*N]: the logit of critic g's component is (score - centre[g]) * scale[g].
inline constexpr const char* kScoreCentre = "critic.score.centre";
inline constexpr const char* kScoreScale = "critic.score.scale";

struct Model {
  Settings settings;    // resolved; settings.restarts = number of mixtures held
  Shape item;           // of the rows
  Embedding embedding;  // NetKind::codes: the networks see codes
  io::Scaling scaling;
  std::vector<std::string> columns;  // feature names, if the data had any

  struct Tensor {
    std::vector<Index> shape;  // [groups][...]
    std::vector<float> values;
  };
  // By parameter name; where critics assign rows also kScoreCentre and kScoreScale.
  std::map<std::string, Tensor> tensors;

  // [R][N][N], share of all training points in component i of mixture r and in cluster c
  // (ganmm/consensus_posterior.h); diagonal for one mixture.
  std::vector<float> joint;

  // What other methods have instead of networks and joint, for scaled rows.
  std::vector<float> centres;  // Method::kmeans, [N][item]; Method::dec, [N][codes]
  Encoder encoder;             // Method::dec
  GaussianMixture gaussians;   // Method::gmm

  Index mixtures() const { return settings.restarts; }
  Index clusters() const { return settings.clusters; }
  // Of what the networks see.
  Shape seen() const { return embedding ? Shape{embedding.encoder.codes} : item; }
};

// Writes and reads the safetensors file; settings go into its metadata as text.
// Throws IoError, InputError (not a ganmm model, tensors missing or of the wrong shape).
void save_model(const Model& model, const std::string& path);
Model load_model(const std::string& path);

// An encoder by itself, in the same format without clusters: tensors encoder.LAYER.weight and
// .bias, which predict has no use for.
void save_encoder(const Encoder& encoder, const io::Scaling& scaling,
                  const std::vector<std::string>& columns, std::uint64_t seed,
                  const std::string& path);

// Posteriors of the clusters: of ganmm by ganmm/consensus_posterior.h from those of the components,
// the softmax of the classifier's logits or, in GANMM(EM), of the critics' scores, which are no log
// densities: there it orders clusters and is no probability; of k-means 1 for the nearest centre;
// of a Gaussian mixture the responsibility; of DEC the soft assignment. values: [rows][item],
// already scaled. A row's result does not depend on the other rows. With a sink the posteriors are
// handed to it, rows in order, instead of being kept.
using PosteriorSink = std::function<void(std::span<const float> posteriors)>;
Prediction predict(const Model& model, std::span<const float> values, Index rows, Lanes& lanes,
                   const PosteriorSink& sink = {});

// Whether the model's method can draw samples.
inline bool can_sample(const Model& model) {
  return trains_gans(model.settings.method) || model.settings.method == Method::gmm;
}

// `count` samples of a cluster, [count][item] in the data's own units: of the components that lie
// more in this cluster than in any other one is chosen by its share of the cluster's points, then
// its generator is run.
// Throws ConfigError, also for a method without generators.
std::vector<float> sample(const Model& model, Index cluster, Index count, std::uint64_t seed,
                          Lanes& lanes);

}  // namespace ganmm
