#include "kernels/clock.h"
#include "kernels/count.h"
#include "tests/support/devices.h"
#include "tests/support/guard_buffer.h"
#include "tests/support/random_data.h"

namespace ganmm::kernels {
namespace {

using namespace ganmm::test;
using Ints = std::vector<std::int32_t>;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

Ints random_labels(RandomData& random, Index count, Index labels) {
  Ints result;
  for (Index i = 0; i < count; ++i) {
    result.push_back(static_cast<std::int32_t>(random.integer(0, labels - 1)));
  }
  return result;
}

}  // namespace

GANMM_DEVICE_CASE("clock: windows follow each other, the last one full, and start again") {
  GuardBuffer<std::int32_t> memory(ctx, 2);
  auto* clock = reinterpret_cast<Clock*>(memory.data());
  for (const auto& [pool, rows, expected] :
       {std::tuple<Index, Index, Ints>{4, 10, {4, 6, 0, 4, 6, 0}},
        {5, 10, {5, 0, 5, 0}},
        {10, 10, {0, 0}},
        {1, 3, {1, 2, 0, 1}}}) {
    CAPTURE(pool);
    CAPTURE(rows);
    memory.set({0, 0});
    std::int32_t step = 0;
    for (const std::int32_t first : expected) {
      advance(ctx, clock, pool, rows);
      CHECK(memory.get() == Ints{++step, first});
    }
  }
  // Steps count as unsigned numbers, positions do not overflow.
  memory.set({-3, 0});
  advance(ctx, clock, 1000000007, 2147483647);
  CHECK(memory.get() == Ints{-2, 1147483640});
  CHECK_THROWS_AS(advance(ctx, clock, 0, 10), ShapeError);
  CHECK_THROWS_AS(advance(ctx, clock, 11, 10), ShapeError);
  CHECK_THROWS_AS(advance(ctx, clock, 1, Index{1} << 31), ShapeError);
}

GANMM_DEVICE_CASE("count: an assignment is taken over and counted, window after window") {
  for (const Index mixtures : {1, 3}) {
    for (const Index components : {1, 4, 37}) {
      CAPTURE(mixtures);
      CAPTURE(components);
      const Index rows = 3100, pool_rows = 1300;
      RandomData random(static_cast<std::uint64_t>(components));
      Ints before = random_labels(random, mixtures * rows, components);
      for (Index i = 0; i < mixtures * rows; i += 5) before[at(i)] = -1;
      GuardBuffer<std::int32_t> assigned(ctx, mixtures * rows);
      assigned.set(before);
      GuardBuffer<std::int32_t> changed(ctx, mixtures), size(ctx, mixtures * components);
      GuardBuffer<double> confidence(ctx, mixtures);
      // Counts accumulate.
      Ints wanted_changed(at(mixtures), 2), wanted_size(at(mixtures * components), 3);
      Values wanted_confidence(at(mixtures), 0.5);
      changed.set(wanted_changed);
      size.set(wanted_size);
      confidence.set(wanted_confidence);
      for (const auto& [first_row, skip] :
           {std::pair<Index, Index>{0, 0}, {1300, 0}, {1800, 800}, {1800, 1300}}) {
        const Ints label = random_labels(random, mixtures * pool_rows, components);
        std::vector<float> posterior;
        for (Index i = 0; i < mixtures * pool_rows * components; ++i) {
          posterior.push_back(static_cast<float>(random.real<float>(0, 1)));
        }
        for (Index r = 0; r < mixtures; ++r) {
          for (Index p = skip; p < pool_rows; ++p) {
            const std::int32_t component = label[at(r * pool_rows + p)];
            std::int32_t& was = before[at(r * rows + first_row + p)];
            if (was != component) ++wanted_changed[at(r)];
            was = component;
            ++wanted_size[at(r * components + component)];
            const auto row = posterior.begin() + (r * pool_rows + p) * components;
            wanted_confidence[at(r)] +=
                static_cast<double>(*std::max_element(row, row + components));
          }
        }
        const GuardBuffer<std::int32_t> label_buffer(ctx, label);
        const GuardBuffer<float> posterior_buffer(ctx, posterior);
        count_assignments(
            ctx, {changed.data(), size.data(), confidence.data()}, assigned.data(), rows,
            {label_buffer.data(), posterior_buffer.data(), mixtures, components, pool_rows},
            first_row, skip);
      }
      CHECK(assigned.get() == before);
      CHECK(changed.get() == wanted_changed);
      CHECK(size.get() == wanted_size);
      check_within(confidence.get(), wanted_confidence,
                   scaled(wanted_confidence, reduction_rtol<double>(rows)));
    }
  }
}

GANMM_DEVICE_CASE("count: windows outside the data are refused") {
  GuardBuffer<std::int32_t> numbers(ctx, 10);
  GuardBuffer<double> confidence(ctx, 1);
  GuardBuffer<float> posterior(ctx, 10);
  const AssignmentCounts counts{numbers.data(), numbers.data(), confidence.data()};
  const PoolView pool{numbers.data(), posterior.data(), 1, 1, 5};
  CHECK_THROWS_AS(count_assignments(ctx, counts, numbers.data(), 10, pool, 6, 0), ShapeError);
  CHECK_THROWS_AS(count_assignments(ctx, counts, numbers.data(), 10, pool, -1, 0), ShapeError);
  CHECK_THROWS_AS(count_assignments(ctx, counts, numbers.data(), 10, pool, 0, 6), ShapeError);
}

}  // namespace ganmm::kernels
