#include "ganmm/kmeans.h"

#include "kernels/distance.h"

#include <algorithm>
#include <limits>

namespace ganmm {
namespace {

constexpr Index kMaxIterations = 300;  // scikit-learn's default

// Rows are summed up chunk by chunk. On the CPU a chunk is a task; its size is fixed, so that sums
// do not depend on lanes. A GPU takes all chunks at once, few enough to be added up on the host.
Index chunk_rows(Device device, Index rows) {
  constexpr Index smallest = 4096, most_chunks = 16;
  if (device.kind == DeviceKind::cpu) return smallest;
  return std::max(smallest, (rows + most_chunks - 1) / most_chunks);
}

class Run {
 public:
  Run(GroupView<const float> data, Index k, const RandomKey& key, Lanes& lanes)
      : data_(data), k_(k), chunk_(chunk_rows(lanes.device(), data.batch)),
        chunks_((data.batch + chunk_ - 1) / chunk_), lanes_(lanes), key_(key),
        arena_(lanes.device()),
        device_centres_(arena_.request<float>("centres", k * data.features())),
        device_labels_(arena_.request<std::int32_t>("labels", data.batch)),
        device_distance_(arena_.request<float>("distances", data.batch)),
        device_sum_(arena_.request<double>("sums of rows", chunks_ * k * data.features())),
        device_count_(arena_.request<double>("counts of rows", chunks_ * k)),
        centres_(static_cast<std::size_t>(k * data.features())),
        labels_(static_cast<std::size_t>(data.batch), -1),
        distance_(static_cast<std::size_t>(data.batch)) {
    arena_.reserve();
  }

  KMeansResult operator()() {
    seed_centres();
    std::ranges::fill(labels_, -1);
    Index iteration = 0;
    for (; iteration < kMaxIterations; ++iteration) {
      const auto before = labels_;
      assign(0, k_);
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
  // Calls body(context, rows, chunk) for all rows, as [chunks][rows of a chunk] from `chunk` on.
  template <class Body>
  void for_chunks(const Body& body) {
    const Index full = data_.batch / chunk_, rest = data_.batch % chunk_;
    const Index together = lanes_.device().kind == DeviceKind::cpu || full == 0 ? 1 : full;
    lanes_.for_each(full / together + (rest > 0 ? 1 : 0), [&](int lane, Index task) {
      const Index chunk = task * together;
      const bool last = chunk == full;  // the rest
      body(lanes_.context(lane),
           GroupView<const float>(data_.row(0, chunk * chunk_), last ? 1 : together,
                                  last ? rest : chunk_, data_.item, chunk_ * data_.batch_stride,
                                  data_.batch_stride),
           chunk);
    });
  }

  // Every row's nearest of the centres [first, first + count), and how far it is.
  void assign(Index first, Index count) {
    const Index features = data_.features();
    Context& ctx = lanes_.context(0);
    ctx.copy_to_device(device_centres_.data(), centres_.data() + first * features,
                       static_cast<std::size_t>(count * features) * sizeof(float));
    for_chunks([&](Context& lane, const GroupView<const float>& rows, Index chunk) {
      const Index row = chunk * chunk_;
      kernels::nearest_centre<float>(
          lane, device_labels_.data() + row, device_distance_.data() + row, rows.batch, rows,
          {device_centres_.data(), rows.groups, count, data_.item, 0, features});
    });
    download(ctx, labels_, device_labels_);
    download(ctx, distance_, device_distance_);
  }

  template <class T>
  static void download(Context& ctx, std::vector<T>& target, const Buffer<T>& source) {
    ctx.copy_to_host(target.data(), source.data(), target.size() * sizeof(T));
  }

  void take_point(Index centre, Index row) {
    lanes_.context(0).copy_to_host(centres_.data() + centre * data_.features(), data_.row(0, row),
                                   static_cast<std::size_t>(data_.features()) * sizeof(float));
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
    auto row = static_cast<Index>(uniform(0) * static_cast<double>(n));
    for (Index c = 0;; ++c) {
      take_point(c, std::min(row, n - 1));
      if (c + 1 == k_) return;
      assign(c, 1);
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
    Context& ctx = lanes_.context(0);
    ctx.clear(device_sum_.data(), static_cast<std::size_t>(device_sum_.bytes()));
    ctx.clear(device_count_.data(), static_cast<std::size_t>(device_count_.bytes()));
    for_chunks([&](Context& lane, const GroupView<const float>& rows, Index chunk) {
      kernels::centre_sums<float>(lane, device_sum_.data() + chunk * k_ * features,
                                  device_count_.data() + chunk * k_, k_,
                                  device_labels_.data() + chunk * chunk_, rows.batch, rows);
    });
    std::vector<double> sum(static_cast<std::size_t>(chunks_ * k_ * features));
    std::vector<double> count(static_cast<std::size_t>(chunks_ * k_));
    download(ctx, sum, device_sum_);
    download(ctx, count, device_count_);
    for (Index c = 0; c < k_; ++c) {
      double total = 0;
      for (Index chunk = 0; chunk < chunks_; ++chunk) {
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
        for (Index chunk = 0; chunk < chunks_; ++chunk) {
          s += sum[static_cast<std::size_t>((chunk * k_ + c) * features + f)];
        }
        centres_[static_cast<std::size_t>(c * features + f)] = static_cast<float>(s / total);
      }
    }
  }

  GroupView<const float> data_;
  Index k_;
  Index chunk_;  // rows
  Index chunks_;
  Lanes& lanes_;
  RandomKey key_;
  Arena arena_;
  Buffer<float> device_centres_;
  Buffer<std::int32_t> device_labels_;
  Buffer<float> device_distance_;
  Buffer<double> device_sum_;    // [chunks][k][D]
  Buffer<double> device_count_;  // [chunks][k]
  std::vector<float> centres_;   // from here on copies on the host
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
