#include "ganmm/kmeans.h"
#include "ganmm/metrics.h"
#include "tests/support/blobs.h"
#include "tests/support/devices.h"

#include <doctest/doctest.h>

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
    auto result = kmeans(view(data), 5, key(1, run), lanes);
    if (run == 0 || result.inertia < best.inertia) best = std::move(result);
  }
  CHECK(score(best.labels, data.labels).ari == 1.0);
  // 900 points, 3 dimensions, variance 0.0025 each.
  CHECK(best.inertia == doctest::Approx(900 * 3 * 0.0025).epsilon(0.1));
}

TEST_CASE("k-means: the result does not depend on the number of lanes") {
  const auto data = test::blobs(9001, 4, 6);
  Lanes one({}, MathMode::fp32, 1), three({}, MathMode::fp32, 3);
  const auto a = kmeans(view(data), 7, key(3, 2), one);
  const auto b = kmeans(view(data), 7, key(3, 2), three);
  CHECK(a.labels == b.labels);
  CHECK(a.centres == b.centres);
  CHECK(a.inertia == b.inertia);
}

TEST_CASE("k-means: a converged result is a fixed point of Lloyd's iteration") {
  const auto data = test::blobs(300, 2, 4);
  Lanes lanes({}, MathMode::fp32, 1);
  const auto result = kmeans(view(data), 6, key(5, 0), lanes);
  REQUIRE(result.iterations < 300);
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
  CHECK(kmeans(view(data), 3, key(0, 0), lanes).inertia == 0.0);
  CHECK(kmeans(view(data), 5, key(0, 0), lanes).inertia == 0.0);
  CHECK_THROWS_AS((void)kmeans(view(data), 7, key(0, 0), lanes), ConfigError);
}

TEST_CASE("k-means: a GPU finds the CPU's clusters, cuda float" * doctest::test_suite("gpu")) {
  test::on_cuda([](Context& ctx) {
    Lanes host({}, MathMode::fp32, 1), lanes(ctx.device(), MathMode::fp32, 1);
    // Less than one chunk, several and a rest, and more centres than the data has clusters.
    for (const auto& [rows, clusters] : {std::pair<Index, Index>{90, 4}, {9001, 4}, {300, 6}}) {
      CAPTURE(rows);
      CAPTURE(clusters);
      const auto data = test::blobs(rows, 3, 4);
      Arena arena(ctx.device());
      const auto values = arena.request<float>("data", rows * 3);
      arena.reserve();
      ctx.copy_to_device(values.data(), data.values.data(), data.values.size() * sizeof(float));
      const auto expected = kmeans(view(data), clusters, key(3, 2), host);
      const auto result = kmeans({values.data(), 1, rows, data.item}, clusters, key(3, 2), lanes);
      CHECK(result.labels == expected.labels);
      CHECK(result.inertia == doctest::Approx(expected.inertia).epsilon(1e-5));
      for (std::size_t i = 0; i < expected.centres.size(); ++i) {
        CHECK(result.centres[i] == doctest::Approx(expected.centres[i]).epsilon(1e-5));
      }
    }
  });
}
