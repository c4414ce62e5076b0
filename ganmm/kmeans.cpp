#include "ganmm/kmeans.h"

#include "ganmm/device_rows.h"
#include "kernels/distance.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace ganmm {
namespace {

using Centres = std::vector<float>;

// Rows are summed up chunk by chunk. On the CPU a chunk is a task; its size is fixed, so that sums
// do not depend on lanes. A GPU takes all chunks at once, few enough to be added up on the host.
Index chunk_rows(Device device, Index rows) {
  constexpr Index smallest = 4096, most_chunks = 16;
  if (device.kind == DeviceKind::cpu) return smallest;
  return std::max(smallest, (rows + most_chunks - 1) / most_chunks);
}

// Candidates for every centre but the first, of which the best is taken: scikit-learn's number.
Index seeding_trials(Index clusters) {
  return 2 + static_cast<Index>(std::log(static_cast<double>(clusters)));
}

// The work of all runs on the same data: memory, seeding and Lloyd's iteration.
class Work {
 public:
  Work(GroupView<const float> data, const KMeansSettings& settings, Lanes& lanes)
      : data_(data), settings_(settings), k_(settings.clusters), features_(data.features()),
        trials_(seeding_trials(k_)), chunk_(chunk_rows(lanes.device(), data.batch)),
        chunks_((data.batch + chunk_ - 1) / chunk_), lanes_(lanes), arena_(lanes.device()),
        device_centres_(arena_.request<float>("centres", std::max(k_, trials_) * features_)),
        device_labels_(arena_.request<std::int32_t>("labels", trials_ * data.batch)),
        device_distance_(arena_.request<float>("distances", trials_ * data.batch)),
        device_sum_(arena_.request<double>("sums of rows", chunks_ * k_ * features_)),
        device_count_(arena_.request<double>("counts of rows", chunks_ * k_)),
        labels_(size(data.batch)), distance_(size(trials_ * data.batch)),
        sum_(size(k_ * features_)), count_(size(k_)) {
    arena_.reserve();
    largest_shift_ = settings.tolerance > 0 ? settings.tolerance * mean_variance() : 0.0;
  }

  Centres seeds(const RandomKey& key);
  KMeansResult run(Centres centres, const IterationCallbacks& callbacks);

 private:
  static std::size_t size(Index count) { return static_cast<std::size_t>(count); }

  double assign(std::span<const float> centres, Index groups);
  void sum_rows(Index centres);
  void relocate_empty();
  double move(Centres& centres);
  double mean_variance();

  void take_point(float* target, Index row) {
    lanes_.context(0).copy_to_host(target, data_.row(0, row), size(features_) * sizeof(float));
  }

  GroupView<const float> data_;
  KMeansSettings settings_;
  Index k_, features_, trials_;
  Index chunk_;  // rows
  Index chunks_;
  Lanes& lanes_;
  Arena arena_;
  Buffer<float> device_centres_;
  Buffer<std::int32_t> device_labels_;
  Buffer<float> device_distance_;
  Buffer<double> device_sum_;    // [chunks][k][D]
  Buffer<double> device_count_;  // [chunks][k]
  double largest_shift_ = 0;     // of the centres, squared, that ends a run
  // From here on on the host.
  std::vector<std::int32_t> labels_;
  std::vector<float> distance_;  // [trials][n]
  std::vector<double> sum_;      // [k][D]
  std::vector<double> count_;    // [k]
};

// Every row's nearest of the centres of a group, [groups][centres][D], how far it is, and the sum
// of that. Labels are those of the first group; the sum too.
double Work::assign(std::span<const float> centres, Index groups) {
  const Index rows = data_.batch;
  const Index each = static_cast<Index>(centres.size()) / (groups * features_);
  Context& ctx = lanes_.context(0);
  ctx.copy_to_device(device_centres_.data(), centres.data(), centres.size_bytes());
  const GroupView<const float> centre(device_centres_.data(), groups, each, data_.item);
  const Index step = lanes_.device().kind == DeviceKind::cpu ? chunk_ : rows;
  lanes_.for_each((rows + step - 1) / step, [&](int lane, Index task) {
    const Index first = task * step;
    kernels::nearest_centre<float>(lanes_.context(lane), device_labels_.data() + first,
                                   device_distance_.data() + first, rows,
                                   data_.rows(first, std::min(step, rows - first)), centre);
  });
  ctx.copy_to_host(labels_.data(), device_labels_.data(), labels_.size() * sizeof(std::int32_t));
  ctx.copy_to_host(distance_.data(), device_distance_.data(), size(groups * rows) * sizeof(float));
  double total = 0;
  for (Index row = 0; row < rows; ++row) total += static_cast<double>(distance_[size(row)]);
  return total;
}

// Sums and counts of the rows of every centre, by the labels on the device.
void Work::sum_rows(Index centres) {
  Context& ctx = lanes_.context(0);
  ctx.clear(device_sum_.data(), size(device_sum_.bytes()));
  ctx.clear(device_count_.data(), size(device_count_.bytes()));
  const Index full = data_.batch / chunk_, rest = data_.batch % chunk_;
  const Index together = lanes_.device().kind == DeviceKind::cpu || full == 0 ? 1 : full;
  lanes_.for_each(full / together + (rest > 0 ? 1 : 0), [&](int lane, Index task) {
    const Index chunk = task * together;
    const bool last = chunk == full;  // the rest
    const GroupView<const float> rows(data_.row(0, chunk * chunk_), last ? 1 : together,
                                      last ? rest : chunk_, data_.item, chunk_ * data_.batch_stride,
                                      data_.batch_stride);
    kernels::centre_sums<float>(lanes_.context(lane),
                                device_sum_.data() + chunk * centres * features_,
                                device_count_.data() + chunk * centres, centres,
                                device_labels_.data() + chunk * chunk_, rows.batch, rows);
  });
  std::vector<double> sums(size(chunks_ * centres * features_)), counts(size(chunks_ * centres));
  ctx.copy_to_host(sums.data(), device_sum_.data(), sums.size() * sizeof(double));
  ctx.copy_to_host(counts.data(), device_count_.data(), counts.size() * sizeof(double));
  std::ranges::fill(sum_, 0.0);
  std::ranges::fill(count_, 0.0);
  for (std::size_t i = 0; i < sums.size(); ++i) sum_[i % size(centres * features_)] += sums[i];
  for (std::size_t i = 0; i < counts.size(); ++i) count_[i % size(centres)] += counts[i];
}

// Mean over the features of their variance: the inertia of one cluster, per value.
double Work::mean_variance() {
  const Index rows = data_.batch;
  lanes_.context(0).clear(device_labels_.data(), size(rows) * sizeof(std::int32_t));
  sum_rows(1);
  Centres mean;
  for (Index f = 0; f < features_; ++f) {
    mean.push_back(static_cast<float>(sum_[size(f)] / static_cast<double>(rows)));
  }
  return assign(mean, 1) / static_cast<double>(rows * features_);
}

// Every further centre is the best of `trials` points drawn with probability proportional to their
// squared distance from the centres so far: the one that leaves the smallest sum of distances.
Centres Work::seeds(const RandomKey& key) {
  const Index rows = data_.batch;
  const auto uniform = [&](Index draw) {
    const Philox words = philox(key, 0, static_cast<std::uint32_t>(draw));
    return (static_cast<double>(words.word[0]) * 0x1p-32 + static_cast<double>(words.word[1])) *
           0x1p-32;
  };
  Centres centres(size(k_ * features_)), candidates(size(trials_ * features_));
  take_point(centres.data(),
             std::min(static_cast<Index>(uniform(0) * static_cast<double>(rows)), rows - 1));
  if (k_ == 1) return centres;
  double total = assign({centres.data(), size(features_)}, 1);
  std::vector<float> nearest(distance_.begin(), distance_.begin() + rows);
  for (Index c = 1; c < k_; ++c) {
    for (Index t = 0; t < trials_; ++t) {
      double target = uniform(1 + (c - 1) * trials_ + t) * total;
      Index row = 0;
      for (; row < rows - 1; ++row) {
        target -= static_cast<double>(nearest[size(row)]);
        if (target < 0) break;
      }
      take_point(candidates.data() + t * features_, row);
    }
    assign(candidates, trials_);
    Index best = 0;
    for (Index t = 0; t < trials_; ++t) {
      double left = 0;
      for (Index row = 0; row < rows; ++row) {
        float& distance = distance_[size(t * rows + row)];
        distance = std::min(distance, nearest[size(row)]);
        left += static_cast<double>(distance);
      }
      if (t == 0 || left < total) {
        best = t;
        total = left;
      }
    }
    std::copy_n(distance_.begin() + best * rows, rows, nearest.begin());
    std::copy_n(candidates.begin() + best * features_, features_, centres.begin() + c * features_);
  }
  return centres;
}

// Gives the points farthest from their centres to the clusters that have none.
void Work::relocate_empty() {
  std::vector<Index> empty;
  for (Index c = 0; c < k_; ++c) {
    if (count_[size(c)] == 0) empty.push_back(c);
  }
  if (empty.empty()) return;
  std::vector<Index> farthest(size(data_.batch));
  std::iota(farthest.begin(), farthest.end(), Index{0});
  std::ranges::partial_sort(farthest, farthest.begin() + static_cast<std::ptrdiff_t>(empty.size()),
                            [&](Index a, Index b) {
                              const float at_a = distance_[size(a)], at_b = distance_[size(b)];
                              return at_a > at_b || (at_a == at_b && a < b);
                            });
  if (distance_[size(farthest[0])] == 0) return;  // fewer different points than clusters
  Centres point(size(features_));
  for (std::size_t i = 0; i < empty.size(); ++i) {
    const Index to = empty[i], from = labels_[size(farthest[i])];
    take_point(point.data(), farthest[i]);
    for (Index f = 0; f < features_; ++f) {
      const auto value = static_cast<double>(point[size(f)]);
      sum_[size(from * features_ + f)] -= value;
      sum_[size(to * features_ + f)] = value;
    }
    count_[size(from)] -= 1;
    count_[size(to)] = 1;
  }
}

// Moves every centre to the mean of its points. Returns the sum of the squared shifts.
double Work::move(Centres& centres) {
  sum_rows(k_);
  relocate_empty();
  const Index largest = std::ranges::max_element(count_) - count_.begin();
  double shift = 0;
  for (Index c = 0; c < k_; ++c) {
    const Index source = count_[size(c)] > 0 ? c : largest;
    for (Index f = 0; f < features_; ++f) {
      const auto mean =
          static_cast<float>(sum_[size(source * features_ + f)] / count_[size(source)]);
      float& centre = centres[size(c * features_ + f)];
      const double difference = static_cast<double>(mean) - static_cast<double>(centre);
      shift += difference * difference;
      centre = mean;
    }
  }
  return shift;
}

KMeansResult Work::run(Centres centres, const IterationCallbacks& callbacks) {
  KMeansResult result;
  std::vector<std::int32_t> before;
  bool same = false;  // labels, as one iteration before: the centres are their means
  while (result.iterations < settings_.iterations && !result.converged) {
    result.trace.push_back(assign(centres, 1));
    ++result.iterations;
    same = labels_ == before;
    result.converged = same || move(centres) <= largest_shift_;
    before = labels_;
    callbacks.done(result.iterations - 1);
    if (callbacks.stop()) break;
  }
  result.inertia = same ? result.trace.back() : assign(centres, 1);
  result.labels = labels_;
  result.centres = std::move(centres);
  return result;
}

void require_clusters(Index clusters, Index rows) {
  require<ConfigError>(clusters >= 1 && clusters <= rows, "k-means: expected 1 to ", rows,
                       " centres for as many rows, found ", clusters);
}

}  // namespace

KMeansResult lloyd(GroupView<const float> data, std::vector<float> centres,
                   const KMeansSettings& settings, Lanes& lanes,
                   const IterationCallbacks& callbacks) {
  require_clusters(settings.clusters, data.batch);
  require<ShapeError>(static_cast<Index>(centres.size()) == settings.clusters * data.features(),
                      "k-means: expected ", settings.clusters, " centres of ", data.features(),
                      " features, found ", centres.size(), " values");
  return Work(data, settings, lanes).run(std::move(centres), callbacks);
}

KMeansRuns kmeans(GroupView<const float> data, const KMeansSettings& settings, const RandomKey& key,
                  Lanes& lanes, const IterationCallbacks& callbacks) {
  require_clusters(settings.clusters, data.batch);
  Work work(data, settings, lanes);
  KMeansRuns runs;
  for (Index r = 0; r < settings.restarts && !runs.cancelled; ++r) {
    RandomKey own = key;
    own.step += static_cast<std::uint32_t>(r);
    KMeansResult result = work.run(work.seeds(own), callbacks);
    runs.inertia.push_back(result.inertia);
    runs.iterations += result.iterations;
    runs.cancelled = callbacks.stop();
    if (r == 0 || result.inertia < runs.best.inertia) {
      runs.best = std::move(result);
      runs.chosen = r;
    }
  }
  return runs;
}

Prediction predict_nearest(std::span<const float> centres, std::span<const float> values,
                           Index rows, Shape item, Lanes& lanes) {
  const Index features = item.count();
  const Index clusters = static_cast<Index>(centres.size()) / features;
  const DeviceRows data(values, rows, item, lanes);
  Arena arena(lanes.device());
  const auto centre = arena.request<float>("centres", clusters * features);
  const auto label = arena.request<std::int32_t>("labels", rows);
  arena.reserve();
  Context& ctx = lanes.context(0);
  ctx.copy_to_device(centre.data(), centres.data(), centres.size_bytes());
  const Index step = lanes.device().kind == DeviceKind::cpu ? 4096 : std::max<Index>(rows, 1);
  lanes.for_each((rows + step - 1) / step, [&](int lane, Index task) {
    const Index first = task * step;
    kernels::nearest_centre<float>(lanes.context(lane), label.data() + first, nullptr, rows,
                                   data.view().rows(first, std::min(step, rows - first)),
                                   {centre.data(), 1, clusters, item});
  });
  Prediction prediction;
  prediction.assignments.resize(static_cast<std::size_t>(rows));
  ctx.copy_to_host(prediction.assignments.data(), label.data(),
                   prediction.assignments.size() * sizeof(std::int32_t));
  prediction.posteriors.assign(static_cast<std::size_t>(rows * clusters), 0.0f);
  for (Index row = 0; row < rows; ++row) {
    const std::int32_t nearest = prediction.assignments[static_cast<std::size_t>(row)];
    prediction.posteriors[static_cast<std::size_t>(row * clusters + nearest)] = 1.0f;
  }
  prediction.confidence = rows > 0 ? 1.0 : 0.0;
  return prediction;
}

}  // namespace ganmm
