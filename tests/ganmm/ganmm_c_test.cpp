#include "ganmm/fit.h"
#include "ganmm/ganmm_c.h"
#include "io/safetensors.h"
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
  options.restarts = 1;
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

  enum Wanted { all, no_posteriors };
  Fitted(const ganmm_options& options, const std::vector<float>& values, Wanted wanted = all)
      : status(ganmm_fit(&options, values.data(), kRows, kItem, 1, &model, assignments.data(),
                         wanted == all ? posteriors.data() : nullptr, &summary)) {}
  ~Fitted() { ganmm_free(model); }
  Fitted(const Fitted&) = delete;
  Fitted& operator=(const Fitted&) = delete;
};

bool error_names(const char* part) {
  return std::string(ganmm_last_error()).find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("c: a fit is that of the C++ interface, and predict gives it again") {
  for (const char* method : {"ganmm", "kmeans", "gmm"}) {
    CAPTURE(method);
    auto data = test::blobs(kRows, kFeatures, kClusters);
    const std::vector<float> values = data.values;
    const ganmm_options options = quick(method);
    const Fitted fitted(options, values);
    REQUIRE(fitted.status == GANMM_OK);

    FitOptions same;
    same.settings = Settings::of(parse_method(method));
    same.settings.clusters = kClusters;
    same.settings.restarts = 1;
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
    CHECK(std::string(ganmm_method(fitted.model)) == method);
    std::vector<std::int32_t> again(kRows, -1);
    std::vector<float> posteriors(kRows * kClusters, -1);
    REQUIRE(ganmm_predict(fitted.model, &options.place, values.data(), kRows, again.data(),
                          posteriors.data()) == GANMM_OK);
    CHECK(again == fitted.assignments);
    CHECK(posteriors == fitted.posteriors);
  }
}

TEST_CASE("c: a model goes through its file and draws the same samples" *
          doctest::skip(!io::has_model_files())) {
  const auto data = test::blobs(kRows, kFeatures, kClusters);
  const ganmm_options options = quick("gmm");
  const Fitted fitted(options, data.values);
  REQUIRE(fitted.status == GANMM_OK);
  const TemporaryFile file;
  REQUIRE(ganmm_save(fitted.model, file.path.c_str()) == GANMM_OK);
  ganmm_model* loaded = nullptr;
  REQUIRE(ganmm_load(file.path.c_str(), &loaded) == GANMM_OK);
  std::vector<float> first(5 * kFeatures, -1), second(5 * kFeatures, -2);
  CHECK(ganmm_sample(fitted.model, nullptr, 1, 5, 7, first.data()) == GANMM_OK);
  CHECK(ganmm_sample(loaded, nullptr, 1, 5, 7, second.data()) == GANMM_OK);
  CHECK(first == second);
  CHECK(first[0] != first[3]);
  ganmm_free(loaded);

  CHECK(ganmm_sample(fitted.model, nullptr, kClusters, 5, 7, first.data()) == GANMM_BAD_ARGUMENT);
  CHECK(ganmm_sample(fitted.model, nullptr, -1, 5, 7, first.data()) == GANMM_BAD_ARGUMENT);
  CHECK(ganmm_sample(fitted.model, nullptr, 1, 0, 7, first.data()) == GANMM_BAD_ARGUMENT);
  // A count whose product with the features wraps around.
  CHECK(ganmm_sample(fitted.model, nullptr, 1, std::int64_t{1} << 62, 7, first.data()) ==
        GANMM_BAD_ARGUMENT);
  CHECK(ganmm_save(fitted.model, "/nowhere/model.safetensors") == GANMM_IO_FAILED);
  loaded = nullptr;
  CHECK(ganmm_load("/nowhere/model.safetensors", &loaded) == GANMM_BAD_INPUT);
  CHECK(error_names("/nowhere/model.safetensors"));
  CHECK(loaded == nullptr);
}

TEST_CASE("c: what cannot be used is refused by status and text, and outputs stay as they were") {
  auto values = test::blobs(kRows, kFeatures, kClusters).values;
  const auto refused = [&](const ganmm_options& options, ganmm_status status, const char* part) {
    const Fitted fitted(options, values);
    CHECK(fitted.status == status);
    CAPTURE(ganmm_last_error());
    CHECK(error_names(part));
    CHECK(fitted.model == nullptr);
    CHECK(fitted.assignments[0] == -1);
    CHECK(fitted.posteriors[0] == -1);
    CHECK(fitted.summary.seconds == 0);
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
  options.place.device = "cuda:1000";
  refused(options, GANMM_UNSUPPORTED, "cuda:1000");
  for (const char* device : {"gpu", "cuda:", "cuda:-1", "cuda:1x", "", "cu"}) {
    options.place.device = device;
    refused(options, GANMM_BAD_ARGUMENT, "cuda:NUMBER");
  }
  options = quick("kmeans");
  options.place.threads = 5000;
  refused(options, GANMM_BAD_ARGUMENT, "4096");
  options = quick("kmeans");
  options.restarts = -1;
  refused(options, GANMM_BAD_ARGUMENT, "-1");
  options = quick("kmeans");
  options.reserved[7] = 1;
  refused(options, GANMM_BAD_ARGUMENT, "reserved");
  values[5] = std::numeric_limits<float>::quiet_NaN();
  refused(quick("kmeans"), GANMM_BAD_INPUT, "row 2, feature 3");
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
  CHECK(ganmm_fit(&options, values.data(), std::int64_t{1} << 62, kItem, 1, nullptr, nullptr,
                  nullptr, nullptr) == GANMM_BAD_ARGUMENT);
  CHECK(ganmm_predict(nullptr, nullptr, values.data(), kRows, nullptr, nullptr) ==
        GANMM_BAD_ARGUMENT);
  CHECK(ganmm_load("x", nullptr) == GANMM_BAD_ARGUMENT);
  CHECK(ganmm_clusters(nullptr) == 0);
  CHECK(std::string(ganmm_method(nullptr)).empty());
  ganmm_free(nullptr);

  const Fitted fitted(options, values);
  REQUIRE(fitted.status == GANMM_OK);
  std::vector<std::int32_t> labels(kRows, -1);
  values[7] = std::numeric_limits<float>::infinity();
  CHECK(ganmm_predict(fitted.model, nullptr, values.data(), kRows, labels.data(), nullptr) ==
        GANMM_BAD_INPUT);
  CHECK(ganmm_predict(fitted.model, nullptr, values.data(), 0, labels.data(), nullptr) ==
        GANMM_BAD_ARGUMENT);
  CHECK(labels[0] == -1);
  CHECK(ganmm_sample(fitted.model, nullptr, 0, 1, 0, values.data()) == GANMM_BAD_ARGUMENT);
}

TEST_CASE("c: posteriors that nobody asks for are left out") {
  const auto values = test::blobs(kRows, kFeatures, kClusters).values;
  const Fitted fitted(quick("gmm"), values), without(quick("gmm"), values, Fitted::no_posteriors);
  CHECK(without.assignments == fitted.assignments);
  CHECK(without.posteriors.front() == -1);
}

TEST_CASE("c: images keep their shape") {
  const auto data = test::small_images(20, 4, 5);
  const std::int64_t item[] = {4, 5, 1};
  ganmm_options options = quick("kmeans");
  options.clusters = 2;
  ganmm_model* model = nullptr;
  std::vector<std::int32_t> labels(20, -1);
  REQUIRE(ganmm_fit(&options, data.values.data(), 20, item, 3, &model, labels.data(), nullptr,
                    nullptr) == GANMM_OK);
  std::int64_t shape[3] = {};
  CHECK(ganmm_item(model, shape) == 3);
  CHECK(shape[0] == 4);
  CHECK(shape[1] == 5);
  CHECK(shape[2] == 1);
  CHECK(labels[0] != labels[1]);  // every other one is darker
  ganmm_free(model);
}

TEST_CASE("c: a training ends once stop has asked for it; outputs may be left out") {
  const auto values = test::blobs(kRows, kFeatures, kClusters).values;
  for (const char* method : {"ganmm", "kmeans", "gmm"}) {
    CAPTURE(method);
    ganmm_options options = quick(method);
    options.iterations = 1000000;
    int asked = 0;
    options.context = &asked;
    // Says so once alone.
    options.stop = [](void* context) { return ++*static_cast<int*>(context) == 3 ? 1 : 0; };
    ganmm_summary summary = {};
    CHECK(ganmm_fit(&options, values.data(), kRows, kItem, 1, nullptr, nullptr, nullptr,
                    &summary) == GANMM_OK);
    CHECK(summary.stopped == 1);
    CHECK(summary.iterations < 1000);
    CHECK(asked == 3);
  }
}

TEST_CASE("c: one model serves several threads at once") {
  const auto values = test::blobs(kRows, kFeatures, kClusters).values;
  const Fitted fitted(quick("gmm"), values);
  REQUIRE(fitted.status == GANMM_OK);
  std::vector<std::vector<std::int32_t>> found(3, std::vector<std::int32_t>(kRows, -1));
  std::vector<std::thread> threads;
  for (auto& labels : found) {
    threads.emplace_back([&labels, &fitted, &values] {
      const ganmm_place place{nullptr, 1, 0};
      ganmm_predict(fitted.model, &place, values.data(), kRows, labels.data(), nullptr);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& labels : found) CHECK(labels == fitted.assignments);
}

TEST_CASE("c: every thread has an error text of its own") {
  CHECK(ganmm_load("/nowhere/first", nullptr) == GANMM_BAD_ARGUMENT);
  std::string other = "none";
  std::thread([&] { other = ganmm_last_error(); }).join();
  CHECK(other.empty());
  CHECK(error_names("ganmm_load"));
}
