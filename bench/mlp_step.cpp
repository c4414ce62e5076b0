// Time of one M-step of all components of small dense mixtures: in one op (kernels/mlp_step.h) and
// layer by layer. The two take turns, so that what else runs on the machine meets both alike; the
// figure is the fastest of the rounds.
//
//   ganmm_bench_mlp_step [rounds] [threads]
#include "ganmm/m_step.h"
#include "kernels/core/lanes.h"
#include "kernels/core/rng.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

namespace {

using namespace ganmm;

struct Shape3 {
  Index noise, hidden, features, clusters;
};

// Multiply-adds of all components, the padding that vectors need not counted
// (docs/performance.md).
double flops(const Settings& s, Index features) {
  const auto h = static_cast<double>(s.hidden), b = static_cast<double>(s.batch);
  const auto f = static_cast<double>(features), z = static_cast<double>(s.noise);
  const double generator = z * h + h * f, critic = f * h + h;
  const bool penalty = s.objective == Objective::wgan_gp;
  const double batches = penalty ? 3 : 2;
  double step = batches * critic + batches * h + batches * critic + generator;
  if (penalty) step += f * h + critic;  // input gradient, tangent
  const double generator_step = 2 * critic + generator + generator + h * f;
  return 2 * b * (static_cast<double>(s.critic_steps) * step + generator_step) *
         static_cast<double>(s.clusters);
}

struct Bench {
  Bench(const Settings& settings, Index rows, Index features, int threads, bool one_op)
      : s(settings), lanes({}, MathMode::fp32, threads), arena(Device{}),
        mixture(arena, s, {features}, nn::StoreUse::training),
        data(arena.request<float>("data", rows * features)),
        row(arena.request<std::int32_t>("rows", mixture.groups() * s.critic_steps * s.batch)),
        losses(arena, mixture.groups()), view_rows(rows), item(features) {
    lanes.plan_scratch();
    for (int lane = 0; lane < lanes.count(); ++lane) {
      steps.push_back(
          std::make_unique<MStep<float>>(arena, lanes.context(lane), mixture, s, 1, one_op));
    }
    arena.reserve();
    lanes.reserve_scratch();
    Context& ctx = lanes.context(0);
    for (Index i = 0; i < data.count(); ++i) {
      data.data()[i] = uniform01(philox(1, static_cast<std::uint32_t>(i), 0, 0, 0).word[0]);
    }
    for (Index i = 0; i < row.count(); ++i) {
      const auto word = philox(2, static_cast<std::uint32_t>(i), 0, 0, 0).word[0];
      row.data()[i] =
          static_cast<std::int32_t>(uniform_below(word, static_cast<std::uint32_t>(rows)));
    }
    mixture.generator_params.initialize(ctx, 1, 0, 0, mixture.groups());
    mixture.critic_params.initialize(ctx, 1, 0, 0, mixture.groups());
    kernels::optimizer_reset<float>(ctx, mixture.generator_params.all().slabs(), s.optimizer());
    kernels::optimizer_reset<float>(ctx, mixture.critic_params.all().slabs(), s.critic_optimizer());
  }

  // Milliseconds of one M-step, of `count` in a row.
  double run(Index count) {
    const MStepRows rows{{data.data(), 1, view_rows, {item}}, row.data()};
    const auto start = std::chrono::steady_clock::now();
    for (Index i = 0; i < count; ++i) {
      lanes.for_each(mixture.groups(), [&](int lane, Index task) {
        steps[static_cast<std::size_t>(lane)]->run(lanes.context(lane), mixture, task, rows, losses,
                                                   &clock, true);
      });
      ++clock.step;
    }
    const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
    return time.count() / static_cast<double>(count);
  }

  Settings s;
  Lanes lanes;
  Arena arena;
  Mixture<> mixture;
  Buffer<float> data;
  Buffer<std::int32_t> row;
  MStepLosses losses;
  Index view_rows, item;
  std::vector<std::unique_ptr<MStep<float>>> steps;
  kernels::Clock clock;
};

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 300;
  const int threads = argc > 2 ? std::atoi(argv[2]) : 1;
  constexpr Index kRows = 2000, kSteps = 1;
  std::printf("%d threads, milliseconds per M-step of all N\n", threads);
  std::printf("%-28s %10s %10s %7s %10s\n", "networks", "layers", "one op", "ratio", "GFLOP/s");
  for (const Shape3& shape : {Shape3{64, 64, 6, 10}, {64, 64, 19, 7}, {64, 32, 10, 10}}) {
    for (const Objective objective : {Objective::wgan_gp, Objective::wgan_clip}) {
      Settings s;
      s.clusters = shape.clusters;
      s.restarts = 1;
      s.noise = shape.noise;
      s.hidden = shape.hidden;
      s.net = NetKind::mlp;
      s.objective = objective;
      s = s.resolved(kRows, {shape.features});
      Bench layers(s, kRows, shape.features, threads, false);
      Bench one_op(s, kRows, shape.features, threads, true);
      double best[2] = {1e9, 1e9};
      for (int round = 0; round < rounds; ++round) {
        best[0] = std::min(best[0], layers.run(kSteps));
        best[1] = std::min(best[1], one_op.run(kSteps));
      }
      std::printf("%lld-%lld-%lld N=%lld %-12s %10.3f %10.3f %7.2f %10.1f\n",
                  static_cast<long long>(shape.noise), static_cast<long long>(shape.hidden),
                  static_cast<long long>(shape.features), static_cast<long long>(shape.clusters),
                  to_string(objective).c_str(), best[0], best[1], best[0] / best[1],
                  flops(s, shape.features) / best[1] * 1e-6);
    }
  }
}
