// Training on a CUDA device against training on the CPU, from the same seed: the random numbers are
// the same bits, so weights differ by rounding alone.
//
// How far rounding carries: an optimiser divides by the root of the squared gradients, so in the
// first steps every weight moves by about the learning rate in the direction of its gradient's
// sign, however small that is. A weight whose gradient is rounding noise may therefore move the
// other way, up to twice the rate per step; all others differ by a small part of what they moved.
// Hence two bounds: none differs by more than both ways together, and few by more than a hundredth
// of one way.
#include "ganmm/trainer.h"
#include "tests/support/blobs.h"
#include "tests/support/trained.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

using namespace ganmm;

namespace {

constexpr Device kCuda{DeviceKind::cuda, 0};

Settings small(Index clusters, Index restarts, Objective objective) {
  Settings s;
  s.clusters = clusters;
  s.restarts = restarts;
  s.objective = objective;
  s.hidden = 12;
  s.noise = 5;
  s.batch = 7;
  s.critic_steps = 3;
  s.pretrain = 1;
  s.iterations = 2;
  s.check_every = 1;
  s.sigma = {{1, 0.5}, {0, 0.2}};
  s.restart_empty = false;  // which component is empty may hang on rounding
  return s;
}

struct Run {
  Model model;
  std::vector<Report> reports;
  std::vector<std::int32_t> assignments;
};

Run train(const Settings& settings, const io::Dataset& data, Device device, MathMode math) {
  Lanes lanes(device, math, 1);
  const Settings resolved = settings.resolved(data.rows, data.item);
  auto values = data.values;
  Trainer trainer(resolved, values, data.rows, data.item, {}, lanes);
  Run run;
  TrainerCallbacks callbacks;
  callbacks.report = [&](const Report& report) { run.reports.push_back(report); };
  run.assignments = trainer.run(callbacks).assignments;
  run.model = test::extract_all(trainer, resolved.restarts);
  return run;
}

// The share of weights of one network kind that differ by more than `small`, and the largest
// difference.
struct Difference {
  double share = 0, largest = 0;
};
Difference difference(const Model& a, const Model& b, const std::string& kind, double small) {
  Difference result;
  std::size_t count = 0, above = 0;
  for (const auto& [name, tensor] : a.tensors) {
    if (name.rfind(kind, 0) != 0) continue;
    const auto& other = b.tensors.at(name).values;
    REQUIRE(other.size() == tensor.values.size());
    for (std::size_t i = 0; i < other.size(); ++i) {
      const double d =
          std::abs(static_cast<double>(tensor.values[i]) - static_cast<double>(other[i]));
      REQUIRE(std::isfinite(d));
      result.largest = std::max(result.largest, d);
      above += d > small;
      ++count;
    }
  }
  REQUIRE(count > 0);
  result.share = static_cast<double>(above) / static_cast<double>(count);
  return result;
}

void check_agreement(const Settings& settings, const io::Dataset& data, MathMode math,
                     double share_allowed) {
  const Settings s = settings.resolved(data.rows, data.item);
  const Run cpu = train(s, data, {}, MathMode::fp32), gpu = train(s, data, kCuda, math);
  const auto steps = static_cast<double>(s.pretrain + s.iterations);
  const struct {
    const char* kind;
    double moved;
  } kinds[] = {
      {"generator", s.optimizer().learning_rate * steps},
      {"critic", s.critic_optimizer().learning_rate * steps * static_cast<double>(s.critic_steps)},
      {"classifier",
       s.classifier_optimizer().learning_rate * static_cast<double>(s.iterations + 1)}};
  for (const auto& [kind, moved] : kinds) {
    CAPTURE(kind);
    const Difference d = difference(cpu.model, gpu.model, kind, 0.01 * moved);
    CHECK(d.share <= share_allowed);
    CHECK(d.largest <= 4 * moved);  // Adam's first steps are up to twice the rate
  }
  REQUIRE(cpu.reports.size() == gpu.reports.size());
  std::size_t other = 0;
  for (std::size_t i = 0; i < cpu.assignments.size(); ++i) {
    other += cpu.assignments[i] != gpu.assignments[i];
  }
  CHECK(static_cast<double>(other) <= 0.05 * static_cast<double>(cpu.assignments.size()));
  const double accuracy = math == MathMode::fp32 ? 1e-3 : 5e-2;
  for (std::size_t i = 0; i < cpu.reports.size(); ++i) {
    for (std::size_t r = 0; r < cpu.reports[i].mixtures.size(); ++r) {
      const auto &a = cpu.reports[i].mixtures[r], &b = gpu.reports[i].mixtures[r];
      CHECK(std::accumulate(b.sizes.begin(), b.sizes.end(), Index{0}) == data.rows);
      CHECK(b.critic_loss == doctest::Approx(a.critic_loss).epsilon(accuracy).scale(1));
      CHECK(b.generator_loss == doctest::Approx(a.generator_loss).epsilon(accuracy).scale(1));
      CHECK(b.classifier_loss == doctest::Approx(a.classifier_loss).epsilon(accuracy).scale(1));
      if (s.objective == Objective::wgan_gp) {
        CHECK(b.penalty == doctest::Approx(a.penalty).epsilon(accuracy).scale(10));
      }
    }
  }
}

}  // namespace

TEST_SUITE("gpu") {
  TEST_CASE("trainer: dense nets train on CUDA as on the CPU") {
    const auto data = test::blobs(90, 3, 3);
    for (const auto objective : {Objective::wgan_gp, Objective::wgan_clip, Objective::gan}) {
      for (const Index clusters : {1, 7, 10}) {
        CAPTURE(clusters);
        check_agreement(small(clusters, clusters == 7 ? 2 : 1, objective), data, MathMode::fp32,
                        0.02);
      }
    }
  }

  TEST_CASE("trainer: a pool that walks through the data gives the same run on CUDA") {
    Settings s = small(3, 2, Objective::wgan_gp);
    s.pool = 40;
    s.classifier_steps = 2;
    check_agreement(s, test::blobs(90, 2, 3), MathMode::fp32, 0.02);
  }

  TEST_CASE("trainer: convolutional nets train on CUDA as on the CPU") {
    for (const auto objective : {Objective::wgan_gp, Objective::wgan_clip, Objective::gan}) {
      Settings s = small(2, 1, objective);
      s.net = NetKind::conv;
      s.width = 2;
      s.batch = 4;
      s.critic_steps = 2;
      check_agreement(s, test::small_images(30, 9, 7), MathMode::fp32, 0.02);
    }
  }

  TEST_CASE("trainer: bf16 storage stays close to single precision") {
    Settings s = small(2, 1, Objective::wgan_gp);
    // Gradients of the penalty are off by up to a tenth (docs/numerics.md), and Adam's first steps
    // see their signs alone.
    check_agreement(s, test::blobs(60, 3, 3), MathMode::bf16, 1.0);
  }

  TEST_CASE("trainer: the same seed gives the same bits on CUDA, in every math mode") {
    const auto data = test::blobs(60, 2, 3);
    for (const auto math : {MathMode::fp32, MathMode::tf32, MathMode::bf16}) {
      const Settings s = small(2, 2, Objective::wgan_gp);
      const Run a = train(s, data, kCuda, math), b = train(s, data, kCuda, math);
      CHECK(a.assignments == b.assignments);
      for (const auto& [name, tensor] : a.model.tensors) {
        CHECK(b.model.tensors.at(name).values == tensor.values);
      }
    }
  }
}
