#include "ganmm/fit.h"
#include "ganmm/ganmm_c.h"
#include "tests/support/blobs.h"
#include "tests/support/temporary_file.h"

#include <doctest/doctest.h>

#include <limits>
#include <thread>

using namespace ganmm;
using test::TemporaryFile;

namespace {

constexpr std::int64_t kRows = 300, kFeatures = 3, kClusters = 4;
constexpr std::int64_t kItem[] = {kFeatures};

ganmm_options quick(const char* method) {
  ganmm_options options;
  ganmm_options_init(&options);
  options.method = method;
  options.clusters = kClusters;
  options.restarts = 2;
  options.iterations = 20;
  options.place.threads = 1;
  return options;
}

// A fitted model that frees itself, and what came with it.
struct Fitted {
  ganmm_model* model = nullptr;
  std::vector<std::int32_t> assignments = std::vector<std::int32_t>(kRows, -1);
  std::vector<float> posteriors = std::vector<float>(kRows * kClusters, -1);
  ganmm_summary summary = {};
  ganmm_status status;

  Fitted(const ganmm_options& options, const std::vector<float>& values)
      : status(ganmm_fit(&options, values.data(), kRows, kItem, 1, &model, assignments.data(),
                         posteriors.data(), &summary)) {}
  ~Fitted() { ganmm_free(model); }
  Fitted(const Fitted&) = delete;
  Fitted& operator=(const Fitted&) = delete;
};

bool error_names(const char* part) {
  return std::string(ganmm_last_error()).find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("c: a fit is that of the C++ interface, and predict gives it again") {
  for (const char* method : {"ganmm", "ganmm-em", "kmeans", "gmm"}) {
    CAPTURE(method);
    auto data = test::blobs(kRows, kFeatures, kClusters);
    const std::vector<float> values = data.values;
    const ganmm_options options = quick(method);
    const Fitted fitted(options, values);
    REQUIRE(fitted.status == GANMM_OK);

    FitOptions same;
    same.settings = Settings::of(parse_method(method));
    same.settings.clusters = kClusters;
    same.settings.restarts = 2;
    same.settings.iterations = 20;
    same.threads = 1;
    const FitResult result = fit(data, same);
    CHECK(fitted.assignments == result.prediction.assignments);
    CHECK(fitted.posteriors == result.prediction.posteriors);
    CHECK(fitted.summary.iterations == result.training.iterations);
    CHECK(fitted.summary.confidence == result.prediction.confidence);
    CHECK(fitted.summary.stopped == 0);

    CHECK(ganmm_clusters(fitted.model) == kClusters);
    CHECK(ganmm_features(fitted.model) == kFeatures);
    std::vector<std::int32_t> again(kRows, -1);
    REQUIRE(ganmm_predict(fitted.model, options.place, values.data(), kRows, again.data(),
                          nullptr) == GANMM_OK);
    CHECK(again == fitted.assignments);
  }
}

#if GANMM_HAVE_JSON
TEST_CASE("c: a model goes through its file and draws the same samples") {
  const auto data = test::blobs(kRows, kFeatures, kClusters);
  const ganmm_options options = quick("gmm");
  const Fitted fitted(options, data.values);
  REQUIRE(fitted.status == GANMM_OK);
  const TemporaryFile file;
  REQUIRE(ganmm_save(fitted.model, file.path.c_str()) == GANMM_OK);
  ganmm_model* loaded = nullptr;
  REQUIRE(ganmm_load(file.path.c_str(), &loaded) == GANMM_OK);
  std::vector<float> first(5 * kFeatures, -1), second(5 * kFeatures, -2);
  CHECK(ganmm_sample(fitted.model, options.place, 1, 5, 7, first.data()) == GANMM_OK);
  CHECK(ganmm_sample(loaded, options.place, 1, 5, 7, second.data()) == GANMM_OK);
  CHECK(first == second);
  CHECK(first[0] != first[3]);
  ganmm_free(loaded);

  CHECK(ganmm_sample(fitted.model, options.place, kClusters, 5, 7, first.data()) ==
        GANMM_BAD_ARGUMENT);
  CHECK(ganmm_save(fitted.model, "/nowhere/model.safetensors") == GANMM_IO_FAILED);
  loaded = nullptr;
  CHECK(ganmm_load("/nowhere/model.safetensors", &loaded) == GANMM_BAD_INPUT);
  CHECK(error_names("/nowhere/model.safetensors"));
  CHECK(loaded == nullptr);
}
#endif

TEST_CASE("c: what cannot be used is refused by status and text, and outputs stay as they were") {
  auto values = test::blobs(kRows, kFeatures, kClusters).values;
  const auto refused = [&](const ganmm_options& options, ganmm_status status, const char* part) {
    const Fitted fitted(options, values);
    CHECK(fitted.status == status);
    CAPTURE(ganmm_last_error());
    CHECK(error_names(part));
    CHECK(fitted.model == nullptr);
    CHECK(fitted.assignments[0] == -1);
  };
  ganmm_options options = quick("spectral");
  refused(options, GANMM_BAD_ARGUMENT, "spectral");
  options = quick("kmeans");
  options.clusters = kRows + 1;
  refused(options, GANMM_BAD_ARGUMENT, "301");
  options = quick("kmeans");
  options.scale = nullptr;
  refused(options, GANMM_BAD_ARGUMENT, "null");
  options = quick("kmeans");
  options.place.cuda_device = 1000;
  refused(options, GANMM_UNSUPPORTED, "1000");
  values[5] = std::numeric_limits<float>::quiet_NaN();
  refused(quick("kmeans"), GANMM_BAD_INPUT, "row 1, feature 2");
  values[5] = 0;

  options = quick("kmeans");
  const std::int64_t flat[] = {1, kFeatures};
  CHECK(ganmm_fit(nullptr, values.data(), kRows, kItem, 1, nullptr, nullptr, nullptr, nullptr) ==
        GANMM_BAD_ARGUMENT);
  CHECK(ganmm_fit(&options, nullptr, kRows, kItem, 1, nullptr, nullptr, nullptr, nullptr) ==
        GANMM_BAD_ARGUMENT);
  CHECK(ganmm_fit(&options, values.data(), 0, kItem, 1, nullptr, nullptr, nullptr, nullptr) ==
        GANMM_BAD_ARGUMENT);
  CHECK(ganmm_fit(&options, values.data(), kRows, flat, 2, nullptr, nullptr, nullptr, nullptr) ==
        GANMM_BAD_ARGUMENT);
  CHECK(ganmm_predict(nullptr, options.place, values.data(), kRows, nullptr, nullptr) ==
        GANMM_BAD_ARGUMENT);
  CHECK(ganmm_load("x", nullptr) == GANMM_BAD_ARGUMENT);
  CHECK(ganmm_clusters(nullptr) == 0);
  ganmm_free(nullptr);
}

TEST_CASE("c: a training is stopped from outside; outputs may be left out") {
  const auto values = test::blobs(kRows, kFeatures, kClusters).values;
  ganmm_options options = quick("ganmm");
  options.iterations = 1000000;
  int asked = 0;
  options.context = &asked;
  options.stop = [](void* context) { return ++*static_cast<int*>(context) > 3 ? 1 : 0; };
  ganmm_summary summary = {};
  CHECK(ganmm_fit(&options, values.data(), kRows, kItem, 1, nullptr, nullptr, nullptr, &summary) ==
        GANMM_OK);
  CHECK(summary.stopped == 1);
  CHECK(summary.iterations < 1000);
}

TEST_CASE("c: every thread has an error text of its own") {
  ganmm_model* model = nullptr;
  CHECK(ganmm_load("/nowhere/first", &model) == GANMM_BAD_INPUT);
  std::string other = "none";
  std::thread([&] { other = ganmm_last_error(); }).join();
  CHECK(other.empty());
  CHECK(error_names("first"));
}
