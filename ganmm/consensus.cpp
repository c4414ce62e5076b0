#include "ganmm/consensus.h"

#include "kernels/core/error.h"
#include "kernels/core/rng.h"

#include <algorithm>
#include <limits>

namespace ganmm {
namespace {

constexpr int kMaxSteps = 100;  // Lloyd's iteration ends long before

struct Partitions {
  std::span<const std::int32_t> labels;  // [restarts][points]
  Index restarts, points, clusters;

  const std::int32_t* operator[](Index restart) const { return labels.data() + restart * points; }
};

Partitions check(std::span<const std::int32_t> labels, Index restarts, Index clusters) {
  require<ConfigError>(
      restarts >= 1 && clusters >= 1 &&
          checked_multiply(restarts, checked_multiply(clusters, clusters)) <= kMaxConsensusCells,
      "consensus: expected at least 1 restart and 1 cluster and a table of at most ",
      kMaxConsensusCells, " cells, found ", restarts, " restarts and ", clusters,
      " clusters; correct the counts");
  require<ShapeError>(!labels.empty() && std::ssize(labels) % restarts == 0, "consensus: expected ",
                      restarts, " rows of equal length, found ", labels.size(),
                      " labels; pass the partitions one after the other");
  const Index points = std::ssize(labels) / restarts;
  for (Index i = 0; i < std::ssize(labels); ++i) {
    const std::int32_t label = labels[static_cast<std::size_t>(i)];
    require<InputError>(label >= 0 && label < clusters,
                        "consensus: expected labels of at least 0 and below ", clusters, ", found ",
                        label, " in restart ", i / points, " at point ", i % points,
                        "; pass the number of clusters of the restarts");
  }
  return {labels, restarts, points, clusters};
}

// The clusters' means of the indicator vectors: the share of every label of every partition.
class Means {
 public:
  explicit Means(const Partitions& partitions)
      : partitions_(partitions), size_(static_cast<std::size_t>(partitions.clusters)),
        share_(static_cast<std::size_t>(partitions.clusters * partitions.clusters *
                                        partitions.restarts)),
        norm_(size_.size()) {}

  void take(std::span<const std::int32_t> cluster) {
    std::ranges::fill(size_, 0.0);
    std::ranges::fill(share_, 0.0);
    for (const std::int32_t c : cluster) size_[static_cast<std::size_t>(c)] += 1;
    for (Index r = 0; r < partitions_.restarts; ++r) {
      const std::int32_t* label = partitions_[r];
      for (Index p = 0; p < partitions_.points; ++p) {
        share_[cell(r, label[p], cluster[static_cast<std::size_t>(p)])] += 1;
      }
    }
    std::ranges::fill(norm_, 0.0);
    for (std::size_t i = 0; i < share_.size(); ++i) {
      const std::size_t c = i % size_.size();
      if (size_[c] > 0) share_[i] /= size_[c];
      norm_[c] += share_[i] * share_[i];
    }
    for (std::size_t c = 0; c < size_.size(); ++c) {  // nobody joins an empty cluster
      if (size_[c] == 0) norm_[c] = std::numeric_limits<double>::infinity();
    }
  }

  // Every point to the nearest mean; returns the sum of the squared distances. |x - m|^2 =
  // R - 2 m.x + |m|^2, where m.x is the sum of the shares of the point's own labels.
  double assign(std::span<std::int32_t> cluster) const {
    std::vector<double> distance(size_.size());
    double total = 0;
    for (Index p = 0; p < partitions_.points; ++p) {
      distance = norm_;
      for (Index r = 0; r < partitions_.restarts; ++r) {
        const double* share = share_.data() + cell(r, partitions_[r][p], 0);
        for (std::size_t c = 0; c < distance.size(); ++c) distance[c] -= 2 * share[c];
      }
      const auto nearest = std::ranges::min_element(distance);
      cluster[static_cast<std::size_t>(p)] = static_cast<std::int32_t>(nearest - distance.begin());
      total += static_cast<double>(partitions_.restarts) + *nearest;
    }
    return total;
  }

 private:
  std::size_t cell(Index restart, Index label, Index cluster) const {
    const Index k = partitions_.clusters;
    return static_cast<std::size_t>((restart * k + label) * k + cluster);
  }

  const Partitions& partitions_;
  std::vector<double> size_;   // [clusters]
  std::vector<double> share_;  // [restarts][labels][clusters]
  std::vector<double> norm_;   // [clusters] |m|^2
};

// Every point to the nearest of k points, drawn one after the other with probability proportional
// to the squared distance from those before: twice the number of labels that differ.
std::vector<std::int32_t> drawn_start(const Partitions& partitions, Index start) {
  const auto points = static_cast<std::size_t>(partitions.points);
  std::vector<std::int32_t> cluster(points, 0);
  std::vector<Index> least(points, partitions.restarts);  // differing labels, so far
  Index total = partitions.points * partitions.restarts;
  for (Index c = 0; c < partitions.clusters && total > 0; ++c) {
    const Philox word = philox(0, static_cast<std::uint32_t>(c), static_cast<std::uint32_t>(start),
                               0, static_cast<std::uint32_t>(Purpose::kmeans));
    auto left = static_cast<Index>(static_cast<double>(uniform01(word.word[0])) *
                                   static_cast<double>(total));
    Index centre = 0;
    while (left >= least[static_cast<std::size_t>(centre)]) {
      left -= least[static_cast<std::size_t>(centre++)];
    }
    std::vector<Index> differing(points, 0);
    for (Index r = 0; r < partitions.restarts; ++r) {
      const std::int32_t* label = partitions[r];
      for (std::size_t p = 0; p < points; ++p) differing[p] += label[p] != label[centre];
    }
    total = 0;
    for (std::size_t p = 0; p < points; ++p) {
      if (c == 0 || differing[p] < least[p]) {
        least[p] = differing[p];
        cluster[p] = static_cast<std::int32_t>(c);
      }
      total += least[p];
    }
  }
  return cluster;
}

// By descending size, then by first point.
void renumber(std::vector<std::int32_t>& cluster, Index clusters) {
  std::vector<Index> size(static_cast<std::size_t>(clusters), 0);
  std::vector<std::int32_t> order;
  for (const std::int32_t c : cluster) {
    if (size[static_cast<std::size_t>(c)]++ == 0) order.push_back(c);
  }
  std::ranges::stable_sort(order, [&](std::int32_t a, std::int32_t b) {
    return size[static_cast<std::size_t>(a)] > size[static_cast<std::size_t>(b)];
  });
  std::vector<std::int32_t> number(size.size(), 0);
  for (std::size_t i = 0; i < order.size(); ++i) {
    number[static_cast<std::size_t>(order[i])] = static_cast<std::int32_t>(i);
  }
  for (std::int32_t& c : cluster) c = number[static_cast<std::size_t>(c)];
}

}  // namespace

std::vector<std::int32_t> consensus(std::span<const std::int32_t> labels, Index restarts,
                                    Index clusters) {
  const Partitions partitions = check(labels, restarts, clusters);
  Means means(partitions);
  std::vector<std::int32_t> best;
  double least = std::numeric_limits<double>::infinity();
  for (Index start = 0; start < 2 * restarts; ++start) {
    std::vector<std::int32_t> cluster =
        start < restarts
            ? std::vector<std::int32_t>(partitions[start], partitions[start] + partitions.points)
            : drawn_start(partitions, start - restarts);
    double total = 0;
    for (int step = 0; step < kMaxSteps; ++step) {
      const std::vector<std::int32_t> before = cluster;
      means.take(cluster);
      total = means.assign(cluster);
      if (cluster == before) break;
    }
    // Equal results must not depend on rounding.
    if (total < least - 1e-9 * static_cast<double>(partitions.points)) {
      least = total;
      best = std::move(cluster);
    }
  }
  renumber(best, clusters);
  return best;
}

}  // namespace ganmm
