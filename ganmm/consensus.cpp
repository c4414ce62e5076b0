#include "ganmm/consensus.h"

#include "ganmm/hungarian.h"
#include "ganmm/metrics.h"
#include "kernels/count.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <utility>

namespace ganmm {

namespace {

struct Partitions {
  std::span<const std::int32_t> labels;  // [restarts][points]
  std::size_t restarts;
  std::size_t points;
  std::size_t clusters;

  const std::int32_t* operator[](std::size_t restart) const {
    return labels.data() + restart * points;
  }
  std::size_t label(std::size_t restart, std::size_t point) const {
    return static_cast<std::size_t>(labels[restart * points + point]);
  }
};

void check_counts(Index restarts, Index clusters) {
  require<ConfigError>(restarts >= 1 && clusters >= 1 && clusters <= kMaxConsensusCells,
                       "consensus: expected at least 1 restart and 1 to ", kMaxConsensusCells,
                       " clusters, found ", restarts, " and ", clusters, "; correct the counts");
}

Partitions check_partitions(std::span<const std::int32_t> labels, Index restarts, Index clusters) {
  check_counts(restarts, clusters);
  require<ShapeError>(!labels.empty() && std::ssize(labels) % restarts == 0, "consensus: expected ",
                      restarts, " rows of equal length, found ", labels.size(),
                      " labels; pass the partitions one after the other");
  const Partitions partitions{labels, static_cast<std::size_t>(restarts),
                              labels.size() / static_cast<std::size_t>(restarts),
                              static_cast<std::size_t>(clusters)};
  for (std::size_t i = 0; i < labels.size(); ++i) {
    require<InputError>(labels[i] >= 0 && labels[i] < clusters,
                        "consensus: expected labels of at least 0 and below ", clusters, ", found ",
                        labels[i], " in restart ", i / partitions.points, " at point ",
                        i % partitions.points, "; pass the number of clusters of the restarts");
  }
  return partitions;
}

void check_cells(Index a, Index b, Index c) {
  const Index cells = checked_multiply(a, checked_multiply(b, c));
  require<ConfigError>(cells <= kMaxConsensusCells, "consensus: expected a table of at most ",
                       kMaxConsensusCells, " cells, found ", a, " x ", b, " x ", c,
                       "; use fewer restarts or clusters");
}

// Numbers the clusters of a partition by descending size, then by first point.
std::vector<std::int32_t> renumber(const std::vector<std::size_t>& cluster_of,
                                   std::size_t clusters) {
  std::vector<std::size_t> size(clusters, 0);
  std::vector<std::size_t> by_first_point;
  for (const std::size_t cluster : cluster_of) {
    if (size[cluster]++ == 0) by_first_point.push_back(cluster);
  }
  std::stable_sort(by_first_point.begin(), by_first_point.end(),
                   [&](std::size_t a, std::size_t b) { return size[a] > size[b]; });
  std::vector<std::int32_t> number(clusters, 0);
  for (std::size_t k = 0; k < by_first_point.size(); ++k) {
    number[by_first_point[k]] = static_cast<std::int32_t>(k);
  }
  std::vector<std::int32_t> result(cluster_of.size());
  std::transform(cluster_of.begin(), cluster_of.end(), result.begin(),
                 [&](std::size_t cluster) { return number[cluster]; });
  return result;
}

// The distinct tuples of labels in lexicographic order; tuple t is shared by the points
// order[start[t]] .. order[start[t + 1] - 1], ascending.
struct Tuples {
  std::vector<std::size_t> order;
  std::vector<std::size_t> start;

  std::size_t size() const { return start.size() - 1; }
  std::size_t count(std::size_t tuple) const { return start[tuple + 1] - start[tuple]; }
  std::size_t point(std::size_t tuple) const { return order[start[tuple]]; }
};

Tuples collect_tuples(const Partitions& partitions) {
  // A radix sort with one digit per restart, last restart first: O(R * n) and stable.
  std::vector<std::size_t> order(partitions.points);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::vector<std::size_t> sorted(partitions.points);
  for (std::size_t restart = partitions.restarts; restart-- > 0;) {
    const std::int32_t* labels = partitions[restart];
    std::vector<std::size_t> next(partitions.clusters + 1, 0);
    for (std::size_t i = 0; i < partitions.points; ++i) {
      ++next[static_cast<std::size_t>(labels[i]) + 1];
    }
    std::partial_sum(next.begin(), next.end(), next.begin());
    for (const std::size_t point : order) {
      sorted[next[static_cast<std::size_t>(labels[point])]++] = point;
    }
    order.swap(sorted);
  }

  std::vector<char> begins(partitions.points, 0);
  begins[0] = 1;
  for (std::size_t restart = 0; restart < partitions.restarts; ++restart) {
    const std::int32_t* labels = partitions[restart];
    for (std::size_t i = 1; i < order.size(); ++i) {
      if (labels[order[i]] != labels[order[i - 1]]) begins[i] = 1;
    }
  }
  Tuples tuples{std::move(order), {}};
  for (std::size_t i = 0; i < begins.size(); ++i) {
    if (begins[i]) tuples.start.push_back(i);
  }
  tuples.start.push_back(begins.size());
  return tuples;
}

// Average linkage of weighted items, merged pair by pair. Linked sums of pair similarities add up
// when clusters merge, and they are integers: the averages carry one rounding each, so that equal
// similarities compare as equal (exact while n^2 * R / 4 stays below 2^53).
class AverageLinkage {
 public:
  // sums [items][items]: similarity of two items times both of their masses.
  AverageLinkage(std::vector<double> sums, std::vector<double> masses)
      : sums_(std::move(sums)), masses_(std::move(masses)), active_(masses_.size()),
        parent_(masses_.size()), nearest_(masses_.size()) {
    std::iota(active_.begin(), active_.end(), std::size_t{0});
    std::iota(parent_.begin(), parent_.end(), std::size_t{0});
    for (const std::size_t item : active_) find_nearest(item);
  }

  void merge_down_to(std::size_t clusters) {
    while (active_.size() > clusters) {
      const std::size_t kept =
          *std::max_element(active_.begin(), active_.end(), [&](std::size_t a, std::size_t b) {
            return nearest_[a].similarity < nearest_[b].similarity;
          });
      merge(kept, nearest_[kept].item);
    }
  }

  // The cluster of every item, numbered by its first item.
  std::vector<std::size_t> clusters() const {
    std::vector<std::size_t> cluster_of(parent_.size());
    std::size_t count = 0;
    for (std::size_t item = 0; item < parent_.size(); ++item) {
      cluster_of[item] = parent_[item] == item ? count++ : cluster_of[parent_[item]];
    }
    return cluster_of;
  }

 private:
  // Among the later active items only, so that every pair is held once.
  struct Nearest {
    std::size_t item = 0;
    double similarity = -1;
  };

  void find_nearest(std::size_t item) {
    const double* sums = sums_.data() + item * masses_.size();
    Nearest nearest;
    for (auto other = std::upper_bound(active_.begin(), active_.end(), item);
         other != active_.end(); ++other) {
      const double similarity = sums[*other] / (masses_[item] * masses_[*other]);
      if (similarity > nearest.similarity) nearest = {*other, similarity};
    }
    nearest_[item] = nearest;
  }

  void merge(std::size_t kept, std::size_t gone) {
    const std::size_t items = masses_.size();
    active_.erase(std::lower_bound(active_.begin(), active_.end(), gone));
    parent_[gone] = kept;
    masses_[kept] += masses_[gone];
    for (const std::size_t other : active_) {
      sums_[kept * items + other] += sums_[gone * items + other];
      sums_[other * items + kept] = sums_[kept * items + other];
    }
    // A merged cluster is never more similar to a third than its nearer half was, so no other
    // item finds a new nearest one.
    for (const std::size_t item : active_) {
      if (item == kept || nearest_[item].item == kept || nearest_[item].item == gone) {
        find_nearest(item);
      }
    }
  }

  std::vector<double> sums_;
  std::vector<double> masses_;
  std::vector<std::size_t> active_;  // ascending
  std::vector<std::size_t> parent_;
  std::vector<Nearest> nearest_;
};

// The tuples that take part in the linkage, most frequent first.
std::vector<std::size_t> most_frequent(const Tuples& tuples) {
  std::vector<std::size_t> kept(tuples.size());
  std::iota(kept.begin(), kept.end(), std::size_t{0});
  const auto limit = std::min(std::ssize(kept), kMaxLinkageTuples);
  std::partial_sort(kept.begin(), kept.begin() + limit, kept.end(),
                    [&](std::size_t a, std::size_t b) {
                      const std::size_t count_a = tuples.count(a);
                      const std::size_t count_b = tuples.count(b);
                      return count_a != count_b ? count_a > count_b : a < b;
                    });
  kept.resize(static_cast<std::size_t>(limit));
  return kept;
}

std::vector<std::size_t> link_tuples(const Partitions& partitions, const Tuples& tuples,
                                     const std::vector<std::size_t>& kept, std::size_t clusters) {
  const std::size_t items = kept.size();
  const std::size_t restarts = partitions.restarts;
  std::vector<double> masses(items);
  std::vector<std::int32_t> labels(items * restarts);
  for (std::size_t i = 0; i < items; ++i) {
    masses[i] = static_cast<double>(tuples.count(kept[i]));
    for (std::size_t r = 0; r < restarts; ++r) {
      labels[i * restarts + r] = partitions[r][tuples.point(kept[i])];
    }
  }
  std::vector<double> sums(items * items, 0.0);
  for (std::size_t i = 0; i < items; ++i) {
    for (std::size_t j = i + 1; j < items; ++j) {
      int agreements = 0;
      for (std::size_t r = 0; r < restarts; ++r) {
        agreements += labels[i * restarts + r] == labels[j * restarts + r];
      }
      sums[i * items + j] = sums[j * items + i] = agreements * masses[i] * masses[j];
    }
  }
  AverageLinkage linkage(std::move(sums), std::move(masses));
  linkage.merge_down_to(clusters);
  return linkage.clusters();
}

// The mean similarity of a point to a cluster is a sum over restarts of the share of the cluster
// that has the point's label there: a table of shares answers it without visiting the cluster.
class ClusterProfiles {
 public:
  ClusterProfiles(const Partitions& partitions, std::size_t count)
      : partitions_(partitions), masses_(count, 0.0),
        counts_(count * partitions.restarts * partitions.clusters, 0.0) {}

  void add(std::size_t cluster, std::size_t point, double mass) {
    masses_[cluster] += mass;
    for (std::size_t r = 0; r < partitions_.restarts; ++r) {
      counts_[cell(cluster, r, point)] += mass;
    }
  }

  std::size_t most_similar(std::size_t point) const {
    std::size_t best = 0;
    double best_similarity = -1;
    for (std::size_t cluster = 0; cluster < masses_.size(); ++cluster) {
      double agreements = 0;
      for (std::size_t r = 0; r < partitions_.restarts; ++r) {
        agreements += counts_[cell(cluster, r, point)];
      }
      const double similarity = agreements / masses_[cluster];
      if (similarity > best_similarity) {
        best = cluster;
        best_similarity = similarity;
      }
    }
    return best;
  }

 private:
  std::size_t cell(std::size_t cluster, std::size_t restart, std::size_t point) const {
    return (cluster * partitions_.restarts + restart) * partitions_.clusters +
           partitions_.label(restart, point);
  }

  const Partitions& partitions_;
  std::vector<double> masses_;
  std::vector<double> counts_;  // [cluster][restart][label]
};

std::vector<std::int32_t> average_linkage(const Partitions& partitions, std::size_t clusters) {
  const Tuples tuples = collect_tuples(partitions);
  const std::vector<std::size_t> kept = most_frequent(tuples);
  const std::vector<std::size_t> linked = link_tuples(partitions, tuples, kept, clusters);
  const std::size_t found = 1 + *std::max_element(linked.begin(), linked.end());

  ClusterProfiles profiles(partitions, found);
  std::vector<std::size_t> cluster_of_tuple(tuples.size(), found);  // found: not placed yet
  for (std::size_t i = 0; i < kept.size(); ++i) {
    cluster_of_tuple[kept[i]] = linked[i];
    profiles.add(linked[i], tuples.point(kept[i]), static_cast<double>(tuples.count(kept[i])));
  }
  std::vector<std::size_t> cluster_of(partitions.points);
  for (std::size_t t = 0; t < tuples.size(); ++t) {
    const std::size_t cluster =
        cluster_of_tuple[t] < found ? cluster_of_tuple[t] : profiles.most_similar(tuples.point(t));
    for (std::size_t i = tuples.start[t]; i < tuples.start[t + 1]; ++i) {
      cluster_of[tuples.order[i]] = cluster;
    }
  }
  return renumber(cluster_of, found);
}

// How many points each cluster of one restart shares with each cluster of another. Everything
// that compares whole restarts needs only these counts, not the points.
class SharedCounts {
 public:
  // partitions [restarts][points] in the memory of the context.
  SharedCounts(Context& ctx, const std::int32_t* partitions, Index restarts, Index points,
               Index clusters)
      : restarts_(static_cast<std::size_t>(restarts)),
        clusters_(static_cast<std::size_t>(clusters)), tables_(restarts_ * restarts_) {
    const std::size_t cells = clusters_ * clusters_;
    const std::size_t pairs = restarts_ * (restarts_ - 1) / 2;
    Arena arena(ctx.device());
    const auto overlaps =
        arena.request<std::int32_t>("overlaps", static_cast<Index>(pairs * cells));
    arena.reserve();
    Index pair = 0;
    for (Index r = 0; r < restarts; ++r) {
      for (Index s = r + 1; s < restarts; ++s, ++pair) {
        kernels::contingency(ctx, overlaps.data() + pair * clusters * clusters, clusters, clusters,
                             partitions + r * points, partitions + s * points, points);
      }
    }
    std::vector<std::int32_t> counts(pairs * cells);
    ctx.copy_to_host(counts.data(), overlaps.data(), counts.size() * sizeof(std::int32_t));
    auto next = counts.begin();
    for (std::size_t r = 0; r < restarts_; ++r) {
      for (std::size_t s = r + 1; s < restarts_; ++s) {
        std::vector<Index>& forward = tables_[r * restarts_ + s];
        std::vector<Index>& backward = tables_[s * restarts_ + r];
        forward.assign(next, next + static_cast<std::ptrdiff_t>(cells));
        next += static_cast<std::ptrdiff_t>(cells);
        backward.resize(cells);
        for (std::size_t k = 0; k < cells; ++k) {
          backward[k % clusters_ * clusters_ + k / clusters_] = forward[k];
        }
      }
    }
  }

  // [cluster of r][cluster of s]
  const std::vector<Index>& operator()(std::size_t r, std::size_t s) const {
    return tables_[r * restarts_ + s];
  }
  std::size_t restarts() const { return restarts_; }
  std::size_t clusters() const { return clusters_; }

 private:
  std::size_t restarts_;
  std::size_t clusters_;
  std::vector<std::vector<Index>> tables_;
};

std::size_t find_medoid(const SharedCounts& shared) {
  const auto clusters = static_cast<Index>(shared.clusters());
  std::vector<double> sums(shared.restarts(), 0.0);
  for (std::size_t r = 0; r < shared.restarts(); ++r) {
    for (std::size_t s = r + 1; s < shared.restarts(); ++s) {
      const double ari = adjusted_rand_index(shared(r, s), clusters, clusters);
      sums[r] += ari;
      sums[s] += ari;
    }
  }
  return static_cast<std::size_t>(std::max_element(sums.begin(), sums.end()) - sums.begin());
}

// match[r][k]: the common label of cluster k of restart r.
using Match = std::vector<std::vector<Index>>;

Index matched_weight(const std::vector<Index>& votes, const std::vector<Index>& common) {
  Index sum = 0;
  for (std::size_t k = 0; k < common.size(); ++k) {
    sum += votes[k * common.size() + static_cast<std::size_t>(common[k])];
  }
  return sum;
}

// votes[k][c]: how often the points of cluster k of a restart carry the common label c in the
// other restarts.
std::vector<Index> votes_of_others(const SharedCounts& shared, const Match& match,
                                   std::size_t restart) {
  const std::size_t clusters = shared.clusters();
  std::vector<Index> votes(clusters * clusters, 0);
  for (std::size_t other = 0; other < shared.restarts(); ++other) {
    if (other == restart) continue;
    const std::vector<Index>& counts = shared(restart, other);
    for (std::size_t k = 0; k < clusters; ++k) {
      for (std::size_t l = 0; l < clusters; ++l) {
        votes[k * clusters + static_cast<std::size_t>(match[other][l])] += counts[k * clusters + l];
      }
    }
  }
  return votes;
}

Match match_clusters(const SharedCounts& shared, std::size_t anchor) {
  const std::size_t clusters = shared.clusters();
  const auto side = static_cast<Index>(clusters);
  Match match(shared.restarts());
  for (std::size_t r = 0; r < match.size(); ++r) {
    if (r == anchor) {
      match[r].resize(clusters);
      std::iota(match[r].begin(), match[r].end(), Index{0});
    } else {
      match[r] = best_assignment(shared(r, anchor), side, side);
    }
  }
  // Every accepted step raises an integer sum that is bounded, so this ends.
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t r = 0; r < match.size(); ++r) {
      if (r == anchor) continue;
      const std::vector<Index> votes = votes_of_others(shared, match, r);
      std::vector<Index> better = best_assignment(votes, side, side);
      if (matched_weight(votes, better) > matched_weight(votes, match[r])) {
        match[r] = std::move(better);
        changed = true;
      }
    }
  }
  return match;
}

}  // namespace

std::vector<std::int32_t> consensus_by_voting(Context& ctx, const std::int32_t* partitions,
                                              Index restarts, Index points, Index clusters) {
  check_counts(restarts, clusters);
  check_cells(checked_multiply(restarts, restarts), clusters, clusters);
  require<ShapeError>(points >= 1, "consensus: expected at least 1 point, found ", points);
  const SharedCounts shared(ctx, partitions, restarts, points, clusters);
  const std::size_t anchor = find_medoid(shared);
  std::vector<std::int32_t> match;  // [restarts][clusters]
  for (const std::vector<Index>& of_restart : match_clusters(shared, anchor)) {
    for (const Index common : of_restart) match.push_back(static_cast<std::int32_t>(common));
  }
  Arena arena(ctx.device());
  const auto device_match = arena.request<std::int32_t>("match", restarts * clusters);
  const auto winner = arena.request<std::int32_t>("winner", points);
  arena.reserve();
  ctx.copy_to_device(device_match.data(), match.data(), match.size() * sizeof(std::int32_t));
  kernels::vote(ctx, winner.data(), partitions, device_match.data(), restarts, clusters,
                static_cast<Index>(anchor), points);
  std::vector<std::int32_t> cluster_of(static_cast<std::size_t>(points));
  ctx.copy_to_host(cluster_of.data(), winner.data(), cluster_of.size() * sizeof(std::int32_t));
  return renumber({cluster_of.begin(), cluster_of.end()}, static_cast<std::size_t>(clusters));
}

std::vector<std::int32_t> consensus(std::span<const std::int32_t> partitions, Index restarts,
                                    Index clusters_in, Index clusters_out, ConsensusKind kind) {
  const Partitions checked = check_partitions(partitions, restarts, clusters_in);
  require<ConfigError>(clusters_out >= 1 && clusters_out <= kMaxLinkageTuples,
                       "consensus: expected 1 to ", kMaxLinkageTuples, " clusters, found ",
                       clusters_out, "; ask for a number in that range");
  if (kind == ConsensusKind::voting) {
    require<ConfigError>(clusters_in == clusters_out,
                         "consensus by voting: expected as many clusters as the restarts have, ",
                         clusters_in, ", found ", clusters_out,
                         "; use average linkage for another number");
    Context ctx;
    return consensus_by_voting(ctx, partitions.data(), restarts, static_cast<Index>(checked.points),
                               clusters_in);
  }
  check_cells(clusters_out, restarts, clusters_in);
  return average_linkage(checked, static_cast<std::size_t>(clusters_out));
}

Index medoid(std::span<const std::int32_t> partitions, Index restarts, Index clusters_in) {
  const Partitions checked = check_partitions(partitions, restarts, clusters_in);
  check_cells(checked_multiply(restarts, restarts), clusters_in, clusters_in);
  Context ctx;
  return static_cast<Index>(find_medoid(SharedCounts(
      ctx, partitions.data(), restarts, static_cast<Index>(checked.points), clusters_in)));
}

}  // namespace ganmm
