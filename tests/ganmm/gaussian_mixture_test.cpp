#include "ganmm/cholesky.h"
#include "ganmm/device_rows.h"
#include "ganmm/fit.h"
#include "ganmm/gaussian_mixture.h"
#include "ganmm/metrics.h"
#include "tests/support/blobs.h"
#include "tests/support/devices.h"
#include "tests/support/random_data.h"

#include <cmath>
#include <filesystem>

using namespace ganmm;
using test::Values;

namespace {

constexpr Covariance kKinds[] = {Covariance::full, Covariance::tied, Covariance::diag,
                                 Covariance::spherical};

GroupView<const float> view(const io::Dataset& data) {
  return {data.values.data(), 1, data.rows, data.item};
}

GaussianMixtureRuns run(const io::Dataset& data, Covariance kind, Index restarts, Lanes& lanes,
                        GroupView<const float> rows) {
  const auto start = gaussian_mixture_start(rows, 3, restarts, {4, Purpose::kmeans, 0, 0}, lanes);
  REQUIRE(static_cast<Index>(start.size()) == restarts * data.rows);
  return fit_gaussian_mixture(rows, {.clusters = 3, .covariance = kind}, start, lanes);
}

}  // namespace

TEST_CASE("cholesky: factors and inverse factors of a matrix of any size") {
  for (const Index n : {1, 2, 3, 7, 20}) {
    CAPTURE(n);
    test::RandomData random(static_cast<std::uint64_t>(n));
    const Values root = random.reals<double>(n * n, -1, 1);
    Values a(root.size()), factor(root.size(), 9.0), p(root.size(), 9.0);
    const auto at = [n](const Values& m, Index i, Index j) {
      return m[static_cast<std::size_t>(i * n + j)];
    };
    for (Index i = 0; i < n; ++i) {
      for (Index j = 0; j < n; ++j) {
        double& value = a[static_cast<std::size_t>(i * n + j)];
        value = i == j ? 0.1 : 0.0;
        for (Index k = 0; k < n; ++k) value += at(root, i, k) * at(root, j, k);
      }
    }
    REQUIRE(cholesky(factor.data(), a.data(), n));
    inverse_transpose(p.data(), factor.data(), n);
    for (Index i = 0; i < n; ++i) {
      for (Index j = 0; j < n; ++j) {
        double product = 0, identity = 0;  // L L^T, and L P^T
        for (Index k = 0; k < n; ++k) {
          product += at(factor, i, k) * at(factor, j, k);
          identity += at(factor, i, k) * at(p, j, k);
        }
        CHECK(product == doctest::Approx(at(a, i, j)).epsilon(1e-12));
        CHECK(identity == doctest::Approx(i == j ? 1.0 : 0.0).epsilon(1e-10));
        if (j > i) CHECK(at(factor, i, j) == 0.0);
        if (j < i) CHECK(at(p, i, j) == 0.0);
      }
    }
    a[0] = 0;
    CHECK_FALSE(cholesky(factor.data(), a.data(), n));
    a[0] = std::nan("");
    CHECK_FALSE(cholesky(factor.data(), a.data(), n));
  }
}

TEST_CASE("Gaussian mixture: blobs and their shares, means and variances are found") {
  const auto data = test::blobs(900, 3, 3);
  Lanes lanes({}, MathMode::fp32, 2);
  for (const Covariance kind : kKinds) {
    CAPTURE(to_string(kind));
    const GaussianMixtureFit fit = run(data, kind, 2, lanes, view(data)).best;
    CHECK(fit.converged);
    const Prediction prediction = predict_gaussians(fit.mixture, view(data), lanes);
    CHECK(score(prediction.assignments, data.labels).ari == 1.0);
    CHECK(prediction.confidence > 0.999);
    for (const double weight : fit.mixture.weight) CHECK(weight == doctest::Approx(1.0 / 3));
    // Deviation 0.05 along every axis.
    const auto& c = fit.mixture.covariance;
    CHECK(static_cast<Index>(c.size()) == fit.mixture.covariance_count());
    const std::size_t step = kind == Covariance::full || kind == Covariance::tied ? 4 : 1;
    for (std::size_t i = 0; i < (kind == Covariance::spherical ? 3 : 9); i += step) {
      CHECK(c[i] == doctest::Approx(0.0025).epsilon(0.2));
    }
    CHECK(prediction.log_likelihood / 900 >= fit.lower_bound - 1e-9);  // one step further
    for (std::size_t i = 1; i < fit.trace.size(); ++i) {
      CHECK(fit.trace[i] >= fit.trace[i - 1] - 1e-9);
    }
  }
}

TEST_CASE("Gaussian mixture: the same bits for every number of lanes, and among other restarts") {
  auto data = test::blobs(1500, 2, 3);
  for (std::size_t i = 0; i < data.values.size(); ++i) {  // so that it takes iterations
    data.values[i] += 0.6f * static_cast<float>(i % 7) / 7;
  }
  Lanes one({}, MathMode::fp32, 1), three({}, MathMode::fp32, 3);
  const auto a = run(data, Covariance::full, 3, one, view(data));
  const auto b = run(data, Covariance::full, 3, three, view(data));
  CHECK(a.lower_bound == b.lower_bound);
  CHECK(a.best.mixture.covariance == b.best.mixture.covariance);
  const auto best = std::max_element(a.lower_bound.begin(), a.lower_bound.end());
  CHECK(a.chosen == best - a.lower_bound.begin());
  const auto alone = run(data, Covariance::full, 1, one, view(data));
  CHECK(alone.lower_bound[0] == a.lower_bound[0]);
}

TEST_CASE("Gaussian mixture: data far from the origin lose no precision") {
  auto data = test::blobs(300, 2, 3);
  for (float& value : data.values) value += 4096.0f;  // coarse, but the same for both
  auto moved = data;
  for (float& value : moved.values) value -= 4096.0f;
  Lanes lanes({}, MathMode::fp32, 1);
  for (const Covariance kind : kKinds) {
    CAPTURE(to_string(kind));
    const auto far = run(data, kind, 1, lanes, view(data)).best;
    const auto near = run(moved, kind, 1, lanes, view(moved)).best;
    CHECK(far.lower_bound == doctest::Approx(near.lower_bound).epsilon(1e-9));
    for (std::size_t i = 0; i < far.mixture.covariance.size(); ++i) {
      CHECK(far.mixture.covariance[i] == doctest::Approx(near.mixture.covariance[i]).epsilon(1e-6));
    }
  }
}

TEST_CASE("Gaussian mixture: constant columns need regularisation, singular ones are refused") {
  auto data = test::blobs(60, 2, 3);
  for (std::size_t i = 1; i < data.values.size(); i += 2) data.values[i] = 0.0f;
  Lanes lanes({}, MathMode::fp32, 1);
  const auto start = gaussian_mixture_start(view(data), 3, 1, {4, Purpose::kmeans, 0, 0}, lanes);
  for (const Covariance kind : {Covariance::full, Covariance::tied, Covariance::diag}) {
    CAPTURE(to_string(kind));
    CHECK_NOTHROW(
        (void)fit_gaussian_mixture(view(data), {.clusters = 3, .covariance = kind}, start, lanes));
    CHECK_THROWS_AS(
        (void)fit_gaussian_mixture(
            view(data), {.clusters = 3, .covariance = kind, .regularization = 0}, start, lanes),
        Error);
  }
}

TEST_CASE("Gaussian mixture: fewer rows than a task, as many clusters as rows") {
  const auto data = test::blobs(3, 2, 3);
  Lanes lanes({}, MathMode::fp32, 2);
  const auto fit = run(data, Covariance::full, 1, lanes, view(data)).best;
  for (const double weight : fit.mixture.weight) CHECK(weight == doctest::Approx(1.0 / 3));
}

TEST_CASE("Gaussian mixture: a model file predicts and samples as what it was written from") {
  for (const Covariance kind : kKinds) {
    CAPTURE(to_string(kind));
    auto data = test::blobs(301, 3, 3);
    for (float& value : data.values) value = 100.0f + 10.0f * value;
    FitOptions options;
    options.settings = Settings::of(Method::gmm);
    options.settings.clusters = 3;
    options.settings.covariance = kind;
    options.threads = 1;
    const FitResult result = fit(data, options);
    CHECK(score(result.prediction.assignments, data.labels).ari == 1.0);
    const auto path = (std::filesystem::temp_directory_path() /
                       ("ganmm-gmm-test-" + std::to_string(std::rand()) + ".safetensors"))
                          .string();
    save_model(result.model, path);
    const Model model = load_model(path);
    std::filesystem::remove(path);
    Lanes lanes({}, MathMode::fp32, 2);
    const Prediction again = predict(model, data.values, 301, lanes);
    CHECK(again.assignments == result.prediction.assignments);
    CHECK(again.posteriors == result.prediction.posteriors);

    // Mean and deviation in the data's own units, five standard errors of 2000 draws.
    const auto samples = sample(model, 1, 2000, 3, lanes);
    CHECK(samples == sample(result.model, 1, 2000, 3, lanes));
    CHECK(samples != sample(model, 1, 2000, 4, lanes));
    for (std::size_t f = 0; f < 3; ++f) {
      double sum = 0, squares = 0, members = 0, own = 0;
      for (std::size_t i = f; i < samples.size(); i += 3) {
        const auto x = static_cast<double>(samples[i]) - 100;
        sum += x / 2000;
        squares += x * x / 2000;
      }
      for (std::size_t p = 0; p < 301; ++p) {
        if (result.prediction.assignments[p] != 1) continue;
        const double offset = model.scaling.offset[f], factor = model.scaling.factor[f];
        own += static_cast<double>(data.values[p * 3 + f]) / factor + offset - 100;
        members += 1;
      }
      CHECK(sum == doctest::Approx(own / members).epsilon(0.01).scale(5));
      if (kind == Covariance::spherical) continue;  // the same for all scaled columns
      CHECK(std::sqrt(squares - sum * sum) == doctest::Approx(0.5).epsilon(0.2));
    }
  }
}

TEST_CASE("Gaussian mixture: a GPU goes the CPU's way, cuda float" * doctest::test_suite("gpu")) {
  test::on_cuda([](Context& ctx) {
    const auto data = test::blobs(330, 3, 3);
    Lanes host({}, MathMode::fp32, 1), lanes(ctx.device(), MathMode::fp32, 1);
    const DeviceRows rows(data.values, data.rows, data.item, lanes);
    const auto start = gaussian_mixture_start(view(data), 3, 2, {4, Purpose::kmeans, 0, 0}, host);
    for (const Covariance kind : kKinds) {
      CAPTURE(to_string(kind));
      const GaussianMixtureSettings settings{.clusters = 3, .covariance = kind, .iterations = 5};
      const auto expected = fit_gaussian_mixture(view(data), settings, start, host);
      const auto result = fit_gaussian_mixture(rows.view(), settings, start, lanes);
      REQUIRE(result.best.trace.size() == expected.best.trace.size());
      for (std::size_t i = 0; i < result.best.trace.size(); ++i) {
        CHECK(result.best.trace[i] == doctest::Approx(expected.best.trace[i]).epsilon(1e-12));
      }
      for (std::size_t i = 0; i < result.best.mixture.mean.size(); ++i) {
        CHECK(result.best.mixture.mean[i] ==
              doctest::Approx(expected.best.mixture.mean[i]).epsilon(1e-10));
      }
      const auto& mixture = expected.best.mixture;
      const auto a = predict_gaussians(mixture, view(data), host);
      const auto b = predict_gaussians(mixture, rows.view(), lanes);
      CHECK(a.assignments == b.assignments);
      CHECK(a.log_likelihood == doctest::Approx(b.log_likelihood).epsilon(1e-12));
      CHECK(sample_gaussian(mixture, 1, 5, 2, host) == sample_gaussian(mixture, 1, 5, 2, lanes));
    }
  });
}
