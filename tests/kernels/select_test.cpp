#include "kernels/select.h"
#include "tests/reference/select.h"
#include "tests/support/devices.h"
#include "tests/support/guard_buffer.h"
#include "tests/support/random_data.h"
#include "tests/support/statistics.h"

#include <limits>
#include <numeric>

namespace ganmm::kernels {
namespace {

std::uint64_t high_half(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>((static_cast<Wide>(a) * b) >> 64);
}

using namespace ganmm::test;
using Ints = std::vector<std::int32_t>;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// A pool with its partition, on the device of a context.
struct Pool {
  Pool(Context& ctx, Index mixtures, Index components, const Ints& labels,
       const std::vector<float>& posteriors)
      : label(ctx, labels), posterior(ctx, posteriors),
        member(ctx, static_cast<Index>(labels.size())),
        begin(ctx, mixtures * (components + 1)), view{label.data(), posterior.data(), mixtures,
                                                      components,
                                                      static_cast<Index>(labels.size()) /
                                                          mixtures} {
    partition_rows(ctx, member.data(), begin.data(), view);
  }
  GuardBuffer<std::int32_t> label;
  GuardBuffer<float> posterior;
  GuardBuffer<std::int32_t> member, begin;
  PoolView view;
};

Ints draw(Context& ctx, const Pool& pool, Index first_group, Index groups,
          const DrawSettings& settings) {
  GuardBuffer<std::int32_t> row(ctx, groups * settings.batches * settings.batch);
  draw_rows(ctx, row.data(), first_group, groups, pool.view, pool.member.data(), pool.begin.data(),
            settings);
  return row.get();
}

RandomKey key(std::uint32_t step) { return {20, Purpose::real_rows, step, 0}; }

// Scratch for a pool of that size and draws for all its groups.
void plan_pool(Context& ctx, Index mixtures, Index components, Index rows) {
  ctx.scratch().replan();
  reserve_scratch(ctx, std::max(partition_workspace(ctx, mixtures, components, rows),
                                draw_workspace(ctx, mixtures * components, rows)));
}

Ints random_labels(RandomData& random, Index count, Index components) {
  Ints labels;
  for (Index i = 0; i < count; ++i) {
    labels.push_back(static_cast<std::int32_t>(random.integer(0, components - 1)));
  }
  return labels;
}

std::vector<float> random_posteriors(RandomData& random, Index rows, Index components) {
  std::vector<float> posteriors;
  for (Index i = 0; i < rows; ++i) {
    const Values p = reference::softmax(random.reals<float>(components, -2, 2), 1);
    for (const double value : p) posteriors.push_back(static_cast<float>(value));
  }
  return posteriors;
}

// The law of the header, written down for one draw at a time. `member` is needed where it is not
// the sorted partition.
Ints reference_draws(const Ints& label, const std::vector<float>& posterior, Index mixtures,
                     Index components, std::int32_t first_row, Index first_group, Index groups,
                     const DrawSettings& settings, const Ints& member = {}) {
  const Index rows = static_cast<Index>(label.size()) / mixtures;
  Ints result;
  for (Index group = first_group; group < first_group + groups; ++group) {
    const Index r = group / components, i = group % components;
    Ints own;
    for (Index p = 0; p < rows; ++p) {
      const auto candidate = member.empty() ? static_cast<std::int32_t>(p) : member[at(p)];
      if (label[at(r * rows + candidate)] == i) own.push_back(candidate);
    }
    std::vector<double> weight(at(rows), 0.0);  // integers, exact
    for (Index p = 0; p < rows && !posterior.empty(); ++p) {
      const float share = posterior[at((r * rows + p) * components + i)];
      if (label[at(r * rows + p)] == i || std::isnan(share)) continue;
      weight[at(p)] = static_cast<double>(std::floor(share * 0x1p24f + 0.5f));
    }
    const double sum = std::accumulate(weight.begin(), weight.end(), 0.0);
    for (Index e = 0; e < settings.batches * settings.batch; ++e) {
      const Philox words =
          philox(settings.key, static_cast<std::uint32_t>(group), static_cast<std::uint32_t>(e));
      Index chosen = 0;
      if (!own.empty() && e % settings.batch < settings.batch - settings.foreign) {
        chosen = own[uniform_below(words.word[0], static_cast<std::uint32_t>(own.size()))];
      } else if (sum > 0) {
        const auto total = static_cast<std::uint64_t>(sum);
        auto left = static_cast<double>(
            high_half((std::uint64_t{words.word[1]} << 32) + words.word[0], total));
        while (left >= weight[at(chosen)]) left -= weight[at(chosen++)];
      } else {
        chosen = uniform_below(words.word[0], static_cast<std::uint32_t>(rows));
      }
      result.push_back(static_cast<std::int32_t>(first_row + chosen));
    }
  }
  return result;
}

}  // namespace

GANMM_DEVICE_CASE("select: posteriors are the softmax at the temperature, labels its argmax") {
  for (const Index components : {1, 2, 3, 7, 8, 10, 16, 17, 33, 64, 65, 130}) {
    for (const double temperature : {1.0, 0.5, 4.0}) {
      for (const Layout layout : kOutputLayouts) {
        CAPTURE(components);
        CAPTURE(temperature);
        const Index mixtures = 2, batch = 13, stride = batch + 4;
        RandomData random(static_cast<std::uint64_t>(components));
        const Values values = random.reals<T>(mixtures * batch * components, -4, 4);
        Values expected;
        Ints expected_label;
        for (Index i = 0; i < mixtures * batch; ++i) {
          const Values row(values.begin() + i * components, values.begin() + (i + 1) * components);
          const Values p = reference::softmax(row, temperature);
          expected.insert(expected.end(), p.begin(), p.end());
          expected_label.push_back(reference::argmax(row));
        }
        // Exponents up to 8 / temperature are rounded, then exponential, sum and quotient.
        const double rtol =
            2 * reduction_rtol<T>(components) + (16 + 3 * 8 / temperature) * unit_roundoff<T>();
        const Batch<T> logits(ctx, mixtures, batch, {components}, values, layout);
        Batch<T> posterior(ctx, mixtures, batch, {components}, layout);
        GuardBuffer<std::int32_t> label(ctx, mixtures * stride);
        const Ints untouched = label.get();
        const auto check_labels = [&] {
          const Ints now = label.get();
          for (Index i = 0; i < mixtures * stride; ++i) {
            const Index b = i % stride;
            const std::int32_t wanted =
                b < batch ? expected_label[at(i / stride * batch + b)] : untouched[at(i)];
            if (now[at(i)] != wanted) return false;
          }
          return true;
        };
        classify_rows<T>(ctx, posterior.view(), label.data(), stride, logits.input(), temperature);
        const Values result = posterior.get();
        check_within(result, expected, scaled(expected, rtol));
        CHECK(check_labels());
        double worst_sum = 0;
        for (Index i = 0; i < mixtures * batch; ++i) {
          double sum = 0;
          for (Index k = 0; k < components; ++k) sum += result[at(i * components + k)];
          worst_sum = std::max(worst_sum, std::abs(sum - 1));
        }
        CHECK(worst_sum <= 2 * reduction_rtol<T>(components));

        Batch<T> in_place(ctx, mixtures, batch, {components});
        in_place.set(values);
        classify_rows<T>(ctx, in_place.view(), label.data(), stride, in_place.input(), temperature);
        check_within(in_place.get(), expected, scaled(expected, rtol));
        CHECK(check_labels());
        label.set(untouched);
        classify_rows<T>(ctx, {}, label.data(), stride, logits.input(), temperature);
        CHECK(check_labels());
      }
    }
  }
}

GANMM_DEVICE_CASE("select: the lowest index wins ties and extreme logits stay finite") {
  const Batch<T> logits(ctx, 1, 5, {4}, {2, 7, 7,   7,    0,   0, 0,    0,    5,    1,
                                         2, 5, 1e4, -1e4, 1e4, 0, -1e4, -1e4, -1e4, -1e4});
  Batch<T> posterior(ctx, 1, 5, {4});
  GuardBuffer<std::int32_t> label(ctx, 5);
  classify_rows<T>(ctx, posterior.view(), label.data(), 5, logits.input(), 1);
  CHECK(label.get() == Ints{1, 0, 0, 0, 0});
  const Values p = posterior.get();
  CHECK(all_finite(p));
  CHECK(p[4] == 0.25);
  CHECK(p[12] == 0.5);
  CHECK(p[13] == 0);
  CHECK(p[16] == 0.25);
}

GANMM_DEVICE_CASE("select: the partition is sorted, stable and complete") {
  for (const auto& [components, rows] : {std::pair<Index, Index>{1, 1},
                                         {1, 70},
                                         {2, 5},
                                         {7, 64},
                                         {33, 1000},
                                         {600, 1000},
                                         {8, 4096},
                                         {9, 4097},
                                         {200, 9001}}) {
    CAPTURE(components);
    CAPTURE(rows);
    const Index mixtures = 2;
    plan_pool(ctx, mixtures, components, rows);
    RandomData random(static_cast<std::uint64_t>(rows));
    const Ints labels = random_labels(random, mixtures * rows, components);
    const Pool pool(ctx, mixtures, components, labels, {});
    Ints member, begin;
    for (Index r = 0; r < mixtures; ++r) {
      const auto expected = reference::partition(
          Ints(labels.begin() + r * rows, labels.begin() + (r + 1) * rows), components);
      member.insert(member.end(), expected.member.begin(), expected.member.end());
      begin.insert(begin.end(), expected.begin.begin(), expected.begin.end());
    }
    CHECK(pool.member.get() == member);
    CHECK(pool.begin.get() == begin);
  }
}

GANMM_DEVICE_CASE("select: components that own nothing have an empty range") {
  const Pool pool(ctx, 1, 4, {3, 1, 3, 1, 1}, std::vector<float>(20, 0.25f));
  CHECK(pool.begin.get() == Ints{0, 0, 3, 3, 5});
  CHECK(pool.member.get() == Ints{1, 3, 4, 0, 2});
}

GANMM_DEVICE_CASE("select: every batch holds the asked number of own rows, then foreign ones") {
  const Index mixtures = 2, components = 3, rows = 100;
  plan_pool(ctx, mixtures, components, rows);
  RandomData random(1);
  const Ints labels = random_labels(random, mixtures * rows, components);
  const Pool pool(ctx, mixtures, components, labels,
                  random_posteriors(random, mixtures * rows, components));
  for (const Index foreign : {0, 1, 5, 16}) {
    CAPTURE(foreign);
    const std::int32_t first_row = 1000;
    const GuardBuffer<std::int32_t> first(ctx, Ints{first_row});
    const DrawSettings settings{7, 16, foreign, first.data(), key(3)};
    const Ints row = draw(ctx, pool, 0, mixtures * components, settings);
    int wrong = 0;
    for (Index i = 0; i < static_cast<Index>(row.size()); ++i) {
      const Index group = i / (settings.batches * settings.batch);
      const Index pool_row = row[at(i)] - first_row;
      REQUIRE(pool_row >= 0);
      REQUIRE(pool_row < rows);
      const bool own = labels[at(group / components * rows + pool_row)] == group % components;
      if (own != (i % settings.batch < settings.batch - foreign)) ++wrong;
    }
    CHECK(wrong == 0);
  }
}

GANMM_DEVICE_CASE("select: own rows are drawn uniformly and foreign rows by posterior") {
  const Index components = 3, rows = 40;
  plan_pool(ctx, 1, components, rows);
  RandomData random(2);
  const Ints labels = random_labels(random, rows, components);
  const std::vector<float> posteriors = random_posteriors(random, rows, components);
  const Pool pool(ctx, 1, components, labels, posteriors);
  const DrawSettings settings{400, 50, 25, 0, key(4)};
  const Ints row = draw(ctx, pool, 0, components, settings);
  const double draws = 400 * 25;
  for (Index i = 0; i < components; ++i) {
    CAPTURE(i);
    Values own(at(rows), 0.0), foreign(at(rows), 0.0);
    for (Index d = 0; d < settings.batches * settings.batch; ++d) {
      const auto drawn = at(row[at(i * settings.batches * settings.batch + d)]);
      (d % 50 < 25 ? own : foreign)[drawn] += 1;
    }
    double weight = 0;
    Index owned = 0;
    for (Index r = 0; r < rows; ++r) {
      if (labels[at(r)] == i) {
        ++owned;
      } else {
        weight += static_cast<double>(posteriors[at(r * components + i)]);
      }
    }
    Values own_seen, own_expected, foreign_seen, foreign_expected;
    for (Index r = 0; r < rows; ++r) {
      if (labels[at(r)] == i) {
        own_seen.push_back(own[at(r)]);
        own_expected.push_back(draws / static_cast<double>(owned));
      } else {
        foreign_seen.push_back(foreign[at(r)]);
        foreign_expected.push_back(draws * static_cast<double>(posteriors[at(r * components + i)]) /
                                   weight);
      }
    }
    CHECK(chi_square(own_seen, own_expected) <
          chi_square_bound(static_cast<double>(own_seen.size() - 1)));
    CHECK(chi_square(foreign_seen, foreign_expected) <
          chi_square_bound(static_cast<double>(foreign_seen.size() - 1)));
  }
}

GANMM_DEVICE_CASE("select: own and foreign draws of a batch are independent") {
  // Component 0 owns rows 0..3, component 1 rows 4..7, all posteriors equal.
  plan_pool(ctx, 1, 2, 8);
  const Pool pool(ctx, 1, 2, {0, 0, 0, 0, 1, 1, 1, 1}, std::vector<float>(16, 0.5f));
  const DrawSettings settings{4000, 2, 1, 0, key(5)};
  const Ints row = draw(ctx, pool, 0, 1, settings);
  Values pairs(16, 0.0);
  for (std::size_t b = 0; b < 4000; ++b) {
    pairs[static_cast<std::size_t>(row[2 * b] * 4 + row[2 * b + 1] - 4)] += 1;
  }
  CHECK(chi_square(pairs, Values(16, 250.0)) < chi_square_bound(15));
}

GANMM_DEVICE_CASE("select: batches and steps draw different rows") {
  plan_pool(ctx, 1, 1, 1000);
  const Pool pool(ctx, 1, 1, Ints(1000, 0), std::vector<float>(1000, 1.0f));
  const Ints first = draw(ctx, pool, 0, 1, {2, 50, 0, 0, key(1)});
  const Ints second = draw(ctx, pool, 0, 1, {2, 50, 0, 0, key(2)});
  CHECK(first == draw(ctx, pool, 0, 1, {2, 50, 0, 0, key(1)}));
  CHECK(first != second);
  CHECK(Ints(first.begin(), first.begin() + 50) != Ints(first.begin() + 50, first.end()));
}

GANMM_DEVICE_CASE("select: an empty component draws everything by posterior") {
  const Index rows = 20;
  plan_pool(ctx, 1, 2, rows);
  RandomData random(3);
  const std::vector<float> posteriors = random_posteriors(random, rows, 2);
  const Pool pool(ctx, 1, 2, Ints(at(rows), 0), posteriors);
  const DrawSettings settings{400, 25, 5, 0, key(6)};
  const Ints row = draw(ctx, pool, 1, 1, settings);
  Values seen(at(rows), 0.0), expected;
  for (const std::int32_t r : row) seen[at(r)] += 1;
  double weight = 0;
  for (Index r = 0; r < rows; ++r) weight += static_cast<double>(posteriors[at(2 * r + 1)]);
  for (Index r = 0; r < rows; ++r) {
    expected.push_back(400 * 25 * static_cast<double>(posteriors[at(2 * r + 1)]) / weight);
  }
  CHECK(chi_square(seen, expected) < chi_square_bound(static_cast<double>(rows - 1)));
}

GANMM_DEVICE_CASE("select: a component without rows and posterior draws uniformly from the pool") {
  const Index rows = 20;
  plan_pool(ctx, 1, 2, rows);
  std::vector<float> posteriors;
  for (Index r = 0; r < rows; ++r) posteriors.insert(posteriors.end(), {1.0f, 0.0f});
  const Pool pool(ctx, 1, 2, Ints(at(rows), 0), posteriors);
  const Ints row = draw(ctx, pool, 1, 1, {400, 25, 5, 0, key(7)});
  Values seen(at(rows), 0.0);
  for (const std::int32_t r : row) seen[at(r)] += 1;
  CHECK(chi_square(seen, Values(at(rows), 500.0)) <
        chi_square_bound(static_cast<double>(rows - 1)));
}

GANMM_DEVICE_CASE("select: a component that owns the whole pool still fills its foreign share") {
  plan_pool(ctx, 1, 2, 10);
  std::vector<float> posteriors;
  for (int r = 0; r < 10; ++r) posteriors.insert(posteriors.end(), {1.0f, 0.0f});
  const Pool pool(ctx, 1, 2, Ints(10, 0), posteriors);
  const GuardBuffer<std::int32_t> first_row(ctx, Ints{100});
  const Ints row = draw(ctx, pool, 0, 1, {4, 8, 3, first_row.data(), key(8)});
  CHECK(*std::min_element(row.begin(), row.end()) >= 100);
  CHECK(*std::max_element(row.begin(), row.end()) < 110);
}

GANMM_DEVICE_CASE("select: foreign rows with posterior zero are never drawn") {
  plan_pool(ctx, 1, 2, 6);
  // Component 0 owns rows 0 and 1; of the rest only rows 3 and 5 have a posterior for it.
  const Pool pool(ctx, 1, 2, {0, 0, 1, 1, 1, 1},
                  {1, 0, 1, 0, 0, 1, 0.25f, 0.75f, 0, 1, 0.75f, 0.25f});
  const Ints row = draw(ctx, pool, 0, 1, {100, 20, 20, nullptr, key(9)});
  Values seen(6, 0.0);
  for (const std::int32_t r : row) seen[at(r)] += 1;
  CHECK(seen[0] + seen[1] + seen[2] + seen[4] == 0);
  CHECK(chi_square({seen[3], seen[5]}, {500, 1500}) < chi_square_bound(1));
}

// Weights of 0 to 2 units: most random numbers fall on the edge between two rows.
GANMM_DEVICE_CASE("select: a draw on the edge between two rows takes the row that begins there") {
  const Index rows = 9, draws = 400;
  plan_pool(ctx, 1, 2, rows);
  const Ints labels{0, 1, 1, 1, 1, 1, 1, 1, 0};
  std::vector<float> posteriors;
  for (const int units : {0, 1, 0, 2, 0, 0, 1, 1, 0}) {
    posteriors.insert(posteriors.end(), {static_cast<float>(units) * 0x1p-24f, 1.0f});
  }
  const Pool pool(ctx, 1, 2, labels, posteriors);
  const DrawSettings settings{1, draws, draws, nullptr, key(14)};
  const Ints row = draw(ctx, pool, 0, 1, settings);
  CHECK(row == reference_draws(labels, posteriors, 1, 2, 0, 0, 1, settings));
  Values seen(at(rows), 0.0);
  for (const std::int32_t r : row) seen[at(r)] += 1;
  CHECK(seen[0] + seen[2] + seen[4] + seen[5] + seen[8] == 0);
}

GANMM_DEVICE_CASE("select: draws do not depend on how groups are sliced") {
  const Index mixtures = 3, components = 4, groups = mixtures * components, rows = 64;
  plan_pool(ctx, mixtures, components, rows);
  RandomData random(4);
  const Pool pool(ctx, mixtures, components, random_labels(random, mixtures * rows, components),
                  random_posteriors(random, mixtures * rows, components));
  const GuardBuffer<std::int32_t> first_row(ctx, Ints{7});
  const DrawSettings settings{5, 20, 6, first_row.data(), key(10)};
  const Ints whole = draw(ctx, pool, 0, groups, settings);
  Ints by_one, uneven;
  for (Index g = 0; g < groups; ++g) {
    const Ints part = draw(ctx, pool, g, 1, settings);
    by_one.insert(by_one.end(), part.begin(), part.end());
  }
  for (const auto& [first, count] : {std::pair<Index, Index>{0, 3}, {3, 7}, {10, 2}}) {
    const Ints part = draw(ctx, pool, first, count, settings);
    uneven.insert(uneven.end(), part.begin(), part.end());
  }
  CHECK(whole == by_one);
  CHECK(whole == uneven);
  const auto per_group = static_cast<std::ptrdiff_t>(settings.batches * settings.batch);
  CHECK(Ints(whole.begin(), whole.begin() + per_group) !=
        Ints(whole.begin() + per_group, whole.begin() + 2 * per_group));
}

GANMM_DEVICE_CASE("select: gathered rows are copies of the chosen ones") {
  for (const Index width : kWidths) {
    for (const Index groups : kGroupCounts) {
      const Index rows = 9, batch = 5, stride = batch + 2;
      RandomData random(static_cast<std::uint64_t>(width));
      const Values values = random.reals<T>(rows * width, 1, 9);
      Ints row;
      Values expected;
      for (Index i = 0; i < groups * stride; ++i) {
        const Index r = random.integer(0, rows - 1);
        row.push_back(static_cast<std::int32_t>(r));
        if (i % stride >= batch) continue;
        expected.insert(expected.end(), values.begin() + r * width,
                        values.begin() + (r + 1) * width);
      }
      const GuardBuffer<std::int32_t> row_buffer(ctx, row);
      for (const Layout layout : kOutputLayouts) {
        const Batch<T> data(ctx, 1, rows, {width}, values, layout);
        Batch<T> y(ctx, groups, batch, {width}, layout);
        gather_rows<T>(ctx, y.view(), data.input(), row_buffer.data(), stride);
        check_equal(y.get(), expected);
      }
    }
  }
  const Batch<T> images(ctx, 1, 2, {2, 2, 1}, {1, 2, 3, 4, 5, 6, 7, 8});
  const GuardBuffer<std::int32_t> second(ctx, Ints{1});
  Batch<T> image(ctx, 1, 1, {2, 2, 1});
  gather_rows<T>(ctx, image.view(), images.input(), second.data(), 1);
  check_equal(image.get(), {5, 6, 7, 8});
}

GANMM_DEVICE_CASE("select: an empty batch is classified and gathered without work") {
  const Batch<T> logits(ctx, 2, 0, {3}, Values{});
  Batch<T> posterior(ctx, 2, 0, {3});
  GuardBuffer<std::int32_t> label(ctx, 0);
  CHECK_NOTHROW(classify_rows<T>(ctx, posterior.view(), label.data(), 0, logits.input(), 1));
  const Batch<T> data(ctx, 1, 4, {3}, Values(12, 1.0));
  CHECK_NOTHROW(gather_rows<T>(ctx, posterior.view(), data.input(), label.data(), 0));
}

GANMM_DEVICE_CASE("select: rows drawn from a large pool are the ones that the law names") {
  const Index mixtures = 2, components = 3, rows = 9001;
  plan_pool(ctx, mixtures, components, rows);
  RandomData random(11);
  // The last component owns nothing in the first mixture, everything in the second.
  Ints labels = random_labels(random, mixtures * rows, components - 1);
  std::fill(labels.begin() + rows, labels.end(), static_cast<std::int32_t>(components - 1));
  std::vector<float> posteriors = random_posteriors(random, mixtures * rows, components);
  posteriors[at(5 * components)] = std::numeric_limits<float>::quiet_NaN();
  const Pool pool(ctx, mixtures, components, labels, posteriors);
  const GuardBuffer<std::int32_t> first_row(ctx, Ints{70000});
  for (const Index foreign : {0, 3, 30}) {
    CAPTURE(foreign);
    const DrawSettings settings{5, 30, foreign, first_row.data(), key(12)};
    CHECK(draw(ctx, pool, 1, 5, settings) ==
          reference_draws(labels, posteriors, mixtures, components, 70000, 1, 5, settings));
  }
}

GANMM_DEVICE_CASE("select: own rows can be drawn where nothing was classified yet") {
  plan_pool(ctx, 1, 2, 5);
  const GuardBuffer<std::int32_t> member(ctx, Ints{4, 0, 2, 1, 3});
  const GuardBuffer<std::int32_t> begin(ctx, Ints{0, 3, 5});
  const PoolView pool{nullptr, nullptr, 1, 2, 5};
  GuardBuffer<std::int32_t> row(ctx, 2 * 3 * 20);
  const DrawSettings settings{3, 20, 0, nullptr, key(13)};
  draw_rows(ctx, row.data(), 0, 2, pool, member.data(), begin.data(), settings);
  CHECK(row.get() ==
        reference_draws({0, 1, 0, 1, 0}, {}, 1, 2, 0, 0, 2, settings, {4, 0, 2, 1, 3}));
}

GANMM_DEVICE_CASE("select: a recorded draw takes its step from a counter on the device") {
  plan_pool(ctx, 1, 1, 1000);
  const Pool pool(ctx, 1, 1, Ints(1000, 0), std::vector<float>(1000, 1.0f));
  const GuardBuffer<std::int32_t> counter(ctx, Ints{3});
  RandomKey counted = key(2);
  counted.counter = reinterpret_cast<const std::uint32_t*>(counter.data());
  counted.per_count = 10;
  CHECK(draw(ctx, pool, 0, 1, {2, 50, 0, nullptr, counted}) ==
        draw(ctx, pool, 0, 1, {2, 50, 0, nullptr, key(32)}));
}

GANMM_DEVICE_CASE("select: a window is copied from wherever the pool is") {
  for (const Index width : {1, 3, 4, 8, 33, 64}) {
    for (const Layout layout : kOutputLayouts) {
      for (const Index batch : {0, 1, 6}) {
        CAPTURE(width);
        CAPTURE(batch);
        const Index rows = 19, first = 5, offset = 3;
        const Values values =
            RandomData(static_cast<std::uint64_t>(width)).reals<T>(rows * width, 1, 9);
        const Batch<T> data(ctx, 1, rows, {width}, values, layout);
        const GuardBuffer<std::int32_t> first_row(ctx, Ints{first});
        Batch<T> y(ctx, 1, batch, {width}, layout);
        window_rows<T>(ctx, y.view(), data.input(), first_row.data(), offset);
        const auto start = values.begin() + (first + offset) * width;
        check_equal(y.get(), Values(start, start + batch * width));
      }
    }
  }
}

GANMM_DEVICE_CASE("select: labels of the pool are those of its rows") {
  const Index rows = 700;
  Ints assigned;
  for (Index p = 0; p < 3 * rows; ++p) assigned.push_back(static_cast<std::int32_t>(p * 7 % 1000));
  const GuardBuffer<std::int32_t> all(ctx, assigned), first_row(ctx, Ints{211});
  for (const Index mixtures : {0, 1, 3}) {
    for (const Index pool : {0, 1, 257, 489}) {
      GuardBuffer<std::int32_t> label(ctx, mixtures * pool);
      window_labels(ctx, label.data(), pool, all.data(), mixtures, rows, first_row.data());
      Ints expected;
      for (Index r = 0; r < mixtures; ++r) {
        const auto start = assigned.begin() + r * rows + 211;
        expected.insert(expected.end(), start, start + pool);
      }
      CHECK(label.get() == expected);
    }
  }
  CHECK_THROWS_AS(window_labels(ctx, nullptr, 3, all.data(), 1, 2, first_row.data()), ShapeError);
}

GANMM_DEVICE_CASE("select: pins set labels of their mixture where the pool has their rows") {
  const Index mixtures = 2, components = 3, rows = 5;
  const GuardBuffer<std::int32_t> row(ctx, Ints{9, 10, 14, 15, 10, 12});
  const GuardBuffer<std::int32_t> group(ctx, Ints{1, 2, 1, 2, 3, 5});
  const GuardBuffer<std::int32_t> first_row(ctx, Ints{10});
  // The last entry is not in use; rows 9 and 15 are outside the pool.
  for (const Index used : {0, 5}) {
    GuardBuffer<std::int32_t> label(ctx, mixtures * rows);
    label.set({0, 0, 0, 0, 0, 2, 2, 2, 2, 2});
    const GuardBuffer<std::int32_t> count(ctx, Ints{static_cast<std::int32_t>(used)});
    pin_labels(ctx, label.data(), {row.data(), group.data(), count.data(), 6}, components, rows,
               first_row.data());
    CHECK(label.get() ==
          (used == 0 ? Ints{0, 0, 0, 0, 0, 2, 2, 2, 2, 2} : Ints{2, 0, 0, 0, 1, 0, 2, 2, 2, 2}));
  }
  // More pins than threads.
  const Index many = 3000;
  Ints all, groups, expected(at(2 * many), 0);
  for (Index e = 0; e < many; ++e) {
    all.push_back(static_cast<std::int32_t>(10 + e));
    groups.push_back(static_cast<std::int32_t>(e % 6));
    expected[at(e % 6 / 3 * many + e)] = static_cast<std::int32_t>(e % 3);
  }
  const GuardBuffer<std::int32_t> all_rows(ctx, all), all_groups(ctx, groups);
  const GuardBuffer<std::int32_t> count(ctx, Ints{static_cast<std::int32_t>(many)});
  GuardBuffer<std::int32_t> label(ctx, 2 * many);
  label.set(Ints(at(2 * many), 0));
  pin_labels(ctx, label.data(), {all_rows.data(), all_groups.data(), count.data(), many},
             components, many, first_row.data());
  CHECK(label.get() == expected);
}

TEST_CASE("select: rows gathered as bfloat16 are rounded to nearest, bf16" *
          doctest::test_suite("gpu")) {
  on_cuda([](Context& ctx) {
    for (const Index width : {1, 3, 4, 8, 12, 33}) {
      for (const Layout layout : kOutputLayouts) {
        CAPTURE(width);
        const Index rows = 7, groups = 2, batch = 5;
        RandomData random(static_cast<std::uint64_t>(width));
        const Values values = random.signed_reals<float>(rows * width, 0.5, 2);
        Ints row;
        Values expected;
        for (Index i = 0; i < groups * batch; ++i) {
          const Index r = random.integer(0, rows - 1);
          row.push_back(static_cast<std::int32_t>(r));
          for (Index f = 0; f < width; ++f) {
            expected.push_back(static_cast<double>(BFloat16(values[at(r * width + f)])));
          }
        }
        const GuardBuffer<std::int32_t> row_buffer(ctx, row);
        const Batch<float> data(ctx, 1, rows, {width}, values, layout);
        Batch<BFloat16> y(ctx, groups, batch, {width}, layout);
        gather_rows<BFloat16>(ctx, y.view(), data.input(), row_buffer.data(), batch);
        check_equal(y.get(), expected);
      }
    }
  });
}

TEST_CASE("select: shapes that do not fit are refused") {
  Context ctx;
  const Batch<float> logits(ctx, 1, 2, {3}, Values(6, 1.0));
  Batch<float> posterior(ctx, 1, 2, {4});
  GuardBuffer<std::int32_t> label(ctx, Ints{0, 0});
  CHECK_THROWS_AS(classify_rows<float>(ctx, posterior.view(), label.data(), 2, logits.input(), 1),
                  ShapeError);
  CHECK_THROWS_AS(gather_rows<float>(ctx, posterior.view(), logits.input(), label.data(), 2),
                  ShapeError);
}

}  // namespace ganmm::kernels
