#include "kernels/gaussian.h"
#include "tests/reference/gaussian.h"
#include "tests/support/devices.h"
#include "tests/support/guard_buffer.h"
#include "tests/support/random_data.h"

namespace ganmm::kernels {
namespace {

using namespace ganmm::test;
using reference::at;

enum class Factor { matrix, shared, diagonal };

// More than a tile of features (32 on a GPU, 64 on a CPU), and rows beyond a block's.
const std::vector<Index> kFeatures = {1, 2, 5, 19, 31, 32, 33, 64, 70};
bool has_many_rows(Index features) { return features == 2 || features == 33 || features == 70; }

// Random Gaussians; factors as full matrices [R][N][D][D] for the reference.
struct Gaussians {
  Gaussians(Context& ctx, Index mixtures, Index components, Index features, Factor kind,
            RandomData& random)
      : offset(random.reals<double>(mixtures * components, -3, 3)),
        mean(random.reals<double>(mixtures * components * features, -1, 1)),
        full(at(mixtures * components * features * features), 0.0),
        packed(pack(kind, mixtures, components, features, random)), device_offset(ctx, offset),
        device_mean(ctx, mean), device_factor(ctx, packed), view{mixtures,
                                                                 components,
                                                                 features,
                                                                 device_offset.data(),
                                                                 device_mean.data(),
                                                                 device_factor.data(),
                                                                 kind == Factor::diagonal,
                                                                 kind == Factor::shared} {}

  Values pack(Factor kind, Index mixtures, Index components, Index features, RandomData& random) {
    Values result;
    const Index matrix = features * features;
    for (Index g = 0; g < mixtures * components; ++g) {
      if (kind == Factor::shared && g % components > 0) {
        std::copy_n(full.begin() + (g - 1) * matrix, matrix, full.begin() + g * matrix);
        continue;
      }
      for (Index i = 0; i < features; ++i) {
        for (Index j = kind == Factor::diagonal ? i : 0;
             j < (kind == Factor::diagonal ? i + 1 : features); ++j) {
          const double value = j < i ? 0.0 : random.real<double>(-2, 2);
          full[at(g * matrix + i * features + j)] = value;
          result.push_back(value);
        }
      }
    }
    return result;
  }

  Values offset, mean, full, packed;
  GuardBuffer<double> device_offset, device_mean, device_factor;
  GaussianView view;
};

}  // namespace

GANMM_DEVICE_CASE("gaussian: log densities follow the definition for every kind of factor") {
  for (const Factor kind : {Factor::matrix, Factor::shared, Factor::diagonal}) {
    for (const Index features : kFeatures) {
      for (const Layout layout : kInputLayouts) {
        CAPTURE(static_cast<int>(kind));
        CAPTURE(features);
        CAPTURE(static_cast<int>(layout));
        const Index mixtures = 2, components = 3, rows = has_many_rows(features) ? 70 : 5;
        RandomData random(static_cast<std::uint64_t>(features));
        const Index stored = layout == Layout::shared ? 1 : mixtures;
        const Values values = random.reals<T>(stored * rows * features, -1, 1);
        const Values all = layout == Layout::shared ? repeated(values, mixtures) : values;
        const Batch<T> data(ctx, mixtures, rows, {features}, values, layout);
        const Gaussians g(ctx, mixtures, components, features, kind, random);
        Batch<double> density(ctx, mixtures, rows, {components}, Layout::gaps);
        gaussian_log_density<T>(ctx, density.view(), data.input(), g.view);
        Values expected, allowed;
        for (Index b = 0; b < mixtures * rows; ++b) {
          for (Index k = 0; k < components; ++k) {
            const Index number = b / rows * components + k;
            const auto [value, scale] = reference::log_density(
                all.data() + b * features, g.mean.data() + number * features,
                g.full.data() + number * features * features, features, g.offset[at(number)]);
            expected.push_back(value);
            allowed.push_back(4 * reduction_rtol<double>(features + 2) * scale);
          }
        }
        check_within(density.get(), expected, allowed);
      }
    }
  }
}

GANMM_DEVICE_CASE("gaussian: rows without a group axis of their own belong to all mixtures") {
  const Index mixtures = 3, components = 2, rows = 9, features = 4;
  RandomData random(1);
  const Values values = random.reals<T>(rows * features, -1, 1);
  const Batch<T> one(ctx, 1, rows, {features}, values);
  const Batch<T> shared(ctx, mixtures, rows, {features}, values, Layout::shared);
  const Gaussians g(ctx, mixtures, components, features, Factor::matrix, random);
  Batch<double> a(ctx, mixtures, rows, {components}), b(ctx, mixtures, rows, {components});
  gaussian_log_density<T>(ctx, a.view(), one.input(), g.view);
  gaussian_log_density<T>(ctx, b.view(), shared.input(), g.view);
  CHECK(same_bits(a.bits(), b.bits()));
  const Batch<double> weight(ctx, mixtures, rows, {components},
                             random.reals<double>(mixtures * rows * components, 0, 1));
  const Index count = mixtures * components * moment_count(features, false);
  GuardBuffer<double> m(ctx, count), n(ctx, count);
  reserve_scratch(ctx, moments_workspace(ctx, mixtures, components, rows, features, false));
  weighted_moments<T>(ctx, m.data(), weight.input(), one.input(), g.device_mean.data(), false);
  weighted_moments<T>(ctx, n.data(), weight.input(), shared.input(), g.device_mean.data(), false);
  CHECK(same_bits(m.get(), n.get()));
}

GANMM_DEVICE_CASE("gaussian: responsibilities are a softmax, also where densities underflow") {
  reserve_scratch(ctx, responsibilities_workspace(ctx, 3, 300));
  for (const Index rows : {1, 5, 300}) {
    for (const Index components : {1, 2, 7}) {
      CAPTURE(rows);
      CAPTURE(components);
      const Index mixtures = 3;
      RandomData random(static_cast<std::uint64_t>(rows));
      Values values = random.reals<double>(mixtures * rows * components, -5, 5);
      for (Index b = 0; b < mixtures * rows; ++b) {  // as far out as unlikely rows are
        for (Index k = 0; k < components; ++k) {
          values[at(b * components + k)] -= b % 3 == 0 ? 5000.0 : 0.0;
        }
      }
      Batch<double> density(ctx, mixtures, rows, {components}, Layout::gaps);
      density.set(values);
      GuardBuffer<double> total(ctx, mixtures);
      responsibilities(ctx, total.data(), density.view());
      Values expected, allowed, expected_total(at(mixtures), 0.0), allowed_total(at(mixtures), 0.0);
      for (Index b = 0; b < mixtures * rows; ++b) {
        const double* row = values.data() + b * components;
        const double shift = b % 3 == 0 ? -5000.0 : 0.0;
        double sum = 0;
        for (Index k = 0; k < components; ++k) sum += std::exp(row[k] - shift);
        for (Index k = 0; k < components; ++k) {
          expected.push_back(std::exp(row[k] - shift) / sum);
          allowed.push_back(1e-11 * expected.back());  // differences of numbers near 5000
        }
        expected_total[at(b / rows)] += shift + std::log(sum);
        allowed_total[at(b / rows)] += 1e-13 * (std::abs(shift) + 10);
      }
      check_within(density.get(), expected, allowed);
      check_within(total.get(), expected_total, allowed_total);
    }
  }
}

GANMM_DEVICE_CASE("gaussian: moments follow the definition in every layout") {
  for (const bool diagonal : {false, true}) {
    for (const Index features : kFeatures) {
      for (const Layout layout : kInputLayouts) {
        CAPTURE(diagonal);
        CAPTURE(features);
        CAPTURE(static_cast<int>(layout));
        // Several slices of a GPU's rows, and a rest.
        const Index mixtures = 2, components = 3,

                    rows = features == 2             ? 1000
                           : has_many_rows(features) ? 150
                                                     : 37;
        RandomData random(static_cast<std::uint64_t>(features));
        const Index stored = layout == Layout::shared ? 1 : mixtures;
        const Values values = random.reals<T>(stored * rows * features, -1, 1);
        const Values all = layout == Layout::shared ? repeated(values, mixtures) : values;
        Values weights = random.reals<double>(mixtures * rows * components, 0, 1);
        for (std::size_t i = 0; i < weights.size() / 2; ++i) weights[i] = i % 5 == 0 ? 1 : 0;
        const Values shifts = random.reals<double>(mixtures * components * features, -1, 1);
        const Batch<T> data(ctx, mixtures, rows, {features}, values, layout);
        const Batch<double> weight(ctx, mixtures, rows, {components}, weights, Layout::gaps);
        const GuardBuffer<double> shift(ctx, shifts);
        const Index count = moment_count(features, diagonal);
        GuardBuffer<double> moments(ctx, mixtures * components * count);
        Context fresh(ctx.device());  // scratch of the exact size
        reserve_scratch(fresh,
                        moments_workspace(ctx, mixtures, components, rows, features, diagonal));
        weighted_moments<T>(fresh, moments.data(), weight.input(), data.input(), shift.data(),
                            diagonal);
        fresh.synchronize();
        Values expected, allowed;
        for (Index g = 0; g < mixtures * components; ++g) {
          const Index r = g / components;
          const auto reference = reference::moments(
              weights.data() + r * rows * components + g % components, components,
              all.data() + r * rows * features, shifts.data() + g * features, rows, features);
          for (Index e = 0; e < count; ++e) {
            const Index from =
                diagonal && e > features ? 1 + features + (e - 1 - features) * (features + 1) : e;
            expected.push_back(reference.value[at(from)]);
            allowed.push_back(2 * reduction_rtol<double>(rows + 3) * reference.scale[at(from)]);
          }
        }
        check_within(moments.get(), expected, allowed);
      }
    }
  }
}

GANMM_DEVICE_CASE("gaussian: a mixture has the same bits among others as alone") {
  const Index mixtures = 3, components = 2, rows = 600, features = 5;
  RandomData random(4);
  const Values values = random.reals<T>(rows * features, -1, 1);
  const Batch<T> data(ctx, 1, rows, {features}, values);
  const Gaussians g(ctx, mixtures, components, features, Factor::matrix, random);
  Batch<double> density(ctx, mixtures, rows, {components});
  GuardBuffer<double> total(ctx, mixtures), total_alone(ctx, 1);
  const Index count = components * moment_count(features, false);
  GuardBuffer<double> moments(ctx, mixtures * count), moments_alone(ctx, count);
  reserve_scratch(ctx,
                  std::max(responsibilities_workspace(ctx, mixtures, rows),
                           moments_workspace(ctx, mixtures, components, rows, features, false)));
  const auto run = [&](const GroupView<double>& resp, const GaussianView& view, double* sums,
                       double* m) {
    gaussian_log_density<T>(ctx, resp, data.input(), view);
    responsibilities(ctx, sums, resp);
    weighted_moments<T>(ctx, m, resp, data.input(), view.mean, false);
  };
  run(density.view(), g.view, total.data(), moments.data());
  const auto all = moments.get();
  Batch<double> alone(ctx, 1, rows, {components});
  for (Index r = 0; r < mixtures; ++r) {
    GaussianView one = g.view;
    one.mixtures = 1;
    one.offset += r * components;
    one.mean += r * components * features;
    one.factor += r * components * features * features;
    run(alone.view(), one, total_alone.data(), moments_alone.data());
    CHECK(total_alone.get()[0] == total.get()[at(r)]);
    const auto own = moments_alone.get();
    CHECK(same_bits(own,
                    std::vector<double>(all.begin() + r * count, all.begin() + (r + 1) * count)));
  }
}

GANMM_DEVICE_CASE("gaussian: no rows give no moments and no likelihood") {
  const Batch<T> data(ctx, 1, 0, {3}, Values{});
  Batch<double> density(ctx, 2, 0, {2});
  const GuardBuffer<double> shift(ctx, Values(12, 1.0));
  GuardBuffer<double> total(ctx, 2), moments(ctx, 2 * 2 * moment_count(3, false));
  reserve_scratch(ctx, std::max(responsibilities_workspace(ctx, 2, 0),
                                moments_workspace(ctx, 2, 2, 0, 3, false)));
  responsibilities(ctx, total.data(), density.view());
  check_zero(total.get());
  weighted_moments<T>(ctx, moments.data(), density.view(), data.input(), shift.data(), false);
  check_zero(moments.get());
}

TEST_CASE("gaussian: rows and Gaussians that do not fit each other are refused") {
  Context ctx;
  const Batch<float> data(ctx, 1, 2, {3}, Values(6, 1.0));
  Batch<double> density(ctx, 1, 2, {2});
  RandomData random(1);
  const Gaussians narrow(ctx, 1, 2, 4, Factor::matrix, random);
  CHECK_THROWS_AS(gaussian_log_density<float>(ctx, density.view(), data.input(), narrow.view),
                  ShapeError);
  const Gaussians three(ctx, 1, 3, 3, Factor::matrix, random);
  CHECK_THROWS_AS(gaussian_log_density<float>(ctx, density.view(), data.input(), three.view),
                  ShapeError);
  Batch<double> longer(ctx, 1, 3, {3});
  CHECK_THROWS_AS(gaussian_log_density<float>(ctx, longer.view(), data.input(), three.view),
                  ShapeError);
}

}  // namespace ganmm::kernels
