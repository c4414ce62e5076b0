#include "ganmm/metrics.h"
#include "ganmm/trainer.h"
#include "tests/support/blobs.h"
#include "tests/support/trained.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>

using namespace ganmm;

namespace {

constexpr std::array kStarts{InitialPartition::random, InitialPartition::kmeans,
                             InitialPartition::gmm};

Settings quick(Index clusters, Index restarts) {
  Settings s;
  s.clusters = clusters;
  s.restarts = restarts;
  s.hidden = 16;
  s.noise = 8;
  s.batch = 20;
  s.pretrain = 10;
  s.iterations = 40;
  s.check_every = 20;
  s.sigma = {{10, 0.5}, {0, 0.1}};
  return s;
}

struct Run {
  TrainingOutcome outcome;
  Model model;
};

// A Trainer with all that must outlive it.
struct Training {
  Training(const Settings& s, const io::Dataset& data, int threads,
           std::span<const std::int32_t> initial = {})
      : lanes({}, MathMode::fp32, threads), settings(s.resolved(data.rows, data.item)),
        values(data.values), trainer(settings, values, data.rows, data.item, initial, lanes) {}
  Lanes lanes;
  Settings settings;
  std::vector<float> values;
  Trainer trainer;
};

Run train(const Settings& settings, const io::Dataset& data, int threads,
          const TrainerCallbacks& callbacks = {}, std::span<const std::int32_t> initial = {}) {
  Training training(settings, data, threads, initial);
  Run run;
  run.outcome = training.trainer.run(callbacks);
  run.model = test::extract_all(training.trainer, training.settings.restarts);
  return run;
}

}  // namespace

TEST_CASE("trainer: the same seed gives the same bits for one, two and five lanes") {
  const auto data = test::blobs(300, 3, 4);
  for (const auto objective : {Objective::wgan_gp, Objective::wgan_clip, Objective::gan}) {
    for (const auto init : kStarts) {
      Settings s = quick(4, 3);
      s.objective = objective;
      s.init = init;
      s.pool = 128;  // several pools: the walk over the data takes part
      const Run one = train(s, data, 1), two = train(s, data, 2), five = train(s, data, 5);
      CHECK(one.outcome.assignments == two.outcome.assignments);
      CHECK(one.outcome.confidence == two.outcome.confidence);
      CHECK(test::same_tensors(one.model, two.model));
      CHECK(test::same_tensors(one.model, five.model));
    }
  }
}

TEST_CASE("trainer: another seed gives another run") {
  const auto data = test::blobs(200, 2, 3);
  Settings s = quick(3, 1);
  const Run a = train(s, data, 1);
  s.seed = 1;
  CHECK_FALSE(test::same_tensors(a.model, train(s, data, 1).model));
}

TEST_CASE("trainer: mixture 0 of three is the mixture that trains alone") {
  const auto data = test::blobs(250, 3, 4);
  for (const auto init : kStarts) {
    Settings s = quick(4, 3);
    s.init = init;
    const Run three = train(s, data, 1);
    s.restarts = 1;
    const Run one = train(s, data, 1);
    const auto first = std::span(three.outcome.assignments).first(250);
    CHECK(std::equal(first.begin(), first.end(), one.outcome.assignments.begin()));
    for (const auto& [name, tensor] : one.model.tensors) {
      const auto& all = three.model.tensors.at(name).values;
      CHECK(std::equal(tensor.values.begin(), tensor.values.end(), all.begin()));
    }
  }
}

TEST_CASE("trainer: generators begin as the Gaussians of their rows") {
  const auto data = test::blobs(300, 3, 3);
  Settings s = quick(3, 2);
  s.init = InitialPartition::given;
  s.start = GeneratorStart::gaussian;
  s.pretrain = 0;
  s.iterations = 1;
  s.learning_rate = 1e-12;  // they stay what they are
  const Model model = train(s, data, 2, {}, data.labels).model;
  // The same from the second mixture's generators, whose random weights were others.
  Lanes lanes({}, MathMode::fp32, 1);
  Model plain = model;
  plain.scaling = {{0.0}, {1.0}};
  plain.joint.assign(18, 0.0f);
  for (const std::size_t own : {9U, 13U, 17U}) plain.joint[own] = 1;
  const Index count = 2000;
  for (Index cluster = 0; cluster < 3; ++cluster) {
    const auto samples = sample(plain, cluster, count, 5, lanes);
    for (Index f = 0; f < 3; ++f) {
      double mean = 0, square = 0, wanted = 0;
      for (Index row = 0; row < count; ++row) {
        const auto x = static_cast<double>(samples[static_cast<std::size_t>(row * 3 + f)]);
        mean += x / count;
        square += x * x / count;
      }
      for (Index row = cluster; row < 300; row += 3) {
        wanted += static_cast<double>(data.values[static_cast<std::size_t>(row * 3 + f)]) / 100;
      }
      // Deviation 0.05: five standard errors of a mean of 2000, and of a deviation, which that of
      // the 100 rows misses by some 7 %.
      CHECK(std::abs(mean - wanted) < 5 * 0.05 / std::sqrt(2000.0));
      CHECK(std::sqrt(square - mean * mean) == doctest::Approx(0.05).epsilon(0.3));
    }
  }
}

TEST_CASE("trainer: convolutional nets train with every objective and leave the start") {
  const auto data = test::small_images(60, 9, 7);
  for (const auto objective : {Objective::wgan_gp, Objective::wgan_clip, Objective::gan}) {
    Settings s = quick(2, 1);
    s.net = NetKind::conv;
    s.objective = objective;
    s.width = 2;
    s.pretrain = 2;
    s.iterations = 3;
    const Run one = train(s, data, 1), two = train(s, data, 2);
    CHECK(test::same_tensors(one.model, two.model));
    for (const auto& [name, tensor] : one.model.tensors) {
      for (const float value : tensor.values) REQUIRE(std::isfinite(value));
    }
    if (objective == Objective::wgan_clip) {
      for (const float w : one.model.tensors.at("critic.0.weight").values) {
        CHECK(std::abs(w) <= 0.01f);
      }
    }
  }
}

TEST_CASE("trainer: reports carry complete partitions in file order") {
  const auto data = test::blobs(101, 2, 3);
  TrainerCallbacks callbacks;
  std::vector<Index> iterations;
  callbacks.report = [&](const Report& report) {
    iterations.push_back(report.iteration);
    REQUIRE(report.mixtures.size() == 2);
    REQUIRE(report.assignments.size() == 202);
    for (std::size_t r = 0; r < 2; ++r) {
      const auto& m = report.mixtures[r];
      std::vector<Index> sizes(3, 0);
      for (std::size_t p = 0; p < 101; ++p) {
        ++sizes[static_cast<std::size_t>(report.assignments[r * 101 + p])];
      }
      CHECK(sizes == m.sizes);
      CHECK(m.confidence > 1.0 / 3 - 1e-6);
      CHECK(m.confidence <= 1.0);
      CHECK(m.changed >= 0.0);
      CHECK(m.changed <= 1.0);
      CHECK(m.classifier_loss > 0.0);
      CHECK(m.penalty >= 0.0);
    }
  };
  Settings s = quick(3, 2);
  s.iterations = 50;
  s.pool = 40;
  (void)train(s, data, 1, callbacks);
  CHECK(iterations == std::vector<Index>{20, 40, 50});
}

TEST_CASE("trainer: labels of some rows are those of the last check") {
  Training training(quick(3, 3), test::blobs(150, 2, 3), 2);
  const TrainingOutcome outcome = training.trainer.run({});
  const std::vector<Index> mixtures{0, 2}, rows{0, 3, 4, 77, 149};
  const auto labels = training.trainer.labels(mixtures, rows);
  REQUIRE(labels.size() == mixtures.size() * rows.size());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const Index r = mixtures[i / rows.size()], row = rows[i % rows.size()];
    CHECK(labels[i] == outcome.assignments[static_cast<std::size_t>(r * 150 + row)]);
  }
}

// One iteration after that the rows are where the partition had them; classifiers that have seen a
// single batch scatter them.
TEST_CASE("trainer: classifiers learn a first partition before they assign rows by it") {
  const auto data = test::blobs(300, 3, 4);
  Settings s = quick(4, 1);
  s.init = InitialPartition::given;
  s.sigma = {{0, 0.0}};
  s.pretrain = 300;
  s.iterations = 1;
  const auto kept = [&] {
    const Run run = train(s, data, 1, {}, data.labels);
    Index same = 0;
    for (std::size_t p = 0; p < 300; ++p) same += run.outcome.assignments[p] == data.labels[p];
    return same;
  };
  CHECK(kept() >= 285);
  s.pretrain = 0;
  CHECK(kept() < 270);
}

TEST_CASE("trainer: a given partition starts every mixture") {
  const auto data = test::blobs(90, 2, 3);
  Settings s = quick(3, 2);
  s.init = InitialPartition::given;
  s.iterations = 1;
  s.check_every = 1;
  s.pretrain = 0;
  double changed = -1;
  TrainerCallbacks callbacks;
  std::vector<std::int32_t> after;
  callbacks.report = [&](const Report& report) {
    changed = report.mixtures[1].changed;
    after.assign(report.assignments.begin() + 90, report.assignments.end());
  };
  (void)train(s, data, 1, callbacks, data.labels);
  Index different = 0;
  for (std::size_t p = 0; p < 90; ++p) different += after[p] != data.labels[p];
  CHECK(changed == doctest::Approx(static_cast<double>(different) / 90));

  auto bad = data.labels;
  bad[17] = 3;
  CHECK_THROWS_AS((void)train(s, data, 1, {}, bad), ConfigError);
  bad.pop_back();
  CHECK_THROWS_AS((void)train(s, data, 1, {}, bad), ConfigError);
}

TEST_CASE("trainer: an empty component is restarted on half of the largest and keeps points") {
  const auto data = test::blobs(300, 2, 3);
  Settings s = quick(3, 1);
  s.init = InitialPartition::given;  // components 0 and 1; the latter holds two blobs
  auto initial = data.labels;
  std::replace(initial.begin(), initial.end(), 2, 1);
  s.pretrain = 200;
  s.iterations = 900;
  s.check_every = 20;
  s.learning_rate = 1e-3;
  Index restarts = 0;
  TrainerCallbacks callbacks;
  callbacks.report = [&](const Report& report) {
    const auto& m = report.mixtures[0];
    for (const Index component : m.restarted) {
      CHECK(m.sizes[static_cast<std::size_t>(component)] == 0);
      ++restarts;
    }
  };
  const Run run = train(s, data, 1, callbacks, initial);
  CHECK(restarts >= 1);
  CHECK(score(run.outcome.assignments, data.labels).ari > 0.95);

  s.restart_empty = false;
  restarts = 0;
  (void)train(s, data, 1, callbacks, initial);
  CHECK(restarts == 0);
}

TEST_CASE("trainer: two empty components get halves that share no point") {
  const auto data = test::blobs(400, 2, 4);
  Settings s = quick(4, 1);
  s.init = InitialPartition::given;  // two components hold two blobs each, two hold none
  auto initial = data.labels;
  for (auto& label : initial) label /= 2;
  s.pretrain = 200;
  s.iterations = 1500;
  s.check_every = 20;
  s.learning_rate = 1e-3;
  const Run run = train(s, data, 1, {}, initial);
  CHECK(score(run.outcome.assignments, data.labels).ari > 0.95);
}

TEST_CASE("trainer: a run whose restarts all diverge ends with an error that says what to do") {
  const auto data = test::blobs(60, 2, 3);
  Settings s = quick(3, 2);
  s.learning_rate = 1e30;
  CHECK_THROWS_WITH_AS((void)train(s, data, 1), doctest::Contains("training diverged"), Error);
}

TEST_CASE("trainer: it stops when the labels have settled and says so") {
  const auto data = test::blobs(200, 2, 2);
  Settings s = quick(2, 1);
  s.init = InitialPartition::kmeans;
  s.learning_rate = 1e-3;
  s.iterations = 5000;
  s.check_every = 10;
  s.patience = 10;  // three checks settle while the classifier is still crude
  s.tolerance = 0.01;
  const Run run = train(s, data, 1);
  CHECK(run.outcome.converged);
  CHECK(run.outcome.iterations < 5000);
  CHECK(score(run.outcome.assignments, data.labels).ari > 0.95);
}

TEST_CASE("trainer: cancelling keeps a complete result") {
  const auto data = test::blobs(100, 2, 3);
  Settings s = quick(3, 1);
  int polls = 0;
  TrainerCallbacks callbacks;
  callbacks.cancelled = [&] { return ++polls > 15; };
  const Run run = train(s, data, 1, callbacks);
  CHECK(run.outcome.cancelled);
  CHECK(run.outcome.iterations < s.iterations);
  CHECK(run.outcome.assignments.size() == 100);
}

TEST_CASE("trainer: cancelling ends the steps that classifiers learn the first partition by") {
  const auto data = test::blobs(100, 2, 3);
  Settings s = quick(3, 1);
  s.init = InitialPartition::kmeans;
  s.pretrain = 20;
  int polls = 0;
  TrainerCallbacks callbacks;
  callbacks.cancelled = [&] { return ++polls > 25; };
  const Run run = train(s, data, 1, callbacks);
  CHECK(run.outcome.cancelled);
  CHECK(polls == 26);  // after 20 iterations of pre-training and 6 of 20 steps of the classifiers
  CHECK(run.outcome.iterations == 0);
  CHECK(run.outcome.assignments.size() == 100);
}

TEST_CASE("trainer: memory is planned completely before training") {
  Training training(quick(3, 2), test::blobs(100, 2, 3), 2);
  Trainer& trainer = training.trainer;
  Index sum = 0;
  for (const auto& request : trainer.memory_plan()) sum += aligned_bytes<std::byte>(request.bytes);
  CHECK(sum + training.lanes.scratch_bytes() == trainer.memory_bytes());
  const Index before = trainer.memory_bytes();
  (void)trainer.run({});
  CHECK(trainer.memory_bytes() == before);
}

TEST_CASE("trainer: the faults of the published code are reproduced on request") {
  const auto data = test::blobs(120, 3, 3);
  Settings s = Settings::reference();
  s.clusters = 3;
  s.hidden = 16;
  s.pretrain = 20;
  s.iterations = 5;
  s.learning_rate = 1e-2;
  Lanes lanes({}, MathMode::fp32, 1);
  const Settings resolved = s.resolved(data.rows, data.item);
  auto values = data.values;
  Trainer trainer(resolved, values, data.rows, data.item, {}, lanes);
  const Model before = trainer.extract(std::vector<Index>{0});
  bool unbounded_in_pretraining = false;
  TrainerCallbacks callbacks;
  callbacks.progress = [&](Index iteration) {
    if (iteration != -1) return;
    const Model now = trainer.extract(std::vector<Index>{0});
    for (const float w : now.tensors.at("critic.0.weight").values) {
      unbounded_in_pretraining = unbounded_in_pretraining || std::abs(w) > 0.01f;
    }
  };
  (void)trainer.run(callbacks);
  const Model after = trainer.extract(std::vector<Index>{0});
  CHECK(unbounded_in_pretraining);
  for (const float w : after.tensors.at("critic.0.weight").values) CHECK(std::abs(w) <= 0.01f);
  CHECK(after.tensors.at("classifier.1.weight").values ==
        before.tensors.at("classifier.1.weight").values);
  CHECK(after.tensors.at("classifier.0.weight").values !=
        before.tensors.at("classifier.0.weight").values);
}

TEST_CASE("trainer: beside the data only the labels of the last check grow with the rows") {
  const auto plan = [](Index rows) {
    auto data = test::blobs(rows, 2, 3);
    Lanes lanes({}, MathMode::fp32, 2);
    Settings s = quick(3, 2);
    s.pool = 1000;
    Trainer trainer(s.resolved(rows, data.item), data.values, rows, data.item, {}, lanes);
    return trainer.memory_bytes();
  };
  const Index grown = plan(20000) - plan(10000);
  CHECK(std::abs(grown - 10000 * 2 * 4) < 4096);  // requests are rounded up
}

TEST_CASE("trainer: one component is a single GAN that owns all rows") {
  const auto data = test::blobs(100, 2, 2);
  const Run run = train(quick(1, 2), data, 2);
  CHECK(run.outcome.confidence == std::vector<double>{1.0, 1.0});
  CHECK(run.outcome.assignments == std::vector<std::int32_t>(200, 0));
}
