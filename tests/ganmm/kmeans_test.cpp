#include "ganmm/kmeans.h"
#include "ganmm/metrics.h"
#include "tests/support/blobs.h"
#include "tests/support/devices.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace ganmm;

namespace {

GroupView<const float> view(const io::Dataset& data) {
  return {data.values.data(), 1, data.rows, data.item};
}

RandomKey key(std::uint64_t seed, std::uint32_t run) { return {seed, Purpose::kmeans, run, 0}; }

}  // namespace

TEST_CASE("k-means: separated blobs are found exactly") {
  const auto data = test::blobs(900, 3, 5);
  Lanes lanes({}, MathMode::fp32, 1);
  // One run may start with two centres in a blob; the best of five by inertia does not.
  KMeansResult best;
  for (std::uint32_t run = 0; run < 5; ++run) {
    auto result = kmeans(view(data), {.clusters = 5}, key(1, run), lanes).best;
    if (run == 0 || result.inertia < best.inertia) best = std::move(result);
  }
  CHECK(score(best.labels, data.labels).ari == 1.0);
  // 900 points, 3 dimensions, variance 0.0025 each.
  CHECK(best.inertia == doctest::Approx(900 * 3 * 0.0025).epsilon(0.1));
}

TEST_CASE("k-means: the result does not depend on the number of lanes") {
  const auto data = test::blobs(9001, 4, 6);
  Lanes one({}, MathMode::fp32, 1), three({}, MathMode::fp32, 3);
  const auto a = kmeans(view(data), {.clusters = 7}, key(3, 2), one).best;
  const auto b = kmeans(view(data), {.clusters = 7}, key(3, 2), three).best;
  CHECK(a.labels == b.labels);
  CHECK(a.centres == b.centres);
  CHECK(a.inertia == b.inertia);
}

TEST_CASE("k-means: a converged result is a fixed point of Lloyd's iteration") {
  const auto data = test::blobs(300, 2, 4);
  Lanes lanes({}, MathMode::fp32, 1);
  const auto result = kmeans(view(data), {.clusters = 6, .tolerance = 0}, key(5, 0), lanes).best;
  REQUIRE(result.converged);
  std::vector<double> sum(12, 0.0), count(6, 0.0);
  for (Index p = 0; p < data.rows; ++p) {
    const auto c = static_cast<std::size_t>(result.labels[static_cast<std::size_t>(p)]);
    count[c] += 1;
    double own = 0, nearest = 1e30;
    for (std::size_t k = 0; k < 6; ++k) {
      double d = 0;
      for (std::size_t f = 0; f < 2; ++f) {
        const double delta = static_cast<double>(data.values[static_cast<std::size_t>(p) * 2 + f]) -
                             static_cast<double>(result.centres[k * 2 + f]);
        d += delta * delta;
      }
      nearest = std::min(nearest, d);
      if (k == c) own = d;
    }
    CHECK(own <= nearest + 1e-6);
    for (std::size_t f = 0; f < 2; ++f) {
      sum[c * 2 + f] += static_cast<double>(data.values[static_cast<std::size_t>(p) * 2 + f]);
    }
  }
  for (std::size_t i = 0; i < 12; ++i) {
    CHECK(static_cast<double>(result.centres[i]) ==
          doctest::Approx(sum[i] / count[i / 2]).epsilon(1e-5));
  }
}

TEST_CASE("k-means: as many centres as distinct points, and more centres than distinct points") {
  io::Dataset data;
  data.rows = 6;
  data.item = {1};
  data.values = {0, 0, 1, 1, 5, 5};
  Lanes lanes({}, MathMode::fp32, 1);
  CHECK(kmeans(view(data), {.clusters = 3}, key(0, 0), lanes).best.inertia == 0.0);
  CHECK(kmeans(view(data), {.clusters = 5}, key(0, 0), lanes).best.inertia == 0.0);
  CHECK_THROWS_AS((void)kmeans(view(data), {.clusters = 7}, key(0, 0), lanes), ConfigError);
}

TEST_CASE("k-means: a GPU finds the CPU's clusters, cuda float" * doctest::test_suite("gpu")) {
  test::on_cuda([](Context& ctx) {
    Lanes host({}, MathMode::fp32, 1), lanes(ctx.device(), MathMode::fp32, 1);
    // Less than one chunk, one and a rest, and more centres than the data has clusters.
    for (const auto& [rows, clusters] : {std::pair<Index, Index>{90, 4}, {4100, 2}, {300, 6}}) {
      CAPTURE(rows);
      CAPTURE(clusters);
      const auto data = test::blobs(rows, 3, 4);
      Arena arena(ctx.device());
      const auto values = arena.request<float>("data", rows * 3);
      arena.reserve();
      ctx.copy_to_device(values.data(), data.values.data(), data.values.size() * sizeof(float));
      const KMeansSettings settings{
          .clusters = clusters, .restarts = rows < 1000 ? 2 : 1, .iterations = 2};
      const auto expected = kmeans(view(data), settings, key(3, 2), host).best;
      const auto result =
          kmeans({values.data(), 1, rows, data.item}, settings, key(3, 2), lanes).best;
      CHECK(result.labels == expected.labels);
      CHECK(result.inertia == doctest::Approx(expected.inertia).epsilon(1e-5));
      for (std::size_t i = 0; i < expected.centres.size(); ++i) {
        CHECK(result.centres[i] == doctest::Approx(expected.centres[i]).epsilon(1e-5));
      }
    }
  });
}

TEST_CASE("k-means: of several runs the one of the smallest inertia is kept") {
  const auto data = test::blobs(300, 2, 4);
  Lanes lanes({}, MathMode::fp32, 1);
  const KMeansSettings settings{.clusters = 7, .restarts = 4};
  Index iterations = 0;
  const IterationCallbacks callbacks{.progress = [&](Index) { ++iterations; }, .cancelled = {}};
  const KMeansRuns runs = kmeans(view(data), settings, key(2, 5), lanes, callbacks);
  REQUIRE(runs.inertia.size() == 4);
  CHECK(runs.iterations == iterations);
  const auto best = std::min_element(runs.inertia.begin(), runs.inertia.end());
  CHECK(runs.chosen == best - runs.inertia.begin());
  CHECK(runs.best.inertia == *best);
  for (std::uint32_t r = 0; r < 4; ++r) {  // a run alone draws the same seeds
    const auto alone = kmeans(view(data), {.clusters = 7}, key(2, 5 + r), lanes);
    CHECK(alone.best.inertia == runs.inertia[r]);
  }
}

TEST_CASE("k-means: a limit of iterations and a cancellation leave labels that fit the centres") {
  const auto data = test::blobs(300, 2, 4);
  Lanes lanes({}, MathMode::fp32, 1);
  const KMeansSettings limited{.clusters = 6, .iterations = 2};
  const KMeansResult two = kmeans(view(data), limited, key(5, 0), lanes).best;
  CHECK(two.iterations == 2);
  CHECK_FALSE(two.converged);
  CHECK(two.trace.size() == 2);
  CHECK(two.inertia <= two.trace.back());
  CHECK(two.labels == predict_nearest(two.centres, data.values, 300, {2}, lanes).assignments);
  const KMeansSettings many{.clusters = 6, .restarts = 9};
  const KMeansRuns stopped = kmeans(view(data), many, key(5, 0), lanes,
                                    {.progress = {}, .cancelled = [] { return true; }});
  CHECK(stopped.cancelled);
  CHECK(stopped.inertia.size() == 1);
  CHECK(stopped.best.iterations == 1);
  CHECK(stopped.best.labels ==
        predict_nearest(stopped.best.centres, data.values, 300, {2}, lanes).assignments);
}

TEST_CASE("k-means: the tolerance is a share of the features' mean variance") {
  const auto data = test::blobs(300, 2, 4);
  Lanes lanes({}, MathMode::fp32, 1);
  const std::vector<float> start{-1, -1, 0, 0};
  const auto run = [&](double tolerance) {
    return lloyd(view(data), start, {.clusters = 2, .tolerance = tolerance}, lanes);
  };
  const KMeansResult exact = run(0);
  // The squared shift of the first move, over the mean variance: the limit between one iteration
  // and several.
  const auto moved = lloyd(view(data), start, {.clusters = 2, .iterations = 1}, lanes).centres;
  double shift = 0, variance = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    shift += std::pow(static_cast<double>(moved[i]) - static_cast<double>(start[i]), 2);
  }
  for (std::size_t f = 0; f < 2; ++f) {
    double sum = 0, squares = 0;
    for (std::size_t p = 0; p < 300; ++p) {
      const auto x = static_cast<double>(data.values[p * 2 + f]);
      sum += x;
      squares += x * x;
    }
    variance += (squares / 300 - sum * sum / 90000) / 2;
  }
  CHECK(run(shift / variance * 1.001).iterations == 1);
  CHECK(run(shift / variance * 0.999).iterations > 1);
  CHECK(exact.iterations > 1);
}
