// Losses with their gradients.
#pragma once

#include "kernels/core/context.h"
#include "kernels/core/view.h"

namespace ganmm::kernels {

// The signal that starts a critic's backward pass, d_score [N][B][1]:
// rows [0, real) get -1/real, rows [real, real + fake) get +1/fake, further rows (interpolates)
// get 1, the seed of the input gradient. The critic minimises mean f(fake) - mean f(real).
template <class T>
void wasserstein_signal(Context& ctx, GroupView<T> d_score, Index real, Index fake);

// The same for a GAN with a sigmoid on the score, d_score [N][B][1], real + fake = B: rows
// [0, real) get the gradient of mean -log sigmoid(f), rows [real, B) that of
// mean -log(1 - sigmoid(f)), each mean over its own rows. The critic minimises the sum of both;
// with fake = 0 it is the signal of a generator that minimises mean -log sigmoid(f(G(z))). d_score
// may alias score. Source: Goodfellow et al. 2014 (arXiv 1406.2661), eq. 1 and section 3.
template <class T>
void logistic_signal(Context& ctx, GroupView<T> d_score, GroupView<const T> score, Index real,
                     Index fake);

struct CrossEntropySettings {
  // The published code applies softmax to the network's softmax output once more inside the loss;
  // true reproduces that.
  bool double_softmax = false;
  // The target puts 1 - smoothing on the true class and smoothing / K on every class.
  double label_smoothing = 0.0;
};

// Mean cross-entropy of softmax(logits) against class numbers, and its gradient.
// Shapes loss [N][1], d_logits and logits [N][B][K], label int32 [B] shared by all groups.
// d_logits may alias logits. Softmax is computed with the row maximum subtracted.
template <class T>
void cross_entropy(Context& ctx, ParamView<T> loss, GroupView<T> d_logits,
                   GroupView<const T> logits, const std::int32_t* label,
                   const CrossEntropySettings& settings);

}  // namespace ganmm::kernels
