// The posterior of the clusters that several mixtures agree on (ganmm/consensus.h), from the
// posteriors of their components.
#pragma once

#include "kernels/core/shape.h"

#include <cstdint>
#include <span>
#include <vector>

namespace ganmm {

// joint[r][i][c]: the share of all points that lie in component i of mixture r and in cluster c; of
// every mixture they sum to 1. components: [mixtures][points], labels of the points' components;
// points: of their clusters, [points], both in [0, clusters). Throws ShapeError.
std::vector<float> joint_shares(std::span<const std::int32_t> components,
                                std::span<const std::int32_t> points, Index mixtures,
                                Index clusters);

// Of a row whose component posteriors are p_r, cluster c has the distance
//
//   d_c = 1/R sum over r of |p_r - m_rc|^2,   m_rc[i] = joint[r][i][c] / sum over i of
//   joint[r][i][c]
//
// and the posterior exp(-d_c / w), normalised, where w is the mean of d over all points and their
// own clusters: soft k-means (D. MacKay, Information Theory, Inference, and Learning Algorithms,
// 2003, chapter 20) with the means of the consensus, as stiff as the mixtures agree. The largest
// posterior is the nearest mean, so that the points keep the cluster that the consensus gave them
// as far as their posteriors are those of their labels, and small clusters keep theirs; the mean of
// the components' shares in a cluster would give a small one away wherever its points lie beside
// more numerous ones. A cluster without points has posterior 0. One mixture is its own posterior.
class ConsensusPosterior {
 public:
  ConsensusPosterior(std::span<const float> joint, Index mixtures, Index clusters);

  // Rows of [clusters]: begin, add every mixture once, finish.
  void begin(std::span<float> posterior) const;
  void add(Index mixture, std::span<const float> components, std::span<float> posterior) const;
  void finish(std::span<float> posterior) const;

 private:
  Index mixtures_, clusters_;
  std::vector<float> logit_;  // [clusters] of a row without components
  std::vector<float> gain_;   // [mixtures][components][clusters] of the logit in p_r[i]
};

}  // namespace ganmm
