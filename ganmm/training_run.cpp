#include "ganmm/training_run.h"

#include "ganmm/gaussian_mixture.h"
#include "ganmm/gaussian_start.h"
#include "ganmm/kmeans.h"
#include "kernels/core/rng.h"
#include "kernels/core/trace.h"

#include <algorithm>
#include <cmath>

namespace ganmm {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

template <class T>
TrainingRun<T>::TrainingRun(const Settings& settings, std::span<float> values, Index rows,
                            Shape item, std::span<const std::int32_t> initial, Lanes& lanes,
                            bool launches)
    : settings_(settings), lanes_(lanes), arena_(lanes.device()), rows_(rows), item_(item),
      lane_groups_(lanes.device().kind == DeviceKind::cpu ? 1
                                                          : settings.restarts * settings.clusters),
      lane_mixtures_(lanes.device().kind == DeviceKind::cpu ? 1 : settings.restarts),
      mixture_(arena_, settings_, item, nn::StoreUse::training), values_(values),
      order_(rows, settings.seed),
      data_(arena_.request<float>("data", lanes.device().kind == DeviceKind::cpu
                                              ? 0
                                              : checked_multiply(rows, item.count()))),
      shared_(arena_, mixture_, settings_, rows), losses_(arena_, mixture_.groups()),
      generation_(static_cast<std::size_t>(mixture_.groups()), 0) {
  const Index pins =
      settings_.restart_empty ? mixture_.groups() * std::min(rows, kMaxSplitRows) : 0;
  pin_row_ = arena_.request<std::int32_t>("rows of restarted components", pins);
  pin_group_ = arena_.request<std::int32_t>("rows of restarted components", pins);
  pin_count_ = arena_.request<std::int32_t>("rows of restarted components", 1);
  lanes_.plan_scratch();
  if (!main().on_cpu() && !mixture_.critics_assign()) {
    side_ = std::make_unique<Context>(lanes.device(), main().math());
    side_->set_conv_path(main().conv_path());
    side_->set_column_budget(main().column_budget());
  }
  for (int lane = 0; lane < lanes_.count(); ++lane) {
    Context& ctx = lanes_.context(lane);
    work_.push_back(std::make_unique<LaneWork>(arena_, ctx, side(lane), mixture_, settings_,
                                               lane_groups_, lane_mixtures_, rows));
    // Classification runs on the main stream, between classifier trainings.
    ctx.scratch().require_bytes(side(lane).scratch().bytes());
    ctx.scratch().require_bytes(kernels::draw_workspace(ctx, lane_groups_, settings_.pool));
    ctx.scratch().require_bytes(
        kernels::partition_workspace(ctx, settings_.restarts, settings_.clusters, settings_.pool));
  }
  launch_ = std::make_unique<EmLaunch<T>>(main(), mixture_, settings_, rows, launches);
  arena_.reserve();
  lanes_.reserve_scratch();
  if (side_ != nullptr) side_->scratch().reserve();
  load(initial);
}

template <class T>
Index TrainingRun<T>::memory_bytes() const {
  return arena_.bytes() + lanes_.scratch_bytes() +
         (side_ == nullptr ? 0 : side_->scratch().bytes());
}

template <class T>
std::vector<std::string> TrainingRun<T>::describe() const {
  const std::string& reason = work_.front()->m_step.layer_by_layer_because();
  std::vector<std::string> lines{reason.empty() ? "M-step: one op per iteration"
                                                : "M-step: layer by layer, because " + reason};
  const auto iterations = [&](const char* name, const std::string& declined) {
    lines.push_back(
        name + (declined.empty() ? ": many in one launch" : ": one by one, because " + declined));
  };
  iterations("pre-training", launch_->pretraining_declined_because());
  iterations("EM iterations", launch_->declined_because());
  const auto add = [&](const char* name, const auto& net) {
    for (const std::string& line : net.describe(main())) lines.push_back(name + (' ' + line));
  };
  add("generator", mixture_.generator);
  add("critic", mixture_.critic);
  if (!mixture_.critics_assign()) add("classifier", mixture_.classifier);
  return lines;
}

template <class T>
void TrainingRun<T>::set_meter(Meter* meter) {
  main().set_meter(meter);
  if (side_ != nullptr) side_->set_meter(meter);
}

template <class T>
void TrainingRun<T>::load(std::span<const std::int32_t> initial) {
  Context& ctx = main();
  const Index features = item_.count();
  const auto order = order_.order();
  if (ctx.on_cpu()) {
    order_.borrow(values_, features);
  } else {
    // Chunk by chunk: one copy per row would cost a device round trip each.
    const Index chunk = std::clamp<Index>((Index{1} << 22) / features, 1, rows_);
    std::vector<float> shuffled(static_cast<std::size_t>(chunk * features));
    for (Index first = 0; first < rows_; first += chunk) {
      const Index count = std::min(chunk, rows_ - first);
      for (Index p = 0; p < count; ++p) {
        const Index from = order[static_cast<std::size_t>(first + p)];
        std::copy_n(values_.data() + from * features, features, shuffled.data() + p * features);
      }
      ctx.copy_to_device(data_.data() + first * features, shuffled.data(),
                         static_cast<std::size_t>(count * features) * sizeof(float));
    }
  }
  std::vector<std::int32_t> target(static_cast<std::size_t>(shared_.fake_label.count()));
  for (std::size_t i = 0; i < target.size(); ++i) {
    target[i] = static_cast<std::int32_t>(static_cast<Index>(i) / settings_.batch);
  }
  ctx.copy_to_device(shared_.fake_label.data(), target.data(),
                     target.size() * sizeof(std::int32_t));
  std::vector<std::int32_t> staged(static_cast<std::size_t>(ctx.on_cpu() ? 0 : rows_));
  for (Index r = 0; r < settings_.restarts; ++r) {
    std::int32_t* assigned = shared_.assigned.data() + r * rows_;
    initial_labels(ctx.on_cpu() ? assigned : staged.data(), r, initial);
    if (!ctx.on_cpu()) {
      ctx.copy_to_device(assigned, staged.data(), staged.size() * sizeof(std::int32_t));
    }
  }

  const auto start = [&](auto& store, const kernels::OptimizerSettings& o) {
    store.initialize(ctx, settings_.seed, 0, 0, store.layout().groups());
    kernels::optimizer_reset<float>(ctx, store.all().slabs(), o);
  };
  start(mixture_.generator_params, settings_.optimizer());
  start(mixture_.critic_params, settings_.critic_optimizer());
  if (mixture_.critics_assign()) {  // the centres are zero
    const std::vector<float> one(static_cast<std::size_t>(mixture_.score_scale.count()), 1.0f);
    ctx.copy_to_device(mixture_.score_scale.data(), one.data(), one.size() * sizeof(float));
  } else {
    start(mixture_.classifier_params, settings_.classifier_optimizer());
  }
  if (settings_.start == GeneratorStart::gaussian) {
    std::vector<std::vector<std::int32_t>> rows;
    std::vector<std::int32_t> copy;
    for (Index r = 0; r < settings_.restarts; ++r) {
      const auto labels = labels_of(r, copy);
      for (std::int32_t component = 0; component < settings_.clusters; ++component) {
        rows.push_back(rows_of(labels, component, std::ranges::count(labels, component)));
      }
    }
    make_gaussians(0, rows);
  }
}

// On the host, from the caller's rows: once per fit, and once for a component that starts again.
template <class T>
void TrainingRun<T>::make_gaussians(Index first, std::span<const std::vector<std::int32_t>> rows) {
  Context& ctx = main();
  auto& store = mixture_.generator_params;
  const auto& specs = store.layout().specs();
  std::vector<std::vector<float>> tensors;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    tensors.push_back(store.download(ctx, static_cast<int>(i)));
  }
  const Index features = item_.count();
  const Index rank = gaussian_rank(settings_.noise, settings_.hidden, features);
  const auto order = order_.order();
  lanes_.for_each(static_cast<Index>(rows.size()), [&](int, Index k) {
    std::vector<const float*> values;
    for (const std::int32_t row : rows[static_cast<std::size_t>(k)]) {
      // On the CPU the caller's rows are in the run's order.
      const Index at = lanes_.device().kind == DeviceKind::cpu
                           ? Index{row}
                           : Index{order[static_cast<std::size_t>(row)]};
      values.push_back(values_.data() + at * features);
    }
    if (values.empty()) return;
    const auto weights = [&](std::size_t tensor) {
      const Index count = specs[tensor].shape.count();
      return std::span<float>(tensors[tensor])
          .subspan(static_cast<std::size_t>((first + k) * count), static_cast<std::size_t>(count));
    };
    make_gaussian({weights(0), weights(1), weights(2), weights(3)},
                  gaussian_of(values, features, rank));
  });
  for (std::size_t i = 0; i < specs.size(); ++i) {
    store.upload(ctx, static_cast<int>(i), tensors[i]);
  }
}

// label: [n] in data (shuffled) order.
template <class T>
void TrainingRun<T>::initial_labels(std::int32_t* label, Index mixture,
                                    std::span<const std::int32_t> initial) {
  const auto group = static_cast<std::uint32_t>(mixture);
  switch (settings_.init) {
  case InitialPartition::random:
    permute({label, static_cast<std::size_t>(rows_)}, settings_.seed, Purpose::partition, group);
    for (Index p = 0; p < rows_; ++p) {
      label[p] %= static_cast<std::int32_t>(settings_.clusters);
    }
    break;
  case InitialPartition::kmeans:
    std::ranges::copy(kmeans(data(), {.clusters = settings_.clusters},
                             {settings_.seed, Purpose::kmeans, group, 0}, lanes_)
                          .best.labels,
                      label);
    break;
  case InitialPartition::gmm: {
    const RandomKey key{settings_.seed, Purpose::kmeans, group, 0};
    // The rows are shuffled, so that the first ones are a sample.
    const auto sample = data().rows(0, std::min(rows_, kMaxMixtureRows));
    const GaussianMixtureRuns runs = fit_gaussian_mixture(
        sample, {.clusters = settings_.clusters, .regularization = settings_.regularization},
        gaussian_mixture_start(sample, settings_.clusters, 1, key, lanes_), lanes_);
    for (Index first = 0; first < rows_; first += kMaxMixtureRows) {
      const Index count = std::min(kMaxMixtureRows, rows_ - first);
      const auto part = data().rows(first, count);
      std::ranges::copy(predict_gaussians(runs.best.mixture, part, lanes_).assignments,
                        label + first);
    }
    break;
  }
  case InitialPartition::mixed:
    throw ConfigError("initial partition: expected that of one training, found mixed");
  case InitialPartition::given:
    require<ConfigError>(static_cast<Index>(initial.size()) == rows_,
                         "initial partition: expected a component for each of ", rows_,
                         " rows, found ", initial.size());
    for (Index p = 0; p < rows_; ++p) {
      const std::int32_t row = order_.order()[static_cast<std::size_t>(p)];
      label[p] = initial[static_cast<std::size_t>(row)];
      require<ConfigError>(label[p] >= 0 && label[p] < settings_.clusters,
                           "initial partition: expected components 0 to ", settings_.clusters - 1,
                           ", found ", label[p], " for row ", row);
    }
    break;
  }
}

template <class T>
GroupView<const float> TrainingRun<T>::data() const {
  return {lanes_.device().kind == DeviceKind::cpu ? values_.data() : data_.data(), 1, rows_, item_};
}

template <class T>
kernels::PoolView TrainingRun<T>::pool_view() const {
  return {shared_.label.data(), shared_.posterior.data(), settings_.restarts, settings_.clusters,
          settings_.pool};
}

template <class T>
Index TrainingRun<T>::foreign_rows(Index iteration) const {
  const auto step = std::find_if(settings_.sigma.begin(), settings_.sigma.end() - 1,
                                 [&](const SigmaStep& s) { return iteration < s.until; });
  return static_cast<Index>(std::lround(step->foreign * static_cast<double>(settings_.batch)));
}

// EM iterations from `iteration` on that one launch can do: up to the next check, with the same
// share of foreign rows.
template <class T>
Index TrainingRun<T>::launched_together(Index iteration) const {
  const Index most = std::min({kLaunchIterations, settings_.iterations - iteration,
                               settings_.check_every - iteration % settings_.check_every});
  Index count = 1;
  while (count < most && foreign_rows(iteration + count) == foreign_rows(iteration)) ++count;
  return count;
}

template <class T>
kernels::PinView TrainingRun<T>::pins() const {
  return {pin_row_.data(), pin_group_.data(), pin_count_.data(), pin_row_.count()};
}

template <class T>
bool TrainingRun<T>::sigma_settled(Index iteration) const {
  return settings_.sigma.size() < 2 ||
         iteration >= settings_.sigma[settings_.sigma.size() - 2].until;
}

template <class T>
void TrainingRun<T>::m_steps(const kernels::PoolView& pool, Index foreign, bool clip,
                             const std::function<void()>& generators_ready) {
  const kernels::DrawSettings draw{settings_.critic_steps,
                                   settings_.batch,
                                   foreign,
                                   pool.rows == rows_ ? nullptr : &clock()->first_row,
                                   {settings_.seed, Purpose::real_rows, 0, 0, &clock()->step, 1}};
  const MStepRows rows{data(), shared_.row.data()};
  const Index per_group = settings_.critic_steps * settings_.batch;
  lanes_.for_each(mixture_.groups() / lane_groups_, [&](int lane, Index task) {
    Context& ctx = lanes_.context(lane);
    const Index first = task * lane_groups_;
    kernels::draw_rows(ctx, shared_.row.data() + first * per_group, first, lane_groups_, pool,
                       shared_.member.data(), shared_.begin.data(), draw);
    work(lane).m_step.run(ctx, mixture_, first, rows, losses_, clock(), clip, generators_ready);
  });
}

template <class T>
void TrainingRun<T>::partition_assigned() {
  kernels::window_labels(main(), shared_.label.data(), settings_.pool, shared_.assigned.data(),
                         settings_.restarts, rows_, &clock()->first_row);
  kernels::partition_rows(main(), shared_.member.data(), shared_.begin.data(), pool_view());
}

// On the first partition, seen through the pool: rows of it where the data set is larger.
template <class T>
void TrainingRun<T>::pretrain_iteration() {
  if (settings_.pool < rows_) partition_assigned();
  // Draws without foreign rows read the partition alone.
  m_steps({nullptr, nullptr, settings_.restarts, settings_.clusters, settings_.pool}, 0,
          settings_.clip_in_pretraining, {});
  kernels::advance(main(), shared_.clock.data(), settings_.pool, rows_);
}

// classifier_steps steps from number `first_step` of this iteration on.
template <class T>
void TrainingRun<T>::train_classifiers(Index first_step) {
  [[maybe_unused]] const TraceRange range("classifiers");
  for (Index step = first_step; step < first_step + settings_.classifier_steps; ++step) {
    lanes_.for_each(mixture_.groups() / lane_groups_, [&](int lane, Index task) {
      work(lane).e_step.make_fakes(side(lane), mixture_, shared_, task * lane_groups_, clock(),
                                   step);
    });
    lanes_.for_each(mixture_.mixtures / lane_mixtures_, [&](int lane, Index task) {
      work(lane).e_step.train_classifier(side(lane), mixture_, shared_, task * lane_mixtures_);
    });
  }
}

// The same on the side stream, after the work that the main stream has; joined_ marks the end.
template <class T>
void TrainingRun<T>::train_classifiers_beside(Index first_step) {
  forked_.record(main());
  side_->stream().wait(forked_);
  train_classifiers(first_step);
  joined_.record(*side_);
}

// With nothing beside them.
template <class T>
void TrainingRun<T>::train_classifiers_alone(Index first_step) {
  if (side_ == nullptr) {
    train_classifiers(first_step);
  } else {
    train_classifiers_beside(first_step);
    main().stream().wait(joined_);
  }
}

// A first partition that was found counts for as long as it is what rows are assigned by: before
// the first assignment the classifiers learn it, from generators that have. (Untrained ones scatter
// the rows, and it takes some hundred iterations to get part of the partition back.) A random
// partition is nothing to learn. Returns whether they were cancelled.
template <class T>
bool TrainingRun<T>::pretrain_classifiers(const std::function<bool()>& cancelled) {
  if (settings_.critics_assign() || settings_.init == InitialPartition::random) return false;
  // Samples that none of the first 2^30 classifier steps draws.
  constexpr Index kFirst = Index{1} << 30;
  for (Index i = 0; i < settings_.pretrain; ++i) {
    train_classifiers_alone(kFirst + i * settings_.classifier_steps);
    if (cancelled()) return true;
  }
  return false;
}

// Of the networks as they are; nothing where classifiers assign or raw scores decide.
template <class T>
void TrainingRun<T>::calibrate_scores() {
  if (!settings_.critics_assign() || settings_.critic_score == CriticScore::raw) return;
  [[maybe_unused]] const TraceRange range("score statistics");
  lanes_.for_each(mixture_.groups() / lane_groups_, [&](int lane, Index task) {
    work(lane).e_step.calibrate(lanes_.context(lane), mixture_, shared_, task * lane_groups_,
                                clock());
  });
}

template <class T>
void TrainingRun<T>::classify_pool() {
  [[maybe_unused]] const TraceRange range("classify the pool");
  const Index chunk = work(0).e_step.chunk();
  const Index chunks = (settings_.pool + chunk - 1) / chunk;
  const GroupView<float> posterior(shared_.posterior.data(), settings_.restarts, settings_.pool,
                                   {settings_.clusters});
  lanes_.for_each(mixture_.mixtures / lane_mixtures_ * chunks, [&](int lane, Index task) {
    const Index mixture = task / chunks * lane_mixtures_, begin = task % chunks * chunk;
    const Index count = std::min(chunk, settings_.pool - begin);
    Context& ctx = lanes_.context(lane);
    EStep<T>& e_step = work(lane).e_step;
    e_step.classify(ctx, mixture_, mixture, e_step.pool_rows(ctx, data(), clock(), begin, count),
                    shared_.label.data() + mixture * settings_.pool + begin, settings_.pool,
                    posterior.slice(mixture, lane_mixtures_).rows(begin, count),
                    settings_.temperature);
  });
}

template <class T>
void TrainingRun<T>::em_iteration(Index foreign) {
  Context& ctx = main();
  classify_pool();
  kernels::pin_labels(ctx, shared_.label.data(), pins(), settings_.clusters, settings_.pool,
                      &clock()->first_row);
  kernels::partition_rows(ctx, shared_.member.data(), shared_.begin.data(), pool_view());
  if (side_ == nullptr) {
    m_steps(pool_view(), foreign, true, {});
    train_classifiers(settings_.classifier_steps);
  } else {
    // Only the generators tie the classifiers to the rest of the iteration.
    m_steps(pool_view(), foreign, true,
            [&] { train_classifiers_beside(settings_.classifier_steps); });
    ctx.stream().wait(joined_);
  }
  kernels::advance(ctx, shared_.clock.data(), settings_.pool, rows_);
  calibrate_scores();
}

template <class T>
TrainingOutcome TrainingRun<T>::run(const TrainerCallbacks& callbacks) {
  const auto start = std::chrono::steady_clock::now();
  const auto cancelled = [&] { return callbacks.cancelled && callbacks.cancelled(); };
  TrainingOutcome outcome;
  Index settled = 0;  // checks in a row with few changes
  std::vector<std::int32_t> in_file_order;
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
    }
    if (callbacks.assignments) assignments_in_file_order(in_file_order);
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

  if (settings_.pool == rows_) partition_assigned();
  iteration_.clear();
  const auto progress = [&](Index first, Index count) {
    for (Index i = first; callbacks.progress && i < first + count; ++i) callbacks.progress(i);
  };
  for (Index done = 0; done < settings_.pretrain && !outcome.cancelled;) {
    Index count = 1;
    if (launch_->pretraining_declined_because().empty()) {
      count = std::min(kLaunchIterations, settings_.pretrain - done);
      launch_->pretrain(main(), mixture_, data(), shared_, losses_, pins(), count);
    } else {
      iteration_.run(main(), [this] { pretrain_iteration(); });
    }
    progress(done - settings_.pretrain, count);
    done += count;
    outcome.cancelled = cancelled();
  }

  outcome.cancelled = outcome.cancelled || pretrain_classifiers(cancelled);
  // Those of the first iteration; all others are trained beside the critics of the one before.
  train_classifiers_alone(0);
  calibrate_scores();
  Index recorded_foreign = -1;
  Index& done = outcome.iterations;
  while (done < settings_.iterations && !outcome.converged && !outcome.cancelled) {
    const Index foreign = foreign_rows(done);
    Index count = 1;
    if (launch_->declined_because().empty()) {
      count = launched_together(done);
      launch_->run(main(), mixture_, data(), shared_, losses_, pins(), foreign, count);
    } else {
      if (foreign != recorded_foreign) iteration_.clear();
      recorded_foreign = foreign;
      iteration_.run(main(), [&] { em_iteration(foreign); });
    }
    progress(done, count);
    done += count;
    outcome.cancelled = cancelled();
    if (done % settings_.check_every == 0) {
      report_now(done);
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

template <class T>
Model TrainingRun<T>::extract(std::span<const Index> mixtures) {
  Context& ctx = main();
  calibrate_scores();  // a model of pre-training has none yet
  Model model;
  model.settings = settings_;
  model.settings.restarts = static_cast<Index>(mixtures.size());
  model.item = item_;
  // A tensor [all mixtures * per_mixture][shape], of these mixtures alone.
  const auto add_tensor = [&](const std::string& name, const std::vector<float>& all,
                              const Shape& shape, Index per_mixture) {
    const Index count = per_mixture * shape.count();  // values of one mixture
    Model::Tensor& tensor = model.tensors[name];
    tensor.shape = {model.settings.restarts * per_mixture};
    for (int axis = 0; axis < shape.rank(); ++axis) tensor.shape.push_back(shape[axis]);
    for (const Index mixture : mixtures) {
      tensor.values.insert(tensor.values.end(), all.begin() + mixture * count,
                           all.begin() + (mixture + 1) * count);
    }
  };
  const auto add = [&](const auto& store, Index per_mixture) {
    const auto& specs = store.layout().specs();
    for (std::size_t i = 0; i < specs.size(); ++i) {
      add_tensor(specs[i].name, store.download(ctx, static_cast<int>(i)), specs[i].shape,
                 per_mixture);
    }
  };
  add(mixture_.generator_params, settings_.clusters);
  add(mixture_.critic_params, settings_.clusters);
  if (mixture_.critics_assign()) {
    std::vector<float> values(static_cast<std::size_t>(mixture_.groups()));
    const auto add_scores = [&](const char* name, const Buffer<float>& buffer) {
      ctx.copy_to_host(values.data(), buffer.data(), values.size() * sizeof(float));
      add_tensor(name, values, {}, settings_.clusters);
    };
    add_scores(kScoreCentre, mixture_.score_centre);
    add_scores(kScoreScale, mixture_.score_scale);
  } else {
    add(mixture_.classifier_params, 1);
  }
  return model;
}

template class TrainingRun<float>;
template class TrainingRun<BFloat16>;

}  // namespace ganmm
