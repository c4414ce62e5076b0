#include "ganmm/consensus_posterior.h"

#include "kernels/core/error.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace ganmm {

std::vector<float> joint_shares(std::span<const std::int32_t> components,
                                std::span<const std::int32_t> points, Index mixtures,
                                Index clusters) {
  require<ShapeError>(!points.empty() && std::ssize(components) == mixtures * std::ssize(points),
                      "shares: expected ", points.size(), " labels of each of ", mixtures,
                      " mixtures, found ", components.size(), " in all");
  std::vector<double> count(static_cast<std::size_t>(mixtures * clusters * clusters), 0.0);
  for (std::size_t i = 0; i < components.size(); ++i) {
    const Index mixture = static_cast<Index>(i / points.size());
    const Index component = mixture * clusters + components[i];
    count[static_cast<std::size_t>(component * clusters + points[i % points.size()])] += 1;
  }
  std::vector<float> joint;
  for (const double c : count) {
    joint.push_back(static_cast<float>(c / static_cast<double>(points.size())));
  }
  return joint;
}

ConsensusPosterior::ConsensusPosterior(std::span<const float> joint, Index mixtures, Index clusters)
    : mixtures_(mixtures), clusters_(clusters), logit_(static_cast<std::size_t>(clusters), 0.0f),
      gain_(joint.begin(), joint.end()) {
  if (mixtures == 1) return;
  const auto k = static_cast<std::size_t>(clusters);
  const auto r = static_cast<double>(mixtures);
  std::vector<double> size(k, 0.0), norm(k, 0.0);
  for (std::size_t i = 0; i < joint.size(); ++i) size[i % k] += static_cast<double>(joint[i]) / r;
  std::vector<double> mean(joint.begin(), joint.end());
  for (std::size_t i = 0; i < mean.size(); ++i) {
    if (size[i % k] > 0) mean[i] /= size[i % k];
    norm[i % k] += mean[i] * mean[i] / r;
  }
  // |e_i - m|^2 = 1 - 2 m[i] + |m|^2, of which the mean over the cluster's points is 1 - |m|^2.
  double within = 0;
  for (std::size_t c = 0; c < k; ++c) within += size[c] * (1 - norm[c]);
  within = std::max(within, 1e-6);  // where all mixtures are the same, up to rounding
  for (std::size_t c = 0; c < k; ++c) {
    logit_[c] = size[c] > 0 ? static_cast<float>(-norm[c] / within)
                            : -std::numeric_limits<float>::infinity();
  }
  std::ranges::transform(mean, gain_.begin(),
                         [&](double m) { return static_cast<float>(2 * m / (r * within)); });
}

void ConsensusPosterior::begin(std::span<float> posterior) const {
  for (std::size_t i = 0; i < posterior.size(); ++i) posterior[i] = logit_[i % logit_.size()];
}

void ConsensusPosterior::add(Index mixture, std::span<const float> components,
                             std::span<float> posterior) const {
  const auto k = static_cast<std::size_t>(clusters_);
  if (mixtures_ == 1) {
    std::ranges::copy(components, posterior.begin());
    return;
  }
  for (std::size_t i = 0; i < components.size(); ++i) {
    const float* gain = gain_.data() + mixture * clusters_ * clusters_ + (i % k) * k;
    float* row = posterior.data() + i / k * k;
    for (std::size_t c = 0; c < k; ++c) row[c] += components[i] * gain[c];
  }
}

void ConsensusPosterior::finish(std::span<float> posterior) const {
  if (mixtures_ == 1) return;
  const auto k = static_cast<std::size_t>(clusters_);
  for (std::size_t first = 0; first < posterior.size(); first += k) {
    const std::span<float> row = posterior.subspan(first, k);
    const float largest = std::ranges::max(row);
    float sum = 0;
    for (float& value : row) sum += value = std::exp(value - largest);
    for (float& value : row) value /= sum;
  }
}

}  // namespace ganmm
