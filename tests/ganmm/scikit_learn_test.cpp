// k-means and the Gaussian mixture against scikit-learn, from the same centres and labels. Expected
// values: tests/reference/scikit_learn.py.
#include "ganmm/gaussian_mixture.h"
#include "ganmm/kmeans.h"
#include "io/dataset.h"
#include "io/safetensors.h"
#include "io/scaling.h"
#include "tests/support/devices.h"
#include "tests/support/tolerances.h"

using namespace ganmm;

namespace {

using test::Values;

const io::TensorFile& expected() {
  static const auto file = io::TensorFile::read(GANMM_TEST_DATA "/scikit-learn.safetensors");
  return file;
}

Values values(const std::string& name) { return expected().get<double>(name); }

struct Points {
  std::string name;
  Index rows = 0;
  Index features = 0;
  std::vector<float> values;

  GroupView<const float> view() const { return {values.data(), 1, rows, {features}}; }
};

Points segmentation() {
  auto data = io::load_dataset(GANMM_TEST_DATA "/image-segmentation.csv", {"last", ""});
  const Index features = data.item.count();
  io::apply(io::fit_scaling(data, io::ScaleKind::maxabs), data.values, features);
  return {"segmentation", data.rows, features, std::move(data.values)};
}

Points blobs() {
  const auto& tensor = expected().tensor("blobs.points");
  return {"blobs", tensor.shape[0], tensor.shape[1], expected().get<float>("blobs.points")};
}

void check_kmeans(const Points& points, const std::string& name) {
  CAPTURE(name);
  const auto start = expected().get<float>(name + ".start");
  const KMeansSettings settings{.clusters = static_cast<Index>(start.size()) / points.features};
  Lanes lanes({}, MathMode::fp32, 1);
  const KMeansResult result = lloyd(points.view(), start, settings, lanes);
  CHECK(result.converged);
  CHECK(result.iterations == static_cast<Index>(values(name + ".iterations")[0]));
  CHECK(result.labels == expected().get<std::int32_t>(name + ".labels"));
  // Centres and distances are single precision here and double there.
  CHECK(result.inertia == doctest::Approx(values(name + ".inertia")[0]).epsilon(1e-6));
  const Values centres = values(name + ".centres");
  test::check_within({result.centres.begin(), result.centres.end()}, centres,
                     Values(centres.size(), 1e-6));
}

void check_mixture(const Points& points, Covariance kind, double rtol) {
  const std::string name = points.name + "." + to_string(kind);
  CAPTURE(name);
  const auto value = [&](const char* what) { return values(name + "." + what); };
  const Values means = value("means");
  GaussianMixtureSettings settings;
  settings.clusters = static_cast<Index>(value("weights").size());
  settings.covariance = kind;
  Lanes lanes({}, MathMode::fp32, 1);
  const auto labels = expected().get<std::int32_t>(points.name + ".kmeans.labels");
  const GaussianMixtureFit fit = fit_gaussian_mixture(points.view(), settings, labels, lanes).best;
  const auto check = [&](const Values& result, const Values& wanted) {
    double largest = 0;
    for (const double x : wanted) largest = std::max(largest, std::abs(x));
    test::check_within(result, wanted, Values(wanted.size(), rtol * largest));
  };
  CHECK(fit.converged == (value("converged")[0] == 1.0));
  check(fit.trace, value("trace"));  // as many iterations
  check(fit.mixture.weight, value("weights"));
  check(fit.mixture.mean, means);
  check(fit.mixture.covariance, value("covariances"));
  const Prediction prediction = predict_gaussians(fit.mixture, points.view(), lanes);
  const double log_likelihood = prediction.log_likelihood;
  const auto rows = static_cast<double>(points.rows);
  check({log_likelihood / rows}, value("log_likelihood"));
  check({bayes_criterion(fit.mixture, log_likelihood, points.rows)}, value("bic"));
  check({akaike_criterion(fit.mixture, log_likelihood)}, value("aic"));
  Values sizes(static_cast<std::size_t>(settings.clusters), 0.0);
  for (const auto cluster : prediction.assignments) ++sizes[static_cast<std::size_t>(cluster)];
  test::check_equal(sizes, value("sizes"));
}

}  // namespace

TEST_CASE("scikit-learn: k-means from the same centres goes the same way") {
  if (!io::has_model_files()) return;
  check_kmeans(segmentation(), "segmentation.kmeans");
  check_kmeans(blobs(), "blobs.kmeans");
}

TEST_CASE("scikit-learn: clusters without points take the farthest ones") {
  if (!io::has_model_files()) return;
  check_kmeans(blobs(), "blobs.empty");
}

// Both sides are double. Of the segmentation data one column is constant and others nearly depend
// on each other: covariances have condition numbers up to 1e6, which multiply the rounding of
// either side's sums, and the iterations carry it on.
TEST_CASE("scikit-learn: Gaussian mixtures from the same labels go the same way") {
  if (!io::has_model_files()) return;
  for (const auto kind :
       {Covariance::full, Covariance::tied, Covariance::diag, Covariance::spherical}) {
    check_mixture(blobs(), kind, 1e-10);
    check_mixture(segmentation(), kind, 1e-7);
  }
}
