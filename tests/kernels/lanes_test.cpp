#include "kernels/conv.h"
#include "kernels/core/lanes.h"
#include "kernels/random.h"
#include "tests/support/tolerances.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <set>
#include <thread>

namespace ganmm {

TEST_CASE("lanes: every task runs once, in a lane that exists") {
  for (const int threads : {1, 2, 3, 4}) {
    for (const Index tasks : {0, 1, 2, 7, 100}) {
      CAPTURE(threads);
      CAPTURE(tasks);
      Lanes lanes({}, MathMode::fp32, threads);
      std::vector<std::atomic<int>> runs(static_cast<std::size_t>(tasks));
      std::atomic<int> outside{0};
      lanes.for_each(tasks, [&](int lane, Index task) {
        if (lane < 0 || lane >= lanes.count() || task < 0 || task >= tasks) {
          ++outside;
        } else {
          ++runs[static_cast<std::size_t>(task)];
        }
      });
      CHECK(outside == 0);
      CHECK(std::all_of(runs.begin(), runs.end(), [](const auto& n) { return n == 1; }));
    }
  }
}

TEST_CASE("lanes: no lane runs two tasks at a time") {
  Lanes lanes({}, MathMode::fp32, 4);
  std::vector<std::atomic<int>> busy(static_cast<std::size_t>(lanes.count()));
  std::atomic<int> overlaps{0};
  lanes.for_each(200, [&](int lane, Index) {
    auto& mine = busy[static_cast<std::size_t>(lane)];
    if (mine.fetch_add(1) != 0) ++overlaps;
    std::this_thread::sleep_for(std::chrono::microseconds(50));
    mine.fetch_sub(1);
  });
  CHECK(overlaps == 0);
}

TEST_CASE("lanes: every lane has a context of its own on the device") {
  Lanes lanes({}, MathMode::fp32, 3);
  std::set<Context*> contexts;
  for (int lane = 0; lane < lanes.count(); ++lane) contexts.insert(&lanes.context(lane));
  CHECK(contexts.size() == static_cast<std::size_t>(lanes.count()));
  CHECK(lanes.device() == Device{});
}

TEST_CASE("lanes: an exception of a task is rethrown after all lanes stopped") {
  for (const int threads : {1, 2, 4}) {
    CAPTURE(threads);
    Lanes lanes({}, MathMode::fp32, threads);
    std::atomic<int> running{0};
    int running_after = -1;
    try {
      lanes.for_each(50, [&](int, Index task) {
        ++running;
        if (task == 7) {
          --running;
          throw InputError("task seven");
        }
        std::this_thread::sleep_for(std::chrono::microseconds(100));
        --running;
      });
      CHECK_MESSAGE(false, "nothing was thrown");
    } catch (const InputError& error) {
      running_after = running;
      CHECK(std::string(error.what()) == "task seven");
    }
    CHECK(running_after == 0);
    // The lanes are still good for the next round.
    std::atomic<int> done{0};
    lanes.for_each(5, [&](int, Index) { ++done; });
    CHECK(done == 5);
  }
}

TEST_CASE("lanes: results are the same bits for every number of lanes") {
  constexpr Index kTasks = 11, kCount = 37;
  std::vector<float> single;
  for (const int threads : {1, 2, 3, 4}) {
    Lanes lanes({}, MathMode::fp32, threads);
    std::vector<float> values(kTasks * kCount, -1.0f);
    lanes.for_each(kTasks, [&](int lane, Index task) {
      kernels::fill_normal<float>(lanes.context(lane),
                                  {values.data() + task * kCount, 1, 1, {kCount}}, 0, 1,
                                  {3, Purpose::noise, 0, static_cast<std::uint32_t>(task)});
    });
    if (threads == 1) single = values;
    CHECK(std::count(values.begin(), values.end(), -1.0f) == 0);
    CHECK(test::same_bits(values, single));
  }
}

TEST_CASE("lanes: convolutions give the same bits for every number of lanes") {
  // Every task has its own shape, first met by four lanes at once: whatever an implementation
  // keeps per shape is made concurrently.
  constexpr Index kTasks = 8, kBatch = 3;
  std::vector<std::vector<float>> first_results;
  for (const int threads : {4, 1, 2, 3}) {
    Lanes lanes({}, MathMode::fp32, threads);
    const auto geometry = [](Index task) {
      return kernels::same_padding(9 + task, 11, 16, 24, 5, 2);
    };
    for (int lane = 0; lane < lanes.count(); ++lane) {
      Index bytes = 0;
      for (Index task = 0; task < kTasks && threads != 4; ++task) {
        bytes = std::max(
            bytes, kernels::conv_workspace<float>(lanes.context(lane), 1, kBatch, geometry(task)));
      }
      // Asking for the workspace would already make the plans: the first round guesses 16 MiB.
      lanes.context(lane).scratch().require_bytes(threads == 4 ? Index{1} << 24 : bytes);
    }
    lanes.reserve_scratch();
    std::vector<std::vector<float>> results(kTasks);
    lanes.for_each(kTasks, [&](int lane, Index task) {
      Context& ctx = lanes.context(lane);
      const kernels::ConvGeometry g = geometry(task);
      std::vector<float> x(static_cast<std::size_t>(kBatch * g.input().count()));
      std::vector<float> filter(static_cast<std::size_t>(g.filter().count()));
      std::vector<float>& y = results[static_cast<std::size_t>(task)];
      y.resize(static_cast<std::size_t>(kBatch * g.output().count()));
      const GroupView<float> in(x.data(), 1, kBatch, g.input());
      const GroupView<float> weights(filter.data(), 1, 1, {g.filter().count()});
      kernels::fill_normal<float>(ctx, in, 0, 1, {1, Purpose::noise, 0, 0});
      kernels::fill_normal<float>(ctx, weights, 0, 1, {1, Purpose::initial_weights, 0, 0});
      kernels::conv_forward<float>(ctx, {y.data(), 1, kBatch, g.output()}, in,
                                   ParamView<float>(filter.data(), 1, g.filter()), g);
    });
    if (first_results.empty()) first_results = results;
    for (std::size_t task = 0; task < kTasks; ++task) {
      CHECK(
          std::any_of(results[task].begin(), results[task].end(), [](float v) { return v != 0; }));
      CHECK(test::same_bits(results[task], first_results[task]));
    }
  }
}

TEST_CASE("lanes: a negative number of threads is refused, zero takes all there are") {
  CHECK_THROWS_AS(Lanes({}, MathMode::fp32, -1), ConfigError);
  CHECK(hardware_threads() >= 1);
  const Lanes all({}, MathMode::fp32, 0);
  CHECK(all.count() >= 1);
  CHECK(all.count() <= hardware_threads());
}

TEST_CASE("lanes: scratch is reserved in every lane") {
  Lanes lanes({}, MathMode::fp32, 2);
  for (int lane = 0; lane < lanes.count(); ++lane)
    lanes.context(lane).scratch().require_bytes(1024);
  lanes.reserve_scratch();
  CHECK(lanes.scratch_bytes() == 1024 * lanes.count());
  lanes.for_each(4, [&](int lane, Index) {
    Scratch::Frame frame(lanes.context(lane).scratch());
    frame.take<float>(256)[255] = 1.0f;
  });
}

}  // namespace ganmm
