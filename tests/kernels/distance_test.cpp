#include "kernels/distance.h"
#include "tests/reference/distance.h"
#include "tests/support/devices.h"
#include "tests/support/guard_buffer.h"
#include "tests/support/random_data.h"

namespace ganmm::kernels {
namespace {

using namespace ganmm::test;
using reference::at;
using Ints = std::vector<std::int32_t>;

}  // namespace

GANMM_DEVICE_CASE("distance: integers give exact distances and the lowest index on ties") {
  for (const Index features : kWidths) {
    for (const Layout layout : kInputLayouts) {
      CAPTURE(features);
      CAPTURE(static_cast<int>(layout));
      const bool many = features == 17 || features == 65;  // more than a GPU's block takes at once
      const Index runs = 3, batch = many ? 70 : 11, centres = many ? 37 : 5, stride = batch + 2;
      RandomData random(static_cast<std::uint64_t>(features));
      const Index stored = layout == Layout::shared ? 1 : runs;
      const Values values = random.integers(stored * batch * features, -1, 1);
      const Values all = layout == Layout::shared ? repeated(values, runs) : values;
      const Values centre_values = random.integers(runs * centres * features, -1, 1);
      const Batch<T> data(ctx, runs, batch, {features}, values, layout);
      const Batch<T> centre(ctx, runs, centres, {features}, centre_values);
      GuardBuffer<std::int32_t> label(ctx, runs * stride);
      GuardBuffer<T> distance(ctx, runs * stride);
      Ints expected_label = label.get();
      std::vector<T> expected_distance = distance.get();
      for (Index r = 0; r < runs; ++r) {
        for (Index b = 0; b < batch; ++b) {
          Index best = 0;
          double smallest = 1e300;
          for (Index k = 0; k < centres; ++k) {
            const double d = reference::squared_distance(all, r * batch + b, centre_values,
                                                         r * centres + k, features);
            if (d < smallest) {
              best = k;
              smallest = d;
            }
          }
          expected_label[at(r * stride + b)] = static_cast<std::int32_t>(best);
          expected_distance[at(r * stride + b)] = static_cast<T>(smallest);
        }
      }
      nearest_centre<T>(ctx, label.data(), distance.data(), stride, data.input(), centre.input());
      CHECK(label.get() == expected_label);
      CHECK(same_bits(distance.get(), expected_distance));
      nearest_centre<T>(ctx, label.data(), nullptr, stride, data.input(), centre.input());
      CHECK(label.get() == expected_label);
    }
  }
}

GANMM_DEVICE_CASE(
    "distance: the nearest centre is nearest up to rounding, also far from the origin") {
  for (const double offset : {0.0, 1000.0}) {
    for (const Index features : {2, 19, 64, 784}) {
      CAPTURE(offset);
      CAPTURE(features);
      const Index runs = 2, batch = 30, centres = 10;
      RandomData random(static_cast<std::uint64_t>(features));
      const Values values = random.reals<T>(runs * batch * features, offset - 1, offset + 1);
      const Values centre_values =
          random.reals<T>(runs * centres * features, offset - 1, offset + 1);
      const Batch<T> data(ctx, runs, batch, {features}, values);
      const Batch<T> centre(ctx, runs, centres, {features}, centre_values, Layout::gaps);
      GuardBuffer<std::int32_t> label(ctx, runs * batch);
      GuardBuffer<T> distance(ctx, runs * batch);
      nearest_centre<T>(ctx, label.data(), distance.data(), batch, data.input(), centre.input());
      const Ints labels = label.get();
      const std::vector<T> distances = distance.get();
      // Differences of neighbours are rounded once, squared and summed: no term cancels.
      const double rtol = 2 * (reduction_rtol<T>(features) + 2 * unit_roundoff<T>());
      Values result, chosen, allowed;
      double worst_excess = 0;
      for (Index i = 0; i < runs * batch; ++i) {
        const Index run = i / batch;
        REQUIRE(labels[at(i)] >= 0);
        REQUIRE(labels[at(i)] < centres);
        double smallest = 1e300;
        for (Index k = 0; k < centres; ++k) {
          smallest = std::min(smallest, reference::squared_distance(values, i, centre_values,
                                                                    run * centres + k, features));
        }
        const double own = reference::squared_distance(values, i, centre_values,
                                                       run * centres + labels[at(i)], features);
        result.push_back(static_cast<double>(distances[at(i)]));
        chosen.push_back(own);
        allowed.push_back(rtol * own);
        worst_excess = std::max(worst_excess, (own - smallest) / smallest);
      }
      check_within(result, chosen, allowed);
      CHECK(worst_excess <= 2 * rtol);
    }
  }
}

GANMM_DEVICE_CASE(
    "distance: centre sums add rows in order, in double precision, to what is there") {
  for (const Index features : {1, 3, 8, 17, 64}) {
    for (const Layout layout : kInputLayouts) {
      CAPTURE(features);
      CAPTURE(static_cast<int>(layout));
      const Index runs = 2, batch = 37, centres = 4, stride = batch + 1;
      RandomData random(static_cast<std::uint64_t>(features));
      const Index stored = layout == Layout::shared ? 1 : runs;
      const Values values = random.reals<T>(stored * batch * features, -1, 1);
      const Values all = layout == Layout::shared ? repeated(values, runs) : values;
      Ints labels;
      for (Index i = 0; i < runs * stride; ++i) {
        labels.push_back(static_cast<std::int32_t>(random.integer(0, centres - 2)));
      }
      const Values sum_start = random.integers(runs * centres * features, 1, 5);
      const Values count_start = random.integers(runs * centres, 1, 5);
      Values sum_expected = sum_start, count_expected = count_start;
      for (Index r = 0; r < runs; ++r) {
        for (Index b = 0; b < batch; ++b) {
          const Index k = r * centres + labels[at(r * stride + b)];
          count_expected[at(k)] += 1;
          for (Index f = 0; f < features; ++f) {
            sum_expected[at(k * features + f)] += all[at((r * batch + b) * features + f)];
          }
        }
      }
      const GuardBuffer<std::int32_t> label(ctx, labels);
      const Batch<T> data(ctx, runs, batch, {features}, values, layout);
      GuardBuffer<double> sum(ctx, runs * centres * features);
      GuardBuffer<double> count(ctx, runs * centres);
      sum.set(sum_start);
      count.set(count_start);
      centre_sums<T>(ctx, sum.data(), count.data(), centres, label.data(), stride, data.input());
      check_equal(sum.get(), sum_expected);
      check_equal(count.get(), count_expected);
    }
  }
}

GANMM_DEVICE_CASE("distance: centre sums of many rows and features are exact on integers") {
  // More rows than the slices of a GPU's block cover in one turn, more features than a block takes.
  const Index runs = 2, batch = 1100, features = 200, centres = 3;
  RandomData random(20);
  const Values values = random.integers(runs * batch * features, -9, 9);
  Ints labels;
  Values sum_expected(at(runs * centres * features), 0.0), count_expected(at(runs * centres), 0.0);
  for (Index i = 0; i < runs * batch; ++i) {
    const bool crowd = i % batch < 200;  // neighbours with the same label
    labels.push_back(static_cast<std::int32_t>(crowd ? 1 : random.integer(0, centres - 1)));
    const Index k = i / batch * centres + labels.back();
    count_expected[at(k)] += 1;
    for (Index f = 0; f < features; ++f) {
      sum_expected[at(k * features + f)] += values[at(i * features + f)];
    }
  }
  const GuardBuffer<std::int32_t> label(ctx, labels);
  const Batch<T> data(ctx, runs, batch, {features}, values);
  GuardBuffer<double> sum(ctx, runs * centres * features);
  GuardBuffer<double> count(ctx, runs * centres);
  sum.set(Values(at(runs * centres * features), 0.0));
  count.set(Values(at(runs * centres), 0.0));
  centre_sums<T>(ctx, sum.data(), count.data(), centres, label.data(), batch, data.input());
  check_equal(sum.get(), sum_expected);
  check_equal(count.get(), count_expected);
}

GANMM_DEVICE_CASE("distance: an empty batch changes nothing") {
  const Batch<T> data(ctx, 2, 0, {3}, Values{});
  const Batch<T> centre(ctx, 2, 4, {3}, Values(24, 1.0));
  GuardBuffer<std::int32_t> label(ctx, 0);
  CHECK_NOTHROW(nearest_centre<T>(ctx, label.data(), nullptr, 0, data.input(), centre.input()));
  GuardBuffer<double> sum(ctx, Values(24, 2.0));
  GuardBuffer<double> count(ctx, Values(8, 3.0));
  CHECK_NOTHROW(centre_sums<T>(ctx, sum.data(), count.data(), 4, label.data(), 0, data.input()));
}

TEST_CASE("distance: rows and centres of different length are refused") {
  Context ctx;
  const Batch<float> data(ctx, 1, 2, {3}, Values(6, 1.0));
  const Batch<float> centre(ctx, 1, 2, {4}, Values(8, 1.0));
  GuardBuffer<std::int32_t> label(ctx, Ints{0, 0});
  CHECK_THROWS_AS(
      nearest_centre<float>(ctx, label.data(), nullptr, 2, data.input(), centre.input()),
      ShapeError);
}

}  // namespace ganmm::kernels
