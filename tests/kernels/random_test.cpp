#include "kernels/random.h"
#include "tests/reference/random.h"
#include "tests/support/devices.h"
#include "tests/support/guard_buffer.h"
#include "tests/support/random_data.h"
#include "tests/support/statistics.h"

namespace ganmm::kernels {
namespace {

using namespace ganmm::test;

const RandomKey kKey{0xfedcba9876543210u, Purpose::noise, 12345, 2};

// Limits whose difference is exact in single precision, so that "(high - low)" has one meaning.
constexpr double kLow = -0.5, kHigh = 2.5;

float expected_uniform(const RandomKey& key, Index group, Index element) {
  const std::uint32_t word =
      reference::word(key, static_cast<std::uint32_t>(group), static_cast<std::uint64_t>(element));
  return add_rn(float(kLow), mul_rn(float(kHigh - kLow), uniform01(word)));
}

float expected_normal(const RandomKey& key, Index group, Index element) {
  const auto g = static_cast<std::uint32_t>(group);
  const auto pair = static_cast<std::uint64_t>(element / 2 * 2);
  const NormalPair n = box_muller(reference::word(key, g, pair), reference::word(key, g, pair + 1));
  return add_rn(0.75f, mul_rn(0.02f, element % 2 == 0 ? n.first : n.second));
}

template <class T>
void check_fills(Context& ctx, Index groups, Index batch, Shape item, Layout layout) {
  CAPTURE(groups);
  CAPTURE(batch);
  CAPTURE(to_string(item));
  Values uniform, normal;
  for (Index n = 0; n < groups; ++n) {
    for (Index e = 0; e < batch * item.count(); ++e) {
      uniform.push_back(static_cast<double>(static_cast<T>(expected_uniform(kKey, n, e))));
      normal.push_back(static_cast<double>(static_cast<T>(expected_normal(kKey, n, e))));
    }
  }
  Batch<T> y(ctx, groups, batch, item, layout);
  fill_uniform<T>(ctx, y.view(), kLow, kHigh, kKey);
  check_equal(y.get(), uniform);
  fill_normal<T>(ctx, y.view(), 0.75, 0.02f, kKey);
  check_equal(y.get(), normal);
}

// Standard normal distribution function.
double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

template <class Cdf>
double kolmogorov_distance(Values samples, const Cdf& cdf) {
  std::sort(samples.begin(), samples.end());
  const auto count = static_cast<double>(samples.size());
  double distance = 0;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const double p = cdf(samples[i]);
    distance = std::max({distance, std::abs(p - static_cast<double>(i) / count),
                         std::abs(p - static_cast<double>(i + 1) / count)});
  }
  return distance;
}

// Correlation of neighbours with lag, times sqrt(count): standard normal for independent samples.
double lag_statistic(const Values& samples, std::size_t lag, double mean, double variance) {
  double sum = 0;
  for (std::size_t i = 0; i + lag < samples.size(); ++i) {
    sum += (samples[i] - mean) * (samples[i + lag] - mean);
  }
  return sum / variance / std::sqrt(static_cast<double>(samples.size() - lag));
}

}  // namespace

GANMM_ELEMENT_CASE("random: fills equal the scalar functions bit for bit in every size") {
  for (const Index width : kWidths) {
    check_fills<T>(ctx, 1, 1, {width}, Layout::packed);
    check_fills<T>(ctx, 2, 3, {width}, Layout::packed);
    check_fills<T>(ctx, 2, 3, {width}, Layout::gaps);
  }
  for (const Index width : {95, 127, 128, 129, 255, 1000, 4099}) {
    check_fills<T>(ctx, 2, 1, {width}, Layout::packed);
  }
  check_fills<T>(ctx, 7, 50, {64}, Layout::packed);
  check_fills<T>(ctx, 2, 5, {3, 5, 2}, Layout::gaps);
}

GANMM_DEVICE_CASE("random: symmetric limits that single precision rounds give the rounded fill") {
  // high - low is twice the rounded limit however it is computed.
  const double limit = 0.0765;
  Batch<T> y(ctx, 1, 2, {100});
  fill_uniform<T>(ctx, y.view(), -limit, limit, kKey);
  const auto high = static_cast<float>(limit);
  Values expected;
  for (std::uint64_t e = 0; e < 200; ++e) {
    const float u = uniform01(reference::word(kKey, 0, e));
    expected.push_back(static_cast<double>(add_rn(-high, mul_rn(2 * high, u))));
  }
  check_equal(y.get(), expected);
}

GANMM_DEVICE_CASE("random: a slice of groups draws what the whole draws there") {
  Batch<T> whole(ctx, 7, 3, {11});
  fill_normal<T>(ctx, whole.view(), 0, 1, kKey);
  Batch<T> parts(ctx, 7, 3, {11});
  for (const auto& [first, count] : {std::pair<Index, Index>{0, 3}, {3, 1}, {4, 3}}) {
    RandomKey key = kKey;
    key.first_group += static_cast<std::uint32_t>(first);
    fill_normal<T>(ctx, parts.view().slice(first, count), 0, 1, key);
  }
  CHECK_FALSE(all_zero(whole.get()));
  CHECK(whole.bits() == parts.bits());
}

TEST_CASE("random: seed, purpose, step and group each change the numbers") {
  Context ctx;
  const auto draw = [&](const RandomKey& key) {
    Batch<float> y(ctx, 1, 1, {256});
    fill_uniform<float>(ctx, y.view(), 0, 1, key);
    return y.get();
  };
  std::vector<RandomKey> keys(6, kKey);
  keys[1].seed ^= 1;
  keys[2].seed ^= std::uint64_t{1} << 32;
  keys[3].purpose = Purpose::generator_noise;
  keys[4].step += 1;
  keys[5].first_group += 1;
  std::vector<Values> drawn;
  for (const RandomKey& key : keys) drawn.push_back(draw(key));
  for (std::size_t i = 0; i < drawn.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      std::size_t equal = 0;
      for (std::size_t e = 0; e < 256; ++e) equal += drawn[i][e] == drawn[j][e] ? 1u : 0u;
      CHECK(equal < 3);  // 256 pairs of 24-bit numbers agree once in 65536 draws
    }
  }
}

TEST_CASE("random: uniforms are uniform and uncorrelated") {
  Context ctx;
  Batch<float> y(ctx, 1, 100, {1000});
  fill_uniform<float>(ctx, y.view(), 0, 1, {7, Purpose::interpolation, 0, 0});
  const Values samples = y.get();
  const auto count = static_cast<double>(samples.size());
  CHECK(*std::min_element(samples.begin(), samples.end()) >= 0);
  CHECK(*std::max_element(samples.begin(), samples.end()) < 1);
  CHECK(kolmogorov_distance(samples, [](double x) { return x; }) < kolmogorov_bound(count));
  Values observed(100, 0.0);
  for (const double sample : samples) observed[static_cast<std::size_t>(sample * 100)] += 1;
  CHECK(chi_square(observed, Values(100, count / 100)) < chi_square_bound(99));
  for (const std::size_t lag : {1u, 2u, 3u, 4u, 5u, 1000u}) {
    CHECK(std::abs(lag_statistic(samples, lag, 0.5, 1.0 / 12)) < kStandardErrors);
  }
}

TEST_CASE("random: normals have the moments and the distribution of a normal") {
  Context ctx;
  Batch<float> y(ctx, 1, 100, {1000});
  fill_normal<float>(ctx, y.view(), 0, 1, {7, Purpose::noise, 3, 1});
  const Values samples = y.get();
  const auto count = static_cast<double>(samples.size());
  double moments[5] = {};
  for (const double x : samples) {
    double power = 1;
    for (double& moment : moments) {
      moment += power / count;
      power *= x;
    }
  }
  // Variances of x, x^2, x^3, x^4 for a standard normal: 1, 2, 15, 96.
  CHECK(std::abs(moments[1]) < kStandardErrors * std::sqrt(1 / count));
  CHECK(std::abs(moments[2] - 1) < kStandardErrors * std::sqrt(2 / count));
  CHECK(std::abs(moments[3]) < kStandardErrors * std::sqrt(15 / count));
  CHECK(std::abs(moments[4] - 3) < kStandardErrors * std::sqrt(96 / count));
  CHECK(kolmogorov_distance(samples, normal_cdf) < kolmogorov_bound(count));
  for (const std::size_t lag : {1u, 2u, 3u, 4u, 1000u}) {
    CHECK(std::abs(lag_statistic(samples, lag, 0, 1)) < kStandardErrors);
  }
}

GANMM_DEVICE_CASE("random: an empty batch is no work, and too large a group is refused") {
  Batch<T> y(ctx, 3, 0, {4});
  CHECK_NOTHROW(fill_uniform<T>(ctx, y.view(), 0, 1, kKey));
  CHECK_NOTHROW(fill_normal<T>(ctx, y.view(), 0, 1, kKey));
  // The counter has 32 bits for element / 4. Never touched: the shape is checked first.
  T one{};
  const GroupView<T> huge(&one, 1, (Index{1} << 34) + 1, {1});
  CHECK_THROWS_AS(fill_uniform<T>(ctx, huge, 0, 1, kKey), ShapeError);
  CHECK_THROWS_AS(fill_normal<T>(ctx, huge, 0, 1, kKey), ShapeError);
}

GANMM_DEVICE_CASE("random: a counter in device memory moves the step") {
  const GuardBuffer<std::int32_t> counter(ctx, std::vector<std::int32_t>{5});
  RandomKey counted = kKey;
  counted.counter = reinterpret_cast<const std::uint32_t*>(counter.data());
  counted.per_count = 3;
  RandomKey moved = kKey;
  moved.step += 5 * 3;
  Batch<T> y(ctx, 2, 3, {7}), expected(ctx, 2, 3, {7});
  fill_uniform<T>(ctx, y.view(), 0, 1, counted);
  fill_uniform<T>(ctx, expected.view(), 0, 1, moved);
  check_equal(y.get(), expected.get());
  fill_normal<T>(ctx, y.view(), 0, 1, counted);
  fill_normal<T>(ctx, expected.view(), 0, 1, moved);
  check_equal(y.get(), expected.get());
}

GANMM_DEVICE_CASE("random: a run that resumes at step k draws what the uninterrupted run draws") {
  const auto draw = [&](Context& context, std::uint32_t step) {
    Batch<T> y(context, 2, 7, {5});
    fill_normal<T>(context, y.view(), 0, 1, {9, Purpose::noise, step, 0});
    return y.get();
  };
  std::vector<Values> uninterrupted;
  for (std::uint32_t step = 0; step < 6; ++step) uninterrupted.push_back(draw(ctx, step));
  Context resumed(ctx.device());
  for (std::uint32_t step = 3; step < 6; ++step) {
    CHECK(draw(resumed, step) == uninterrupted[step]);
    CHECK(uninterrupted[step] != uninterrupted[step - 1]);
  }
}

}  // namespace ganmm::kernels
