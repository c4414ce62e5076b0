// What decides where a row belongs: a logit for each of a mixture's N components. They come from
// the mixture's classifier or, where critics assign the rows (Method::ganmm_em), from the scores of
// its N critics. Either way the posterior of a row is the softmax of its logits, and its label the
// component of the largest.
#pragma once

#include "ganmm/mixture.h"

namespace ganmm {

// One lane's part.
template <class T>
class RowLogits {
 public:
  // For `mixtures` mixtures per call. Plans its tapes in `arena` and announces its scratch to
  // `ctx`.
  RowLogits(Arena& arena, Context& ctx, const Mixture<T>& mixture, Index mixtures);

  // Logits [mixtures][B][N] of mixtures [first, first + mixtures), for at most chunk() rows
  // [1][B][item]; valid until the next call. A row's logits do not depend on the other rows.
  GroupView<const float> of(Context& ctx, const Mixture<T>& mixture, Index first,
                            GroupView<const float> rows);

  // Rows per call: as many as keep a forward tape of one mixture near 16 MiB, so that lanes share
  // the work and memory does not follow the data; fixed by the networks alone.
  Index chunk() const { return chunk_; }

 private:
  // Critics keep their activations as T: rows in that type.
  GroupView<const T> as_activations(Context& ctx, GroupView<const float> rows);

  Index mixtures_, chunk_;
  nn::Tape<float> classifier_;  // the one that is not in use is empty
  nn::Tape<T> critic_;
  Buffer<T> rounded_;     // [chunk][item], where T is not float
  Buffer<float> logits_;  // [mixtures][chunk][N], of critics
};

}  // namespace ganmm
