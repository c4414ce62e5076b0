#include "ganmm/kmeans.h"

#include "kernels/distance.h"

#include <algorithm>
#include <limits>

namespace ganmm {
namespace {

constexpr Index kMaxIterations = 300;  // scikit-learn's default
constexpr Index kChunk = 4096;         // rows per task; fixed, so sums do not depend on lanes

class Run {
 public:
  Run(GroupView<const float> data, Index k, const RandomKey& key, Lanes& lanes)
      : data_(data), k_(k), lanes_(lanes), key_(key),
        centres_(static_cast<std::size_t>(k * data.features())),
        labels_(static_cast<std::size_t>(data.batch), -1),
        distance_(static_cast<std::size_t>(data.batch)) {}

  KMeansResult operator()() {
    seed_centres();
    Index iteration = 0;
    for (; iteration < kMaxIterations; ++iteration) {
      const auto before = labels_;
      assign({centres_.data(), 1, k_, data_.item}, labels_.data(), distance_.data());
      if (labels_ == before) break;
      move_centres();
    }
    KMeansResult result;
    for (const float d : distance_) result.inertia += static_cast<double>(d);
    result.labels = std::move(labels_);
    result.centres = std::move(centres_);
    result.iterations = iteration;
    return result;
  }

 private:
  void assign(GroupView<const float> centres, std::int32_t* labels, float* distance) {
    const Index chunks = (data_.batch + kChunk - 1) / kChunk;
    lanes_.for_each(chunks, [&](int lane, Index chunk) {
      const Index first = chunk * kChunk, count = std::min(kChunk, data_.batch - first);
      kernels::nearest_centre<float>(lanes_.context(lane), labels + first, distance + first, count,
                                     data_.rows(first, count), centres);
    });
  }

  void take_point(Index centre, Index row) {
    std::copy_n(data_.row(0, row), data_.features(), centres_.data() + centre * data_.features());
  }

  double uniform(Index draw) const {
    const Philox words = philox(key_, 0, static_cast<std::uint32_t>(draw));
    return (static_cast<double>(words.word[0]) * 0x1p-32 + static_cast<double>(words.word[1])) *
           0x1p-32;
  }

  // Every further centre is a point drawn with probability proportional to its squared distance
  // from the centres so far.
  void seed_centres() {
    const Index n = data_.batch;
    std::vector<float> nearest(static_cast<std::size_t>(n), std::numeric_limits<float>::max());
    std::vector<std::int32_t> ignored(static_cast<std::size_t>(n));
    auto row = static_cast<Index>(uniform(0) * static_cast<double>(n));
    for (Index c = 0;; ++c) {
      take_point(c, std::min(row, n - 1));
      if (c + 1 == k_) return;
      const float* centre = centres_.data() + c * data_.features();
      assign({centre, 1, 1, data_.item}, ignored.data(), distance_.data());
      double total = 0;
      for (std::size_t p = 0; p < nearest.size(); ++p) {
        nearest[p] = std::min(nearest[p], distance_[p]);
        total += static_cast<double>(nearest[p]);
      }
      double target = uniform(c + 1) * total;
      for (row = 0; row < n - 1; ++row) {
        target -= static_cast<double>(nearest[static_cast<std::size_t>(row)]);
        if (target < 0) break;
      }
    }
  }

  void move_centres() {
    const Index features = data_.features();
    const Index chunks = (data_.batch + kChunk - 1) / kChunk;
    std::vector<double> sum(static_cast<std::size_t>(chunks * k_ * features), 0.0);
    std::vector<double> count(static_cast<std::size_t>(chunks * k_), 0.0);
    lanes_.for_each(chunks, [&](int lane, Index chunk) {
      const Index first = chunk * kChunk, rows = std::min(kChunk, data_.batch - first);
      kernels::centre_sums<float>(lanes_.context(lane), sum.data() + chunk * k_ * features,
                                  count.data() + chunk * k_, k_, labels_.data() + first, rows,
                                  data_.rows(first, rows));
    });
    for (Index c = 0; c < k_; ++c) {
      double total = 0;
      for (Index chunk = 0; chunk < chunks; ++chunk) {
        total += count[static_cast<std::size_t>(chunk * k_ + c)];
      }
      if (total == 0) {
        const auto farthest = std::max_element(distance_.begin(), distance_.end());
        take_point(c, farthest - distance_.begin());
        *farthest = 0;  // the next empty centre takes another point
        continue;
      }
      for (Index f = 0; f < features; ++f) {
        double s = 0;
        for (Index chunk = 0; chunk < chunks; ++chunk) {
          s += sum[static_cast<std::size_t>((chunk * k_ + c) * features + f)];
        }
        centres_[static_cast<std::size_t>(c * features + f)] = static_cast<float>(s / total);
      }
    }
  }

  GroupView<const float> data_;
  Index k_;
  Lanes& lanes_;
  RandomKey key_;
  std::vector<float> centres_;
  std::vector<std::int32_t> labels_;
  std::vector<float> distance_;
};

}  // namespace

KMeansResult kmeans(GroupView<const float> data, Index k, const RandomKey& key, Lanes& lanes) {
  require<ConfigError>(k >= 1 && k <= data.batch, "k-means: expected 1 to ", data.batch,
                       " centres for as many rows, found ", k);
  return Run(data, k, key, lanes)();
}

}  // namespace ganmm
