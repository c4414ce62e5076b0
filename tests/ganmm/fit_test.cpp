#include "ganmm/fit.h"
#include "ganmm/metrics.h"
#include "io/safetensors.h"
#include "tests/support/blobs.h"
#include "tests/support/temporary_file.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

using namespace ganmm;
using test::TemporaryFile;

namespace {

FitOptions quick(Index clusters, Index restarts, Select select) {
  FitOptions options;
  Settings& s = options.settings;
  s.clusters = clusters;
  s.restarts = restarts;
  s.select = select;
  s.hidden = 16;
  s.noise = 8;
  s.batch = 20;
  s.pretrain = 20;
  s.iterations = 60;
  s.check_every = 20;
  s.init = InitialPartition::random;  // one training
  options.threads = 1;
  return options;
}

}  // namespace

TEST_CASE("fit: separable blobs are found from a random start" * doctest::test_suite("slow")) {
  auto data = test::blobs(600, 2, 4);
  FitOptions options;
  options.settings.clusters = 4;
  options.settings.restarts = 4;
  options.settings.iterations = 2500;
  const FitResult result = fit(data, options);
  CHECK(score(result.prediction.assignments, data.labels).nmi > 0.9);
}

TEST_CASE("fit: predict on the training data gives the fitted assignments, whatever the order") {
  for (const auto select : {Select::confidence, Select::consensus}) {
    auto data = test::blobs(301, 3, 4);
    const auto raw = data.values;
    const FitResult result = fit(data, quick(4, 3, select));
    CHECK(result.model.mixtures() == (select == Select::consensus ? 3 : 1));

    // The same rows in reverse order: every row keeps its bits.
    std::vector<float> reversed;
    for (Index p = 300; p >= 0; --p) {
      reversed.insert(reversed.end(), raw.begin() + p * 3, raw.begin() + p * 3 + 3);
    }
    io::apply(result.model.scaling, reversed, 3);
    Lanes lanes({}, MathMode::fp32, 2);
    const Prediction prediction = predict(result.model, reversed, 301, lanes);
    for (std::size_t p = 0; p < 301; ++p) {
      REQUIRE(prediction.assignments[p] == result.prediction.assignments[300 - p]);
      for (std::size_t c = 0; c < 4; ++c) {
        REQUIRE(prediction.posteriors[p * 4 + c] ==
                result.prediction.posteriors[(300 - p) * 4 + c]);
      }
    }
  }
}

TEST_CASE("fit: posteriors are distributions whose argmax is the assignment") {
  auto data = test::blobs(150, 2, 3);
  const FitResult result = fit(data, quick(3, 2, Select::consensus));
  double confidence = 0;
  for (std::size_t p = 0; p < 150; ++p) {
    const float* row = result.prediction.posteriors.data() + p * 3;
    CHECK(row[0] + row[1] + row[2] == doctest::Approx(1.0).epsilon(1e-5));
    CHECK(std::max_element(row, row + 3) - row == result.prediction.assignments[p]);
    confidence += static_cast<double>(*std::max_element(row, row + 3)) / 150;
  }
  CHECK(result.prediction.confidence == doctest::Approx(confidence));
}

TEST_CASE("fit: without consensus the chosen restart is the most confident one") {
  auto data = test::blobs(200, 2, 3);
  const FitResult result = fit(data, quick(3, 4, Select::confidence));
  REQUIRE(result.training.confidence.size() == 4);
  const auto best =
      std::max_element(result.training.confidence.begin(), result.training.confidence.end());
  CHECK(result.chosen_restart == best - result.training.confidence.begin());
  for (std::size_t p = 0; p < 200; ++p) {
    CHECK(result.prediction.assignments[p] ==
          result.training.assignments[static_cast<std::size_t>(result.chosen_restart) * 200 + p]);
  }
}

TEST_CASE("fit: of mixed restarts one kind makes the clusters, whatever the lanes") {
  const auto options = [](int threads) {
    FitOptions o;
    o.settings.clusters = 3;
    o.settings.restarts = 9;
    o.settings.hidden = 16;
    o.settings.noise = 8;
    o.settings.pretrain = 20;
    o.settings.iterations = 40;
    o.settings.check_every = 20;
    o.threads = threads;
    return o;
  };
  auto data = test::blobs(200, 2, 3), again = data;
  std::vector<Index> numbered;
  FitCallbacks callbacks;
  callbacks.training.report = [&](const Report& report) {
    numbered.push_back(report.first_restart);
  };
  const FitResult a = fit(data, options(1), callbacks), b = fit(again, options(3));
  CHECK(a.prediction.assignments == b.prediction.assignments);
  CHECK(a.prediction.posteriors == b.prediction.posteriors);
  CHECK(a.kept_restarts == b.kept_restarts);
  CHECK(a.chosen_restart == -1);
  CHECK(numbered == std::vector<Index>{0, 4, 4});
  CHECK(a.training.iterations == 20 + 40);
  REQUIRE(a.agreement.size() == 2);
  // The second kind counts where it is better by more than a standard error, of 200 points.
  const double error = std::sqrt(std::max(a.agreement[0] * (1 - a.agreement[0]), 0.0) / 200);
  const bool second = a.agreement[1] > a.agreement[0] + error;
  CHECK(a.kept_restarts ==
        (second ? std::vector<Index>{4, 5, 6, 7, 8} : std::vector<Index>{0, 1, 2, 3}));
  CHECK(a.model.mixtures() == std::ssize(a.kept_restarts));
  CHECK(std::ssize(a.model.joint) == 9 * a.model.mixtures());

  FitOptions confident = options(1);
  confident.settings.select = Select::all;
  auto third = test::blobs(200, 2, 3);
  const FitResult c = fit(third, confident);
  REQUIRE(c.training.confidence.size() == 9);
  CHECK(c.training.assignments.size() == 9 * 200);
  const auto best = std::ranges::max_element(c.training.confidence);
  CHECK(c.chosen_restart == best - c.training.confidence.begin());
  CHECK(c.model.mixtures() == 1);
}

TEST_CASE("fit: on a sample of the rows it is a fit of these rows, and assigns all") {
  auto data = test::blobs(300, 2, 3);
  FitOptions options = quick(3, 2, Select::consensus);
  options.scale = io::ScaleKind::none;
  options.settings.sample = 100;
  io::Dataset third = data;  // rows 0, 3, ...
  third.rows = 100;
  third.values.clear();
  third.labels.clear();
  for (std::size_t row = 0; row < 300; row += 3) {
    third.values.insert(third.values.end(), {data.values[2 * row], data.values[2 * row + 1]});
  }
  std::vector<Index> seen;
  FitCallbacks callbacks;
  callbacks.training.report = [&](const Report& report) {
    seen.assign(report.rows.begin(), report.rows.end());
    CHECK(report.assignments.size() == 200);
  };
  const FitResult result = fit(data, options, callbacks);
  REQUIRE(seen.size() == 100);
  for (Index i = 0; i < 100; ++i) CHECK(seen[static_cast<std::size_t>(i)] == 3 * i);
  CHECK(result.prediction.assignments.size() == 300);
  const FitResult alone = fit(third, options);
  for (std::size_t i = 0; i < 100; ++i) {
    CHECK(alone.prediction.assignments[i] == result.prediction.assignments[3 * i]);
  }
  options.settings.sample = 2;
  CHECK_THROWS_AS((void)fit(data, options), ConfigError);
  options.settings.sample = 100;
  options.settings.select = Select::all;
  CHECK_THROWS_AS((void)fit(data, options), ConfigError);
}

TEST_CASE("model files: what is read is what was written") {
  auto data = test::blobs(120, 3, 3);
  data.columns = {"width", "height, total", "x"};
  const FitResult result = fit(data, quick(3, 2, Select::consensus));
  TemporaryFile file;
  save_model(result.model, file.path);
  const Model model = load_model(file.path);
  CHECK(model.item == result.model.item);
  CHECK(model.columns == data.columns);
  CHECK(model.joint == result.model.joint);
  CHECK(model.scaling.offset == result.model.scaling.offset);
  CHECK(model.scaling.factor == result.model.scaling.factor);
  REQUIRE(model.tensors.size() == result.model.tensors.size());
  for (const auto& [name, tensor] : result.model.tensors) {
    CHECK(model.tensors.at(name).values == tensor.values);
    CHECK(model.tensors.at(name).shape == tensor.shape);
  }
  Lanes lanes({}, MathMode::fp32, 1);
  CHECK(predict(model, data.values, 120, lanes).assignments == result.prediction.assignments);
}

TEST_CASE("model files: damaged metadata and missing tensors are named") {
  auto data = test::blobs(60, 2, 3);
  const FitResult result = fit(data, quick(3, 1, Select::confidence));
  TemporaryFile file;
  save_model(result.model, file.path);
  const auto good = io::TensorFile::read(file.path);
  const auto error_with = [&](auto change) {
    io::TensorFile changed = good;
    change(changed);
    changed.write(file.path);
    try {
      (void)load_model(file.path);
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  const auto metadata = [&](const char* key, const char* value) {
    return error_with([&](io::TensorFile& f) { f.metadata[key] = value; });
  };
  CHECK(metadata("format", "other").find("ganmm-2") != std::string::npos);
  CHECK(metadata("clusters", "-5").find("clusters") != std::string::npos);
  CHECK(metadata("clusters", "4").find("shape") != std::string::npos);
  CHECK(metadata("hidden", "many").find("hidden") != std::string::npos);
  CHECK(metadata("item", "2x2").find("item") != std::string::npos);
  CHECK(metadata("item", "9999999999999999999").find("item") != std::string::npos);
  CHECK(metadata("net", "none").find("net") != std::string::npos);
  CHECK(error_with([](io::TensorFile& f) { f.metadata.erase("hidden"); }).find("hidden") !=
        std::string::npos);
  const auto with_joint = [&](auto change) {
    return error_with([&](io::TensorFile& f) {
      io::TensorFile other;
      other.metadata = f.metadata;
      for (const auto& tensor : f.tensors()) {
        if (tensor.dtype == "F64") {
          other.add(tensor.name, tensor.shape, f.get<double>(tensor.name));
          continue;
        }
        auto values = f.get<float>(tensor.name);
        if (tensor.name == "joint") change(values);
        other.add(tensor.name, tensor.shape, values);
      }
      f = other;
    });
  };
  CHECK(with_joint([](auto& values) { values[0] = 1.5f; }).find("shares from 0 to 1, found 1.5") !=
        std::string::npos);
  CHECK(with_joint([](auto& values) {
          std::ranges::fill(values, 0.0f);
        }).find("sum to 1, found 0") != std::string::npos);
  io::TensorFile empty;
  empty.metadata = good.metadata;
  empty.write(file.path);
  CHECK_THROWS_AS((void)load_model(file.path), InputError);
}

TEST_CASE("sample: samples come in the units of the data and depend on seed and cluster alone") {
  auto data = test::blobs(200, 2, 3);
  for (float& value : data.values) value = 100.0f + 10.0f * value;
  const FitResult result = fit(data, quick(3, 2, Select::consensus));
  Lanes one({}, MathMode::fp32, 1), two({}, MathMode::fp32, 2);
  const auto a = sample(result.model, 1, 70, 5, one);  // more than one batch of 20
  REQUIRE(a.size() == 140);
  for (const float value : a) {
    CHECK(value > 50.0f);
    CHECK(value < 150.0f);
  }
  CHECK(sample(result.model, 1, 70, 5, two) == a);
  CHECK(sample(result.model, 1, 70, 6, one) != a);
  CHECK_THROWS_AS((void)sample(result.model, 3, 1, 0, one), ConfigError);
  CHECK_THROWS_AS((void)sample(result.model, 0, 0, 0, one), ConfigError);
}

TEST_CASE("fit: k-means finds the blobs, and its model file predicts what it was fitted to") {
  auto data = test::blobs(301, 3, 5);
  for (float& value : data.values) value = 100.0f + 10.0f * value;
  const auto raw = data.values;
  FitOptions options;
  options.settings = Settings::of(Method::kmeans);
  options.settings.clusters = 5;
  options.threads = 1;
  const FitResult result = fit(data, options);
  CHECK(score(result.prediction.assignments, data.labels).ari == 1.0);
  REQUIRE(result.kmeans);
  CHECK(result.kmeans->inertia.size() == 10);
  CHECK(result.prediction.assignments == result.kmeans->best.labels);
  CHECK(result.training.converged);
  TemporaryFile file;
  save_model(result.model, file.path);
  const Model model = load_model(file.path);
  CHECK(model.settings.method == Method::kmeans);
  CHECK(model.centres == result.model.centres);
  auto again = raw;
  io::apply(model.scaling, again, 3);
  Lanes lanes({}, MathMode::fp32, 2);
  CHECK(predict(model, again, 301, lanes).assignments == result.prediction.assignments);
  CHECK_THROWS_AS((void)sample(model, 0, 1, 0, lanes), ConfigError);
}

TEST_CASE("fit: posteriors are handed over in the order of the rows, the data comes back in it") {
  auto data = test::blobs(20000, 3, 3);
  const auto raw = data.values;
  FitOptions options = quick(3, 2, Select::consensus);
  options.scale = io::ScaleKind::none;
  const FitResult kept = fit(data, options);
  CHECK(data.values == raw);
  std::vector<float> handed;
  FitCallbacks callbacks;
  callbacks.posteriors = [&](std::span<const float> values) {
    CHECK(values.size() < kept.prediction.posteriors.size());
    handed.insert(handed.end(), values.begin(), values.end());
  };
  callbacks.training.assignments = false;
  const FitResult result = fit(data, options, callbacks);
  CHECK(result.training.assignments.empty());
  CHECK(result.prediction.posteriors.empty());
  CHECK(result.prediction.assignments == kept.prediction.assignments);
  CHECK(handed == kept.prediction.posteriors);
}
