#include "ganmm/trainer.h"

#include "ganmm/kmeans.h"
#include "kernels/core/rng.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

namespace ganmm {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::vector<float> download(Context& ctx, const Buffer<float>& buffer) {
  std::vector<float> values(static_cast<std::size_t>(buffer.count()));
  ctx.copy_to_host(values.data(), buffer.data(), values.size() * sizeof(float));
  return values;
}

double mean_of(const std::vector<float>& values, Index first, Index count) {
  return std::accumulate(values.begin() + first, values.begin() + first + count, 0.0) /
         static_cast<double>(count);
}

// Fisher-Yates with the project's generator.
std::vector<std::int32_t> permutation(Index n, std::uint64_t seed, Purpose purpose,
                                      std::uint32_t group) {
  std::vector<std::int32_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  const RandomKey key{seed, purpose, 0, 0};
  for (Index i = n - 1; i > 0; --i) {
    const std::uint32_t word = philox(key, group, static_cast<std::uint32_t>(i)).word[0];
    const auto j = uniform_below(word, static_cast<std::uint32_t>(i + 1));
    std::swap(order[static_cast<std::size_t>(i)], order[j]);
  }
  return order;
}

}  // namespace

Trainer::Trainer(const Settings& settings, std::span<const float> values, Index rows, Shape item,
                 std::span<const std::int32_t> initial, Lanes& lanes)
    : settings_(settings), lanes_(lanes), arena_(lanes.device()), rows_(rows), item_(item),
      lane_groups_(lanes.device().kind == DeviceKind::cpu ? 1
                                                          : settings.restarts * settings.clusters),
      lane_mixtures_(lanes.device().kind == DeviceKind::cpu ? 1 : settings.restarts),
      mixture_(arena_, settings_, item, nn::StoreUse::training),
      data_(arena_.request<float>("data", checked_multiply(rows, item.count()))),
      shared_(arena_, mixture_, settings_, rows),
      losses_(MStep::plan_losses(arena_, mixture_.groups())),
      generation_(static_cast<std::size_t>(mixture_.groups()), 0) {
  lanes_.plan_scratch();
  for (int lane = 0; lane < lanes_.count(); ++lane) {
    Context& ctx = lanes_.context(lane);
    work_.push_back(
        std::make_unique<LaneWork>(arena_, ctx, mixture_, settings_, lane_groups_, lane_mixtures_));
    ctx.scratch().require_bytes(kernels::draw_workspace(ctx, lane_groups_, settings_.pool));
  }
  arena_.reserve();
  lanes_.reserve_scratch();
  load(values, initial);
}

void Trainer::load(std::span<const float> values, std::span<const std::int32_t> initial) {
  Context& ctx = lanes_.context(0);
  const Index features = item_.count();
  order_ = permutation(rows_, settings_.seed, Purpose::shuffle, 0);
  for (Index p = 0; p < rows_; ++p) {
    ctx.copy_to_device(data_.data() + p * features,
                       values.data() + order_[static_cast<std::size_t>(p)] * features,
                       static_cast<std::size_t>(features) * sizeof(float));
  }
  std::vector<std::int32_t> target(static_cast<std::size_t>(shared_.fake_label.count()));
  for (std::size_t i = 0; i < target.size(); ++i) {
    target[i] = static_cast<std::int32_t>(static_cast<Index>(i) / settings_.batch);
  }
  ctx.copy_to_device(shared_.fake_label.data(), target.data(),
                     target.size() * sizeof(std::int32_t));
  previous_ = initial_labels(values, initial);

  const auto start = [&](nn::ParamStore<float>& store, const kernels::OptimizerSettings& o) {
    store.initialize(ctx, settings_.seed, 0, 0, store.layout().groups());
    kernels::optimizer_reset<float>(ctx, store.all().slabs(), o);
  };
  start(mixture_.generator_params, settings_.optimizer());
  start(mixture_.critic_params, settings_.critic_optimizer());
  start(mixture_.classifier_params, settings_.classifier_optimizer());
}

// [R][n] in data (shuffled) order.
std::vector<std::int32_t> Trainer::initial_labels(std::span<const float> values,
                                                  std::span<const std::int32_t> initial) {
  std::vector<std::int32_t> labels(static_cast<std::size_t>(settings_.restarts * rows_));
  for (Index r = 0; r < settings_.restarts; ++r) {
    std::int32_t* label = labels.data() + r * rows_;
    switch (settings_.init) {
    case InitialPartition::random: {
      const auto order =
          permutation(rows_, settings_.seed, Purpose::partition, static_cast<std::uint32_t>(r));
      for (Index p = 0; p < rows_; ++p) {
        label[p] =
            static_cast<std::int32_t>(order[static_cast<std::size_t>(p)] % settings_.clusters);
      }
      break;
    }
    case InitialPartition::kmeans: {
      Lanes host({}, MathMode::fp32, lanes_.count());
      const KMeansResult result =
          kmeans({values.data(), 1, rows_, item_}, settings_.clusters,
                 {settings_.seed, Purpose::kmeans, static_cast<std::uint32_t>(r), 0}, host);
      for (Index p = 0; p < rows_; ++p) {
        label[p] = result.labels[static_cast<std::size_t>(order_[static_cast<std::size_t>(p)])];
      }
      break;
    }
    case InitialPartition::given: {
      require<ConfigError>(static_cast<Index>(initial.size()) == rows_,
                           "initial partition: expected a component for each of ", rows_,
                           " rows, found ", initial.size());
      for (Index p = 0; p < rows_; ++p) {
        label[p] = initial[static_cast<std::size_t>(order_[static_cast<std::size_t>(p)])];
        require<ConfigError>(label[p] >= 0 && label[p] < settings_.clusters,
                             "initial partition: expected components 0 to ", settings_.clusters - 1,
                             ", found ", label[p], " for row ",
                             order_[static_cast<std::size_t>(p)]);
      }
      break;
    }
    }
  }
  return labels;
}

GroupView<const float> Trainer::data() const { return {data_.data(), 1, rows_, item_}; }

kernels::PoolView Trainer::pool_view() const {
  return {shared_.label.data(), shared_.posterior.data(), settings_.restarts, settings_.clusters,
          settings_.pool};
}

// The pool walks through the data; the last one is moved back so that it is full.
Index Trainer::pool_start(Index iteration) const {
  const Index pools = (rows_ + settings_.pool - 1) / settings_.pool;
  return std::min(iteration % pools * settings_.pool, rows_ - settings_.pool);
}

Index Trainer::foreign_rows(Index iteration) const {
  const auto step = std::find_if(settings_.sigma.begin(), settings_.sigma.end() - 1,
                                 [&](const SigmaStep& s) { return iteration < s.until; });
  return static_cast<Index>(std::lround(step->foreign * static_cast<double>(settings_.batch)));
}

bool Trainer::sigma_settled(Index iteration) const {
  return settings_.sigma.size() < 2 ||
         iteration >= settings_.sigma[settings_.sigma.size() - 2].until;
}

void Trainer::m_steps(std::uint32_t iteration, const kernels::PoolView& pool, Index foreign,
                      Index first_row, bool clip) {
  const kernels::DrawSettings draw{settings_.critic_steps,
                                   settings_.batch,
                                   foreign,
                                   &shared_.clock.data()->first_row,
                                   {settings_.seed, Purpose::real_rows, iteration, 0}};
  const MStep::Rows rows{data(), shared_.row.data()};
  const kernels::Clock now{iteration, static_cast<std::int32_t>(first_row)};
  lanes_.context(0).copy_to_device(shared_.clock.data(), &now, sizeof now);
  const Index per_group = settings_.critic_steps * settings_.batch;
  lanes_.for_each(mixture_.groups() / lane_groups_, [&](int lane, Index task) {
    Context& ctx = lanes_.context(lane);
    const Index first = task * lane_groups_;
    kernels::draw_rows(ctx, shared_.row.data() + first * per_group, first, lane_groups_, pool,
                       shared_.member.data(), shared_.begin.data(), draw);
    work(lane).m_step.run(ctx, mixture_, first, rows, losses_, iteration, clip);
  });
}

void Trainer::pretrain(const TrainerCallbacks& callbacks) {
  // The partition is made on the host, where the first labels are.
  Context host;
  Context& ctx = lanes_.context(0);
  std::vector<std::int32_t> member(previous_.size());
  std::vector<std::int32_t> begin(static_cast<std::size_t>(shared_.begin.count()));
  kernels::PoolView pool{previous_.data(), nullptr, settings_.restarts, settings_.clusters, rows_};
  kernels::partition_rows(host, member.data(), begin.data(), pool);
  ctx.copy_to_device(shared_.member.data(), member.data(), member.size() * sizeof(std::int32_t));
  ctx.copy_to_device(shared_.begin.data(), begin.data(), begin.size() * sizeof(std::int32_t));
  pool.label = nullptr;  // draws without foreign rows read the partition alone
  for (Index i = 0; i < settings_.pretrain; ++i) {
    m_steps(static_cast<std::uint32_t>(i), pool, 0, 0, settings_.clip_in_pretraining);
    if (callbacks.progress) callbacks.progress(i - settings_.pretrain);
    if (callbacks.cancelled && callbacks.cancelled()) return;
  }
}

void Trainer::train_classifiers(Index iteration) {
  for (Index step = 0; step < settings_.classifier_steps; ++step) {
    lanes_.for_each(mixture_.groups() / lane_groups_, [&](int lane, Index task) {
      work(lane).e_step.make_fakes(
          lanes_.context(lane), mixture_, shared_, task * lane_groups_,
          static_cast<std::uint32_t>(iteration * settings_.classifier_steps + step));
    });
    lanes_.for_each(mixture_.mixtures / lane_mixtures_, [&](int lane, Index task) {
      work(lane).e_step.train_classifier(lanes_.context(lane), mixture_, shared_,
                                         task * lane_mixtures_);
    });
  }
}

void Trainer::classify_pool(Index first_row, double temperature) {
  const Index chunk = work(0).e_step.chunk();
  const Index chunks = (settings_.pool + chunk - 1) / chunk;
  const GroupView<float> posterior(shared_.posterior.data(), settings_.restarts, settings_.pool,
                                   {settings_.clusters});
  lanes_.for_each(mixture_.mixtures / lane_mixtures_ * chunks, [&](int lane, Index task) {
    const Index mixture = task / chunks * lane_mixtures_, begin = task % chunks * chunk;
    const Index count = std::min(chunk, settings_.pool - begin);
    work(lane).e_step.classify(
        lanes_.context(lane), mixture_, mixture, data(), first_row + begin, count,
        shared_.label.data() + mixture * settings_.pool + begin, settings_.pool,
        posterior.slice(mixture, lane_mixtures_).rows(begin, count), temperature);
  });
}

void Trainer::iterate(Index iteration) {
  const Index first_row = pool_start(iteration);
  train_classifiers(iteration);
  classify_pool(first_row, settings_.temperature);
  Context& ctx = lanes_.context(0);
  for (const Pin& pin : pins_) {
    const auto component = static_cast<std::int32_t>(pin.group % settings_.clusters);
    for (const std::int32_t row : pin.rows) {
      if (row < first_row || row >= first_row + settings_.pool) continue;
      ctx.copy_to_device(shared_.label.data() + pin.group / settings_.clusters * settings_.pool +
                             row - first_row,
                         &component, sizeof component);
    }
  }
  kernels::partition_rows(ctx, shared_.member.data(), shared_.begin.data(), pool_view());
  m_steps(static_cast<std::uint32_t>(settings_.pretrain + iteration), pool_view(),
          foreign_rows(iteration), first_row, true);
}

Report Trainer::check(Index iteration) {
  Context& ctx = lanes_.context(0);
  const Index restarts = settings_.restarts, clusters = settings_.clusters;
  Report report;
  report.iteration = iteration;
  report.mixtures.resize(static_cast<std::size_t>(restarts));
  std::vector<double> confidence(static_cast<std::size_t>(restarts), 0.0);
  std::vector<std::int32_t> label(static_cast<std::size_t>(restarts * settings_.pool));
  std::vector<std::int32_t> current(previous_.size());

  // Pool by pool over the whole data set, on the pool's own buffers.
  for (Index done = 0, next = 0; done < rows_; done = next + settings_.pool) {
    next = std::min(done, rows_ - settings_.pool);
    classify_pool(next, 1.0);
    const auto posterior = download(ctx, shared_.posterior);
    ctx.copy_to_host(label.data(), shared_.label.data(), label.size() * sizeof(std::int32_t));
    for (Index r = 0; r < restarts; ++r) {
      for (Index p = done - next; p < settings_.pool; ++p) {
        const std::int32_t component = label[static_cast<std::size_t>(r * settings_.pool + p)];
        current[static_cast<std::size_t>(r * rows_ + next + p)] = component;
        const Index row = (r * settings_.pool + p) * clusters;
        confidence[static_cast<std::size_t>(r)] +=
            *std::max_element(posterior.begin() + row, posterior.begin() + row + clusters);
      }
    }
  }

  const auto real = download(ctx, losses_.real), fake = download(ctx, losses_.fake);
  const auto penalty = download(ctx, losses_.penalty);
  const auto generated = download(ctx, losses_.generated);
  const auto entropy = download(ctx, shared_.loss);
  for (Index r = 0; r < restarts; ++r) {
    Report::Mixture& m = report.mixtures[static_cast<std::size_t>(r)];
    m.sizes.assign(static_cast<std::size_t>(clusters), 0);
    Index changed = 0;
    for (Index p = r * rows_; p < (r + 1) * rows_; ++p) {
      const auto component = current[static_cast<std::size_t>(p)];
      ++m.sizes[static_cast<std::size_t>(component)];
      changed += component != previous_[static_cast<std::size_t>(p)];
    }
    m.changed = static_cast<double>(changed) / static_cast<double>(rows_);
    m.confidence = confidence[static_cast<std::size_t>(r)] / static_cast<double>(rows_);
    m.diverged = !std::isfinite(m.confidence);
    m.classifier_loss = entropy[static_cast<std::size_t>(r)];
    m.critic_loss = mean_of(fake, r * clusters, clusters) - mean_of(real, r * clusters, clusters);
    m.penalty = mean_of(penalty, r * clusters, clusters);
    m.generator_loss = -mean_of(generated, r * clusters, clusters);
  }
  previous_ = std::move(current);
  return report;
}

// At most kMaxSplitRows evenly spaced rows of a component of `size` rows, split in two by 2-means:
// the rows of one half, none if they cannot be told apart.
std::vector<std::int32_t> Trainer::half_of(std::span<const std::int32_t> labels,
                                           std::int32_t component, Index size,
                                           const RandomKey& key) {
  constexpr Index kMaxSplitRows = 8192;  // enough to place a generator; bounds work and memory
  const Index stride = (size + kMaxSplitRows - 1) / kMaxSplitRows;
  std::vector<std::int32_t> rows;
  Index seen = 0;
  for (Index p = 0; p < rows_; ++p) {
    if (labels[static_cast<std::size_t>(p)] == component && seen++ % stride == 0) {
      rows.push_back(static_cast<std::int32_t>(p));
    }
  }
  if (rows.size() < 2) return {};
  Context& ctx = lanes_.context(0);
  const Index features = item_.count(), count = static_cast<Index>(rows.size());
  std::vector<float> values(static_cast<std::size_t>(count * features));
  for (Index i = 0; i < count; ++i) {
    ctx.copy_to_host(values.data() + i * features,
                     data_.data() + rows[static_cast<std::size_t>(i)] * features,
                     static_cast<std::size_t>(features) * sizeof(float));
  }
  Lanes host({}, MathMode::fp32, lanes_.count());
  const auto halves = kmeans({values.data(), 1, count, item_}, 2, key, host).labels;
  std::vector<std::int32_t> half;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (halves[i] == 1) half.push_back(rows[i]);
  }
  return half;
}

// A component without points starts again on half of the largest one. (The points that the
// classifier is least sure of were tried first: they lie between components, not where two true
// clusters share one, and the restarted component lost them again.)
void Trainer::restart_empty(Report& report, Index iteration) {
  std::erase_if(pins_, [&](const Pin& pin) { return pin.until <= iteration; });
  Context& ctx = lanes_.context(0);
  const Index clusters = settings_.clusters;
  for (Index r = 0; r < settings_.restarts; ++r) {
    Report::Mixture& m = report.mixtures[static_cast<std::size_t>(r)];
    if (m.diverged || std::ranges::count(m.sizes, 0) == 0) continue;
    // Labels and sizes as the splits leave them, so that two empty components share nothing.
    auto sizes = m.sizes;
    std::vector<std::int32_t> labels(previous_.begin() + r * rows_,
                                     previous_.begin() + (r + 1) * rows_);
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
      m.restarted.push_back(component);
      for (const std::int32_t row : rows) {
        labels[static_cast<std::size_t>(row)] = static_cast<std::int32_t>(component);
      }
      sizes[static_cast<std::size_t>(largest)] -= static_cast<Index>(rows.size());
      sizes[static_cast<std::size_t>(component)] += static_cast<Index>(rows.size());
      pins_.push_back({group, iteration + std::max(settings_.pretrain, settings_.check_every),
                       std::move(rows)});
      for (auto* store : {&mixture_.generator_params, &mixture_.critic_params}) {
        store->initialize(ctx, settings_.seed, generation, group, 1);
      }
      kernels::optimizer_reset<float>(ctx, mixture_.generator_params.range(group, 1).slabs(),
                                      settings_.optimizer());
      kernels::optimizer_reset<float>(ctx, mixture_.critic_params.range(group, 1).slabs(),
                                      settings_.critic_optimizer());
    }
  }
}

TrainingOutcome Trainer::run(const TrainerCallbacks& callbacks) {
  const auto start = std::chrono::steady_clock::now();
  const auto cancelled = [&] { return callbacks.cancelled && callbacks.cancelled(); };
  TrainingOutcome outcome;
  Index settled = 0;  // checks in a row with few changes
  std::vector<std::int32_t> in_file_order(previous_.size());
  const auto report_now = [&](Index iteration) {
    Report report = check(iteration);
    if (settings_.restart_empty && iteration < settings_.iterations && !outcome.cancelled) {
      restart_empty(report, iteration);
    }
    report.seconds = seconds_since(start);
    double largest_change = 0;
    outcome.confidence.clear();
    for (Index r = 0; r < settings_.restarts; ++r) {
      const auto& m = report.mixtures[static_cast<std::size_t>(r)];
      largest_change = std::max(largest_change, m.restarted.empty() ? m.changed : 1.0);
      outcome.confidence.push_back(m.confidence);
      for (Index p = 0; p < rows_; ++p) {
        in_file_order[static_cast<std::size_t>(r * rows_ + order_[static_cast<std::size_t>(p)])] =
            previous_[static_cast<std::size_t>(r * rows_ + p)];
      }
    }
    report.assignments = in_file_order;
    const bool all_diverged = std::ranges::all_of(report.mixtures, &Report::Mixture::diverged);
    require<Error>(!all_diverged, "training diverged at iteration ", iteration,
                   ": the posteriors of every restart are not numbers any more; lower the learning "
                   "rate or check the scaling of the data");
    if (callbacks.report) callbacks.report(report);
    const bool few =
        largest_change < settings_.tolerance && sigma_settled(iteration) && pins_.empty();
    settled = few ? settled + 1 : 0;
  };

  pretrain(callbacks);
  outcome.cancelled = cancelled();
  for (Index i = 0; i < settings_.iterations && !outcome.converged && !outcome.cancelled; ++i) {
    iterate(i);
    ++outcome.iterations;
    if (callbacks.progress) callbacks.progress(i);
    outcome.cancelled = cancelled();
    if ((i + 1) % settings_.check_every == 0) {
      report_now(i + 1);
      outcome.converged = settled >= settings_.patience;
    }
  }
  if (outcome.iterations % settings_.check_every != 0 || outcome.iterations == 0) {
    report_now(outcome.iterations);
  }
  outcome.assignments = std::move(in_file_order);
  outcome.seconds = seconds_since(start);
  return outcome;
}

Model Trainer::extract(std::span<const Index> mixtures) {
  Context& ctx = lanes_.context(0);
  Model model;
  model.settings = settings_;
  model.settings.restarts = static_cast<Index>(mixtures.size());
  model.item = item_;
  const auto add = [&](const nn::ParamStore<float>& store, Index per_mixture) {
    const auto& specs = store.layout().specs();
    for (std::size_t i = 0; i < specs.size(); ++i) {
      const auto all = store.download(ctx, static_cast<int>(i));
      const Index count = per_mixture * specs[i].shape.count();  // values of one mixture
      Model::Tensor tensor;
      tensor.shape = {model.settings.restarts * per_mixture};
      for (int axis = 0; axis < specs[i].shape.rank(); ++axis) {
        tensor.shape.push_back(specs[i].shape[axis]);
      }
      for (const Index mixture : mixtures) {
        tensor.values.insert(tensor.values.end(), all.begin() + mixture * count,
                             all.begin() + (mixture + 1) * count);
      }
      model.tensors[specs[i].name] = std::move(tensor);
    }
  };
  add(mixture_.generator_params, settings_.clusters);
  add(mixture_.critic_params, settings_.clusters);
  add(mixture_.classifier_params, 1);
  return model;
}

}  // namespace ganmm
