// What a run does every `check_every` iterations: assign the whole data set, count, and give
// components that lost all their points another start.
#include "ganmm/kmeans.h"
#include "ganmm/training_run.h"
#include "kernels/count.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace ganmm {
namespace {

template <class V>
std::vector<V> download(Context& ctx, const Buffer<V>& buffer) {
  std::vector<V> values(static_cast<std::size_t>(buffer.count()));
  ctx.copy_to_host(values.data(), buffer.data(), values.size() * sizeof(V));
  return values;
}

double mean_of(const std::vector<float>& values, Index first, Index count) {
  return std::accumulate(values.begin() + first, values.begin() + first + count, 0.0) /
         static_cast<double>(count);
}

}  // namespace

template <class T>
Report TrainingRun<T>::check(Index iteration) {
  Context& ctx = main();
  const Index restarts = settings_.restarts, clusters = settings_.clusters;
  const auto clear = [&](const auto& buffer) {
    ctx.clear(buffer.data(), static_cast<std::size_t>(buffer.bytes()));
  };
  clear(shared_.changed);
  clear(shared_.size);
  clear(shared_.confidence);

  // Pool by pool over the whole data set, on the pool's own buffers.
  const Index chunk = work(0).e_step.chunk();
  const Index chunks = (settings_.pool + chunk - 1) / chunk;
  const GroupView<float> posterior(shared_.posterior.data(), restarts, settings_.pool, {clusters});
  for (Index done = 0, first = 0; done < rows_; done = first + settings_.pool) {
    first = std::min(done, rows_ - settings_.pool);
    lanes_.for_each(mixture_.mixtures / lane_mixtures_ * chunks, [&](int lane, Index task) {
      const Index mixture = task / chunks * lane_mixtures_, begin = task % chunks * chunk;
      const Index count = std::min(chunk, settings_.pool - begin);
      work(lane).e_step.classify(
          lanes_.context(lane), mixture_, mixture, data().rows(first + begin, count),
          shared_.label.data() + mixture * settings_.pool + begin, settings_.pool,
          posterior.slice(mixture, lane_mixtures_).rows(begin, count), 1.0);
    });
    kernels::count_assignments(
        ctx, {shared_.changed.data(), shared_.size.data(), shared_.confidence.data()},
        shared_.assigned.data(), rows_, pool_view(), first, done - first);
  }

  const auto real = download(ctx, losses_.real), fake = download(ctx, losses_.fake);
  const auto penalty = download(ctx, losses_.penalty);
  const auto generated = download(ctx, losses_.generated);
  const auto entropy = download(ctx, shared_.loss);
  const auto changed = download(ctx, shared_.changed), sizes = download(ctx, shared_.size);
  const auto confidence = download(ctx, shared_.confidence);
  Report report;
  report.iteration = iteration;
  for (Index r = 0; r < restarts; ++r) {
    const auto at = static_cast<std::size_t>(r);
    Report::Mixture m;
    m.sizes.assign(sizes.begin() + r * clusters, sizes.begin() + (r + 1) * clusters);
    m.changed = static_cast<double>(changed[at]) / static_cast<double>(rows_);
    m.confidence = confidence[at] / static_cast<double>(rows_);
    m.diverged = !std::isfinite(m.confidence);
    m.classifier_loss = entropy.empty() ? 0.0 : static_cast<double>(entropy[at]);
    m.critic_loss = mean_of(fake, r * clusters, clusters) - mean_of(real, r * clusters, clusters);
    m.penalty = mean_of(penalty, r * clusters, clusters);
    m.generator_loss = -mean_of(generated, r * clusters, clusters);
    report.mixtures.push_back(std::move(m));
  }
  return report;
}

template <class T>
std::span<const std::int32_t> TrainingRun<T>::labels_of(Index mixture,
                                                        std::vector<std::int32_t>& copy) {
  const std::int32_t* labels = shared_.assigned.data() + mixture * rows_;
  if (!main().on_cpu()) {
    copy.resize(static_cast<std::size_t>(rows_));
    main().copy_to_host(copy.data(), labels, copy.size() * sizeof(std::int32_t));
    labels = copy.data();
  }
  return {labels, static_cast<std::size_t>(rows_)};
}

template <class T>
void TrainingRun<T>::assignments_in_file_order(std::vector<std::int32_t>& assignments) {
  assignments.resize(static_cast<std::size_t>(settings_.restarts * rows_));
  std::vector<std::int32_t> copy;
  for (Index r = 0; r < settings_.restarts; ++r) {
    const auto labels = labels_of(r, copy);
    std::int32_t* of_mixture = assignments.data() + r * rows_;
    for (std::size_t p = 0; p < labels.size(); ++p) of_mixture[order_.order()[p]] = labels[p];
  }
}

template <class T>
std::vector<std::int32_t> TrainingRun<T>::labels(std::span<const Index> mixtures,
                                                 std::span<const Index> rows) {
  std::vector<Index> place(rows.size());  // in the data's order
  for (Index p = 0; p < rows_; ++p) {
    const Index row = order_.order()[static_cast<std::size_t>(p)];
    const auto found = std::ranges::lower_bound(rows, row);
    if (found != rows.end() && *found == row) {
      place[static_cast<std::size_t>(found - rows.begin())] = p;
    }
  }
  std::vector<std::int32_t> result, copy;
  for (const Index r : mixtures) {
    const auto labels = labels_of(r, copy);
    for (const Index p : place) result.push_back(labels[static_cast<std::size_t>(p)]);
  }
  return result;
}

template <class T>
std::vector<std::int32_t> TrainingRun<T>::rows_of(std::span<const std::int32_t> labels,
                                                  std::int32_t component, Index size) const {
  const Index stride = (size + kMaxSplitRows - 1) / kMaxSplitRows;
  std::vector<std::int32_t> rows;
  Index seen = 0;
  for (Index p = 0; p < rows_; ++p) {
    if (labels[static_cast<std::size_t>(p)] == component && seen++ % stride == 0) {
      rows.push_back(static_cast<std::int32_t>(p));
    }
  }
  return rows;
}

// Rows of a component split in two by 2-means: those of one half, none if they cannot be told
// apart.
template <class T>
std::vector<std::int32_t> TrainingRun<T>::half_of(std::span<const std::int32_t> labels,
                                                  std::int32_t component, Index size,
                                                  const RandomKey& key) {
  const std::vector<std::int32_t> rows = rows_of(labels, component, size);
  if (rows.size() < 2) return {};
  Context& ctx = main();
  const Index count = static_cast<Index>(rows.size());
  Arena arena(lanes_.device());
  const auto numbers = arena.request<std::int32_t>("rows to split", count);
  const auto values =
      arena.request<float>("values to split", checked_multiply(count, item_.count()));
  arena.reserve();
  ctx.copy_to_device(numbers.data(), rows.data(), rows.size() * sizeof(std::int32_t));
  const GroupView<float> view(values.data(), 1, count, item_);
  kernels::gather_rows<float>(ctx, view, data(), numbers.data(), count);
  const auto halves = kmeans(view, {.clusters = 2}, key, lanes_).best.labels;
  std::vector<std::int32_t> half;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (halves[i] == 1) half.push_back(rows[i]);
  }
  return half;
}

// A component without points starts again on half of the largest one. (The points that the
// classifier is least sure of were tried first: they lie between components, not where two true
// clusters share one, and the restarted component lost them again.)
template <class T>
void TrainingRun<T>::restart_empty(Report& report, Index iteration) {
  const auto expired = std::erase_if(pins_, [&](const Pin& pin) { return pin.until <= iteration; });
  const std::size_t kept = pins_.size();
  Context& ctx = main();
  const Index clusters = settings_.clusters;
  for (Index r = 0; r < settings_.restarts; ++r) {
    Report::Mixture& m = report.mixtures[static_cast<std::size_t>(r)];
    if (m.diverged || std::ranges::count(m.sizes, 0) == 0) continue;
    // Labels and sizes as the splits leave them, so that two empty components share nothing.
    auto sizes = m.sizes;
    std::vector<std::int32_t> labels;
    if (const auto current = labels_of(r, labels); labels.empty()) {
      labels.assign(current.begin(), current.end());
    }
    // Rows pinned earlier stay with the component that learns them.
    for (const Pin& pin : pins_) {
      if (pin.group / clusters != r) continue;
      for (const std::int32_t row : pin.rows) labels[static_cast<std::size_t>(row)] = -1;
    }
    for (Index component = 0; component < clusters; ++component) {
      const Index group = r * clusters + component;
      const bool pinned =
          std::ranges::any_of(pins_, [&](const Pin& pin) { return pin.group == group; });
      if (m.sizes[static_cast<std::size_t>(component)] > 0 || pinned) continue;
      const auto largest = std::ranges::max_element(sizes) - sizes.begin();
      const std::uint32_t generation = ++generation_[static_cast<std::size_t>(group)];
      auto rows = half_of(
          labels, static_cast<std::int32_t>(largest), sizes[static_cast<std::size_t>(largest)],
          {settings_.seed, Purpose::split, generation, static_cast<std::uint32_t>(group)});
      if (rows.empty()) continue;
      // The largest may itself have been restarted just now: it learns the other half alone.
      for (Pin& pin : pins_) {
        if (pin.group / clusters != r) continue;
        std::erase_if(pin.rows,
                      [&](std::int32_t row) { return std::ranges::binary_search(rows, row); });
      }
      m.restarted.push_back(component);
      for (const std::int32_t row : rows) {
        labels[static_cast<std::size_t>(row)] = static_cast<std::int32_t>(component);
      }
      sizes[static_cast<std::size_t>(largest)] -= static_cast<Index>(rows.size());
      sizes[static_cast<std::size_t>(component)] += static_cast<Index>(rows.size());
      pins_.push_back({group, iteration + std::max(settings_.pretrain, settings_.check_every),
                       std::move(rows)});
      const auto restart = [&](auto& store, const kernels::OptimizerSettings& o) {
        store.initialize(ctx, settings_.seed, generation, group, 1);
        kernels::optimizer_reset<float>(ctx, store.range(group, 1).slabs(), o);
      };
      restart(mixture_.generator_params, settings_.optimizer());
      restart(mixture_.critic_params, settings_.critic_optimizer());
      if (settings_.start == GeneratorStart::gaussian) {
        make_gaussians(group, {&pins_.back().rows, 1});
      }
    }
  }
  if (expired > 0 || pins_.size() > kept) upload_pins();
  if (pins_.size() > kept) calibrate_scores();
}

template <class T>
void TrainingRun<T>::upload_pins() {
  std::vector<std::int32_t> rows, groups;
  for (const Pin& pin : pins_) {
    rows.insert(rows.end(), pin.rows.begin(), pin.rows.end());
    groups.insert(groups.end(), pin.rows.size(), static_cast<std::int32_t>(pin.group));
  }
  const auto count = static_cast<std::int32_t>(rows.size());
  Context& ctx = main();
  ctx.copy_to_device(pin_row_.data(), rows.data(), rows.size() * sizeof(std::int32_t));
  ctx.copy_to_device(pin_group_.data(), groups.data(), groups.size() * sizeof(std::int32_t));
  ctx.copy_to_device(pin_count_.data(), &count, sizeof count);
}

#define GANMM_INSTANTIATE(T)                                                                       \
  template Report TrainingRun<T>::check(Index);                                                    \
  template void TrainingRun<T>::restart_empty(Report&, Index);                                     \
  template std::vector<std::int32_t> TrainingRun<T>::half_of(                                      \
      std::span<const std::int32_t>, std::int32_t, Index, const RandomKey&);                       \
  template std::vector<std::int32_t> TrainingRun<T>::rows_of(std::span<const std::int32_t>,        \
                                                             std::int32_t, Index) const;           \
  template std::span<const std::int32_t> TrainingRun<T>::labels_of(Index,                          \
                                                                   std::vector<std::int32_t>&);    \
  template void TrainingRun<T>::assignments_in_file_order(std::vector<std::int32_t>&);             \
  template std::vector<std::int32_t> TrainingRun<T>::labels(std::span<const Index>,                \
                                                            std::span<const Index>);               \
  template void TrainingRun<T>::upload_pins();
GANMM_INSTANTIATE(float)
GANMM_INSTANTIATE(BFloat16)

}  // namespace ganmm
