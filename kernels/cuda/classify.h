// Softmax and argmax of one row, and labels that are prescribed.
#pragma once

#include "kernels/cuda/sums.h"
#include "kernels/select.h"

namespace ganmm::kernels::cuda {

// The label of a row of logits z, by L neighbouring threads, `lane` this one's number among them;
// p = softmax(scale z) unless p is null; p may be z. All threads of the warp must get here, those
// without a row with valid = false and any z.
template <int L>
GANMM_DEVICE std::int32_t classify_row(const float* z, float* p, int components, float scale,
                                       int lane, bool valid) {
  const int first = valid ? lane : components;
  // A thread without a column never wins. Thread 0 of a row holds column 0 and moves on only to a
  // larger logit: its result is a component even where logits are not numbers.
  int best = components;
  float top = -INFINITY;
  for (int c = first; c < components; c += L) {
    if (c == first || top < z[c]) {
      top = z[c];
      best = c;
    }
  }
  for (int mask = L / 2; mask > 0; mask /= 2) {
    const float other_top = device::shuffle_xor(top, mask);
    const int other = device::shuffle_xor(best, mask);
    if (top < other_top || (top == other_top && other < best)) {
      top = other_top;
      best = other;
    }
  }
  if (p == nullptr) return best;

  float sum = 0;
  for (int c = first; c < components; c += L) sum += expf((z[c] - top) * scale);
  sum = lanes_sum(sum, L);
  for (int c = first; c < components; c += L) p[c] = expf((z[c] - top) * scale) / sum;
  return best;
}

// Entry e of the pins, where its row is in the pool; label: of mixture 0.
GANMM_DEVICE void pin_label(std::int32_t* label, const PinView& pins, Index e, Index components,
                            Index pool_rows, Index first_row) {
  const Index p = pins.row[e] - first_row;
  if (p < 0 || p >= pool_rows) return;
  const Index mixture = pins.group[e] / components;
  label[mixture * pool_rows + p] = static_cast<std::int32_t>(pins.group[e] - mixture * components);
}

}  // namespace ganmm::kernels::cuda
