// The E-step: train the classifiers on samples of the generators, classify data rows, draw the rows
// that every component trains on.
#pragma once

#include "ganmm/mixture.h"
#include "kernels/clock.h"
#include "kernels/core/lanes.h"
#include "kernels/loss.h"
#include "kernels/select.h"

namespace ganmm {

// Device memory that the E-steps of all lanes share.
struct EStepBuffers {
  EStepBuffers(Arena& arena, const Mixture& mixture, const Settings& settings, Index data_rows);

  Buffer<kernels::Clock> clock;     // [1]
  Buffer<float> fakes;              // [R*N][batch][item], classifier training rows
  Buffer<std::int32_t> fake_label;  // [N*batch]
  Buffer<float> loss;               // [R] cross-entropy of the last classifier step
  Buffer<std::int32_t> label;       // [R][pool] component of every pool row
  Buffer<float> posterior;          // [R][pool][N]
  Buffer<std::int32_t> member;      // [R][max(pool, data rows)] rows sorted by component
  Buffer<std::int32_t> begin;       // [R][N+1]
  Buffer<std::int32_t> row;         // [R*N][critic_steps * batch] drawn data rows
};

// One lane's part.
class EStep {
 public:
  // groups: components per call of make_fakes; mixtures: mixtures per call of the others.
  EStep(Arena& arena, Context& ctx, const Mixture& mixture, const Settings& settings, Index groups,
        Index mixtures);

  // Samples of components [first, first + groups) for the classifiers.
  void make_fakes(Context& ctx, const Mixture& mixture, const EStepBuffers& shared, Index first,
                  std::uint32_t step);

  // One cross-entropy step of mixtures [first, first + mixtures) on a mixed batch of all samples;
  // with single_class_batches N steps, each on the samples of one component.
  void train_classifier(Context& ctx, const Mixture& mixture, const EStepBuffers& shared,
                        Index first);

  // Labels (and posteriors unless posterior.data is null) of data rows
  // [first_row, first_row + rows), rows <= chunk(). Logits are divided by `temperature`.
  // Shapes label [mixtures][...] with stride label_stride, posterior [mixtures][rows][N].
  void classify(Context& ctx, const Mixture& mixture, Index first_mixture,
                GroupView<const float> data, Index first_row, Index rows, std::int32_t* label,
                Index label_stride, GroupView<float> posterior, double temperature);

  Index chunk() const { return classify_.batch(); }

 private:
  const Settings& settings_;
  Index groups_, mixtures_;
  std::vector<kernels::TensorSlot> trained_;  // the classifier tensors that learn
  nn::Tape<float> generator_;
  nn::Tape<float> train_;
  nn::Tape<float> classify_;
};

// Rows per classification task: as many as keep a forward tape near 16 MiB, so that lanes share the
// work and memory does not follow the data; fixed by the network alone.
Index classify_chunk(const nn::Sequential<float>& classifier);

}  // namespace ganmm
