// The E-step: train the classifiers on samples of the generators, or take what makes logits of the
// critics' scores, and classify data rows.
#pragma once

#include "ganmm/row_logits.h"
#include "kernels/clock.h"
#include "kernels/core/lanes.h"
#include "kernels/loss.h"
#include "kernels/select.h"

namespace ganmm {

// Device memory that the E-steps of all lanes share.
struct EStepBuffers {
  template <class T>
  EStepBuffers(Arena& arena, const Mixture<T>& mixture, const Settings& settings, Index data_rows);

  Buffer<kernels::Clock> clock;  // [1]
  // Of classifiers, empty where critics assign the rows:
  Buffer<float> fakes;              // [R*N][batch][item], classifier training rows
  Buffer<std::int32_t> fake_label;  // [N*batch]
  Buffer<float> loss;               // [R] cross-entropy of the last classifier step

  Buffer<std::int32_t> label;     // [R][pool] component of every pool row
  Buffer<float> posterior;        // [R][pool][N]
  Buffer<std::int32_t> member;    // [R][pool] rows sorted by component
  Buffer<std::int32_t> begin;     // [R][N+1]
  Buffer<std::int32_t> row;       // [R*N][critic_steps * batch] drawn data rows
  Buffer<std::int32_t> assigned;  // [R][data rows] components at the last check
  Buffer<std::int32_t> changed;   // [R], and
  Buffer<std::int32_t> size;      // [R][N]: what the check counted
  Buffer<double> confidence;      // [R]
};

// One lane's part.
template <class T>
class EStep {
 public:
  // groups: components per call of make_fakes and calibrate; mixtures: mixtures per call of the
  // others.
  EStep(Arena& arena, Context& ctx, const Mixture<T>& mixture, const Settings& settings,
        Index groups, Index mixtures, Index data_rows);

  // Samples of components [first, first + groups) for step `step` of the classifiers.
  // clock->step counts iterations, each of classifier_steps steps; `step` may reach into the next.
  void make_fakes(Context& ctx, const Mixture<T>& mixture, const EStepBuffers& shared, Index first,
                  const kernels::Clock* clock, Index step);

  // One cross-entropy step of mixtures [first, first + mixtures) on a mixed batch of all samples;
  // with single_class_batches N steps, each on the samples of one component.
  void train_classifier(Context& ctx, const Mixture<T>& mixture, const EStepBuffers& shared,
                        Index first);

  // The statistics that make logits of the critics' scores (mixture.score_centre, score_scale) of
  // components [first, first + groups): from `batch` samples of each, which depend on clock->step,
  // or from their shares of the last partition, equal before the first. Called again before these
  // change, the result is the same: a component that was restarted counts as empty until the next
  // partition. Not for raw scores, which have none.
  void calibrate(Context& ctx, const Mixture<T>& mixture, const EStepBuffers& shared, Index first,
                 const kernels::Clock* clock);

  // Pool rows [first, first + count), count <= chunk(), wherever the clock says that the pool is.
  GroupView<const float> pool_rows(Context& ctx, GroupView<const float> data,
                                   const kernels::Clock* clock, Index first, Index count);

  // Labels (and posteriors unless posterior.data is null) of at most chunk() rows [1][B][item]
  // (ganmm/row_logits.h). Logits are divided by `temperature`.
  // Shapes label [mixtures][...] with stride label_stride, posterior [mixtures][B][N].
  void classify(Context& ctx, const Mixture<T>& mixture, Index first_mixture,
                GroupView<const float> rows, std::int32_t* label, Index label_stride,
                GroupView<float> posterior, double temperature);

  Index chunk() const { return logits_.chunk(); }

 private:
  void generate(Context& ctx, const Mixture<T>& mixture, Index first, const RandomKey& key);

  const Settings& settings_;
  Index groups_, mixtures_;
  std::vector<kernels::TensorSlot> trained_;  // the classifier tensors that learn
  // Empty where nothing is asked of them.
  nn::Tape<T> generator_;
  nn::Tape<T> critic_;
  nn::Tape<float> train_;
  RowLogits<T> logits_;
  Buffer<float> window_;  // rows of a pool that moves through the data; none where it does not
};

}  // namespace ganmm
