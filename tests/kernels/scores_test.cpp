#include "kernels/scores.h"
#include "tests/reference/scores.h"
#include "tests/support/devices.h"
#include "tests/support/guard_buffer.h"
#include "tests/support/random_data.h"

namespace ganmm::kernels {
namespace {

using namespace ganmm::test;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

}  // namespace

GANMM_ELEMENT_CASE("scores: statistics follow the definition for every number of rows") {
  for (const Index groups : kGroupCounts) {
    for (const Index rows : {2, 3, 31, 32, 33, 50, 511, 513, 1500}) {
      CAPTURE(groups);
      CAPTURE(rows);
      RandomData random(static_cast<std::uint64_t>(rows));
      const Values values = random.reals<T>(groups * rows, -3, 9);
      const Batch<T> score(ctx, groups, rows, {1}, values, Layout::gaps);
      Param<Master<T>> centre(ctx, groups, {1}, Layout::gaps), scale(ctx, groups, {1});
      score_statistics<T>(ctx, centre.view(), scale.view(), score.input());
      Values mean, inverse, mean_allowed, inverse_allowed;
      for (Index g = 0; g < groups; ++g) {
        const auto s = reference::score_statistics(values.data() + g * rows, rows);
        mean.push_back(s.mean);
        inverse.push_back(1 / s.deviation);
        // Sums are made in double; what is stored rounds. A deviation is a root of a mean of
        // squares, each of which is off by the error of the mean.
        const double in_double = 8 * reduction_rtol<double>(rows + 2);
        mean_allowed.push_back(2 * unit_roundoff<Master<T>>() * std::abs(s.mean) + 9 * in_double);
        inverse_allowed.push_back((2 * unit_roundoff<Master<T>>() + 9 * in_double / s.deviation) /
                                  s.deviation);
      }
      check_within(centre.get(), mean, mean_allowed);
      check_within(scale.get(), inverse, inverse_allowed);
      Param<Master<T>> alone(ctx, groups, {1}, Layout::gaps);
      score_statistics<T>(ctx, alone.view(), {}, score.input());
      CHECK(alone.get() == centre.get());
    }
  }
}

GANMM_ELEMENT_CASE("scores: deviations far below the mean survive, equal scores have scale 1") {
  // 65152 + {-128, 128}: the squares are near 2^32, where single precision counts in steps of 256.
  // Every number has eight significant bits and is exact in bfloat16 too.
  const Batch<T> score(ctx, 3, 2, {1}, {65024, 65280, -7, -7, 0, 0});
  Param<Master<T>> centre(ctx, 3, {1}), scale(ctx, 3, {1});
  score_statistics<T>(ctx, centre.view(), scale.view(), score.input());
  check_equal(centre.get(), {65152, -7, 0});
  check_equal(scale.get(), {1.0 / 128, 1, 1});
}

GANMM_ELEMENT_CASE("scores: no rows give centre 0 and scale 1, no critics are no work") {
  const Batch<T> none(ctx, 2, 0, {1}, Values{});
  Param<Master<T>> centre(ctx, 2, {1}), scale(ctx, 2, {1});
  score_statistics<T>(ctx, centre.view(), scale.view(), none.input());
  check_zero(centre.get());
  check_equal(scale.get(), {1, 1});
  CHECK_NOTHROW(score_statistics<T>(ctx, centre.view().slice(0, 0), scale.view().slice(0, 0),
                                    none.input().slice(0, 0)));
}

GANMM_ELEMENT_CASE("scores: logits follow the definition in every layout") {
  for (const Index mixtures : {1, 3}) {
    for (const Index components : {1, 2, 7, 33}) {
      for (const Index rows : {1, 5, 64, 300}) {
        for (const Layout layout : kOutputLayouts) {
          CAPTURE(mixtures);
          CAPTURE(components);
          CAPTURE(rows);
          CAPTURE(static_cast<int>(layout));
          const Index critics = mixtures * components;
          RandomData random(static_cast<std::uint64_t>(critics * rows));
          const Values values = random.reals<T>(critics * rows, -2, 2);
          const Values centres = random.reals<Master<T>>(critics, -1, 1);
          const Values scales = random.reals<Master<T>>(critics, 0.5, 4);
          const Batch<T> score(ctx, critics, rows, {1}, values, layout);
          const Param<Master<T>> centre(ctx, critics, {1}, centres, layout);
          const Param<Master<T>> scale(ctx, critics, {1}, scales);
          Batch<Master<T>> logits(ctx, mixtures, rows, {components}, layout);
          join_scores<T>(ctx, logits.view(), score.input(), centre.input(), scale.input());
          const Values expected =
              reference::joined_scores(values, centres, scales, mixtures, components, rows);
          // Two roundings, each relative to its own result.
          check_within(logits.get(), expected, [&] {
            Values allowed;
            for (const double value : expected) {
              allowed.push_back(3 * unit_roundoff<Master<T>>() * std::abs(value));
            }
            return allowed;
          }());
        }
      }
    }
  }
}

GANMM_ELEMENT_CASE("scores: centre 0 and scale 1 leave scores as they are") {
  const Index critics = 6, rows = 40;
  RandomData random(2);
  const Values values = random.reals<T>(critics * rows, -2, 2);
  const Batch<T> score(ctx, critics, rows, {1}, values);
  const Param<Master<T>> centre(ctx, critics, {1}, Values(at(critics), 0.0));
  const Param<Master<T>> scale(ctx, critics, {1}, Values(at(critics), 1.0));
  Batch<Master<T>> logits(ctx, 2, rows, {3});
  join_scores<T>(ctx, logits.view(), score.input(), centre.input(), scale.input());
  check_equal(logits.get(), reference::joined_scores(values, Values(at(critics), 0.0),
                                                     Values(at(critics), 1.0), 2, 3, rows));
}

GANMM_DEVICE_CASE("scores: shares are those of the rows, with one row added to every component") {
  // Two mixtures of three components: 4, 0 and 6 of 10 rows, and 0, 0 and 10.
  const GuardBuffer<std::int32_t> begin(ctx, {0, 4, 4, 10, 0, 0, 0, 10});
  const Values own = {4, 0, 6, 0, 0, 10};
  for (Index first = 0; first < 6; ++first) {
    for (Index critics = 0; first + critics <= 6; ++critics) {
      Param<float> centre(ctx, critics, {1}, Layout::gaps);
      share_centres(ctx, centre.view(), begin.data(), 3, first);
      Values expected, allowed;
      for (Index g = first; g < first + critics; ++g) {
        expected.push_back(std::log(13 / (own[at(g)] + 1)));
        allowed.push_back(2 * unit_roundoff<float>() * expected.back());
      }
      check_within(centre.get(), expected, allowed);
    }
  }
}

TEST_CASE("scores: shapes that do not fit are refused") {
  Context ctx;
  const Batch<float> score(ctx, 6, 4, {1}, Values(24, 1.0)), pairs(ctx, 6, 4, {2}, Values(48, 1.0));
  Param<float> six(ctx, 6, {1}), five(ctx, 5, {1});
  six.set(Values(6, 1.0));
  five.set(Values(5, 1.0));
  Batch<float> good(ctx, 2, 4, {3}), few(ctx, 2, 4, {2}), longer(ctx, 2, 5, {3});
  CHECK_THROWS_AS(score_statistics<float>(ctx, five.view(), six.view(), score.input()), ShapeError);
  CHECK_THROWS_AS(score_statistics<float>(ctx, six.view(), five.view(), score.input()), ShapeError);
  CHECK_THROWS_AS(score_statistics<float>(ctx, six.view(), {}, pairs.input()), ShapeError);
  const auto refused = [&](Batch<float>& logits, const Batch<float>& of, const Param<float>& centre,
                           const Param<float>& scale) {
    CHECK_THROWS_AS(
        join_scores<float>(ctx, logits.view(), of.input(), centre.input(), scale.input()),
        ShapeError);
  };
  const GuardBuffer<std::int32_t> begin(ctx, {0, 1, 2, 3});
  CHECK_THROWS_AS(share_centres(ctx, six.view(), begin.data(), 0, 0), ShapeError);
  CHECK_THROWS_AS(share_centres(ctx, six.view(), begin.data(), 3, -1), ShapeError);
  refused(few, score, six, six);
  refused(longer, score, six, six);
  refused(good, pairs, six, six);
  refused(good, score, five, six);
  refused(good, score, six, five);
}

}  // namespace ganmm::kernels
