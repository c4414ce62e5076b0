// Rows as the codes of an autoencoder that was trained on them: what nets of kind NetKind::codes
// cluster. Pixels that differ say little about what images show; ten codes say more.
#pragma once

#include "ganmm/autoencoder.h"
#include "io/dataset.h"
#include "io/scaling.h"

#include <span>
#include <vector>

namespace ganmm {

// A trained embedding in host memory. Default: none, rows are clustered as they are.
struct Embedding {
  Encoder encoder;
  std::vector<std::vector<float>> decoder;  // weight and bias of every layer
  io::Scaling scaling;                      // of the codes: centred, divided by the largest value

  explicit operator bool() const { return encoder.codes > 0; }
};

// Trains an autoencoder on the scaled rows of `data`. settings must be resolved.
Embedding train_embedding(const io::Dataset& data, const AutoencoderSettings& settings,
                          Lanes& lanes, const IterationCallbacks& callbacks = {});

// Moves codes of a cluster together, and clusters apart, by `steps` steps of DEC from the clusters
// `label` [rows] of the rows, with warped images and the decoder trained along (ganmm/dec.h).
// Returns the clusters of the rows that it ends with; clusters without rows are left out of the
// numbering.
std::vector<std::int32_t> refine_embedding(Embedding& embedding, const io::Dataset& data,
                                           std::span<const std::int32_t> label, Index steps,
                                           const AutoencoderSettings& settings, Lanes& lanes,
                                           const IterationCallbacks& callbacks = {});

// The scaled codes [rows][codes] of scaled rows, and rows from such codes.
std::vector<float> embed(const Embedding& embedding, std::span<const float> values, Index rows,
                         Lanes& lanes);
std::vector<float> unembed(const Embedding& embedding, std::vector<float> codes, Index rows,
                           Lanes& lanes);

}  // namespace ganmm
