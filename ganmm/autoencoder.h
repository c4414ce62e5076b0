// A stacked autoencoder: an encoder d-500-500-2000-10 of dense layers and its mirror image, trained
// to give the rows back. `ganmm embed` writes its codes; DEC (ganmm/dec.h) begins with it.
//
// ReLU after every layer but the codes and the reconstruction. Published ones are trained layer by
// layer for 50,000 steps each and 100,000 together, by SGD whose rate of 0.1 means one thing with
// the half sum of the squared differences and another, smaller by half the number of features, with
// their mean. Here all layers learn together, by Adam, which no factor of the loss touches. Images
// are warped anew in every pass (kernels/warp.h), so that there are more of them than the file has:
// MNIST's codes lie in better clusters for it (docs/results.md).
// Source: architecture and batch size of Xie, Girshick & Farhadi, ICML 2016; warped images: Guo et
// al., Deep embedded clustering with data augmentation, ACML 2018; noise: Vincent et al., JMLR
// 2010.
#pragma once

#include "ganmm/iteration_callbacks.h"
#include "kernels/core/lanes.h"
#include "kernels/core/rng.h"
#include "kernels/core/view.h"
#include "nn/network_spec.h"

#include <cstdint>
#include <vector>

namespace ganmm {

struct AutoencoderSettings {
  std::vector<Index> hidden = {500, 500, 2000};  // widths of the encoder's hidden layers
  Index codes = 10;                              // width of the code layer
  Index epochs = 0;             // passes over the rows; 0: 100, and as many more as
                                // small data need for 2000 steps
  Index batch = 256;            // rows of a step, at most all
  double learning_rate = 1e-3;  // at first; falls to 0 along half a cosine
  double noise = 0;             // deviation of what is added to the inputs
  double warp = 1;              // of images, amount: 1 are shifts by up to 7 % of
                                // the sides, turns by 10 degrees, slants by 0.15,
                                // sizes 10 % off; 0: none
  std::uint64_t seed = 0;

  // With epochs for so many rows. Reports all problems at once as one ConfigError.
  AutoencoderSettings resolved(Index rows) const;
};

// A trained encoder, in host memory.
struct Encoder {
  Shape item;
  std::vector<Index> hidden;
  Index codes = 0;
  std::vector<std::vector<float>> tensors;  // weight [in][out] and bias [out] of every layer
};

// Whether rows of this shape are warped by such an amount, and y = x warped by it. Shapes x, y
// [1][B][H][W][C]. Row b draws as group b of the key, so that its numbers do not depend on who
// passes it.
bool warps(const Shape& item, double amount);
void warp_rows(Context& ctx, GroupView<float> y, GroupView<const float> x, double amount,
               const RandomKey& key);

nn::NetworkSpec encoder_spec(Shape item, const std::vector<Index>& hidden, Index codes);
nn::NetworkSpec decoder_spec(Shape item, const std::vector<Index>& hidden, Index codes);

// Steps of one pass over the rows: whole batches of at most all rows, in an order that is new in
// every pass. The rows that are left over sit out the pass.
Index steps_per_epoch(Index rows, Index batch);

struct AutoencoderResult {
  Encoder encoder;
  std::vector<std::vector<float>> decoder;  // as the encoder's tensors
  std::vector<double> error;  // [epochs] mean squared distance of a pass's last batch from its
                              // reconstructions
  Index steps = 0;
  bool cancelled = false;
};

// `settings` must be resolved. data: [1][n >= 1][item] in the memory of lanes.device(). Callbacks:
// progress and cancelled, after every step. Results do not depend on the number of lanes.
AutoencoderResult train_autoencoder(GroupView<const float> data,
                                    const AutoencoderSettings& settings, Lanes& lanes,
                                    const IterationCallbacks& callbacks = {});

// The codes [n][codes] of rows in the memory of lanes.device(), on the host.
std::vector<float> encode(const Encoder& encoder, GroupView<const float> data, Lanes& lanes);

// Rows [n][item] from codes [1][n][codes] there, on the host.
std::vector<float> decode(const Encoder& encoder, const std::vector<std::vector<float>>& decoder,
                          GroupView<const float> codes, Lanes& lanes);

}  // namespace ganmm
