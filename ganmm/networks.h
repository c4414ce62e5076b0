// The published networks as data: generator, critic and classifier for tables, for 10-dimensional
// embeddings and for images.
// Source: Yu & Zhou 2018 and its code (sizes, activations); images of other sizes than 28 x 28
// follow the same halving, ceil(H / 2) three times.
#pragma once

#include "ganmm/settings.h"
#include "nn/network_spec.h"

namespace ganmm {

struct Networks {
  nn::NetworkSpec generator;   // noise -> item
  nn::NetworkSpec critic;      // item -> score
  nn::NetworkSpec classifier;  // item -> logits of the N components
};

// `settings` must be resolved.
Networks make_networks(const Settings& settings, Shape item);

}  // namespace ganmm
