#include "ganmm/embedding.h"
#include "ganmm/fit.h"
#include "io/safetensors.h"
#include "tests/ganmm/codes.h"
#include "tests/support/blobs.h"
#include "tests/support/temporary_file.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

using namespace ganmm;

namespace {

// Of an autoencoder and mixtures as small as they get.
FitOptions quick(Index clusters) {
  FitOptions options;
  Settings& s = options.settings;
  s.clusters = clusters;
  s.net = NetKind::codes;
  s.encoder = {24};
  s.codes = 3;
  s.epochs = 60;
  s.refine = 0;
  s.restarts = 4;
  s.hidden = 16;
  s.noise = 8;
  s.batch = 20;
  s.pretrain = 20;
  s.iterations = 20;
  options.threads = 1;
  return options;
}

double squared_error(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    sum += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
  }
  return sum / static_cast<double>(a.size());
}

}  // namespace

TEST_CASE("embedding: codes lie between -1 and 1, and rows come back from them") {
  const auto data = test::small_images(200, 8, 9);
  const AutoencoderSettings settings{
      .hidden = {64}, .codes = 4, .epochs = 200, .batch = 40, .warp = 0};
  Lanes lanes({}, MathMode::fp32, 2);
  const Embedding embedding = train_embedding(data, settings, lanes);
  const auto codes = embed(embedding, data.values, data.rows, lanes);
  REQUIRE(codes.size() == 800);
  float largest = 0;
  for (const float code : codes) largest = std::max(largest, std::abs(code));
  CHECK(largest == doctest::Approx(1));
  const auto rows = unembed(embedding, codes, data.rows, lanes);
  REQUIRE(rows.size() == data.values.size());
  // Bright and dark images: the mean of all is further away.
  std::vector<float> mean(data.values.size(), 0.3f);
  CHECK(squared_error(rows, data.values) < 0.5 * squared_error(mean, data.values));
}

TEST_CASE("embedding: a fit on codes is a fit of these codes, and predicts and samples rows") {
  auto data = test::small_images(120, 8, 8);
  FitCallbacks callbacks;
  Index steps = 0, all = 0;
  callbacks.embedding = [&](Index step, Index of) {
    CHECK(step == ++steps);
    all = of;
  };
  const FitResult result = fit(data, quick(2), callbacks);
  CHECK(steps == all);
  CHECK(all == 60);  // one batch, of all rows
  CHECK(result.model.item == Shape{8, 8, 1});
  CHECK(result.model.seen() == Shape{3});
  Lanes lanes({}, MathMode::fp32, 1);

  FitOptions plain = quick(2);
  plain.settings.net = NetKind::mlp;
  plain.scale = io::ScaleKind::none;
  io::Dataset codes;
  codes.rows = data.rows;
  codes.item = {3};
  codes.values = embed(result.model.embedding, data.values, data.rows, lanes);
  CHECK(fit(codes, plain).prediction.posteriors == result.prediction.posteriors);

  test::TemporaryFile file;
  save_model(result.model, file.path);
  const Model model = load_model(file.path);
  CHECK(predict(model, data.values, data.rows, lanes).posteriors == result.prediction.posteriors);
  const auto samples = sample(model, 0, 5, 1, lanes);
  REQUIRE(samples.size() == 5 * 64);
  CHECK(samples == sample(result.model, 0, 5, 1, lanes));
  const auto [low, high] = std::ranges::minmax(samples);
  CHECK(low < high);
  CHECK(low > -2.0f);
  CHECK(high < 3.0f);
}

TEST_CASE("embedding: refinement draws the codes of a cluster together, and the decoder follows") {
  const auto data = test::small_images(200, 8, 8);
  const AutoencoderSettings settings{.hidden = {64}, .codes = 4, .epochs = 100, .batch = 40};
  std::vector<std::int32_t> bright;
  for (Index row = 0; row < 200; ++row) bright.push_back(row % 2 == 0 ? 2 : 0);  // 1 has no rows
  std::vector<float> first_codes;
  for (const int threads : {1, 3}) {
    Lanes lanes({}, MathMode::fp32, threads);
    Embedding embedding = train_embedding(data, settings, lanes);
    // Of all squared distances, the share that lies within the clusters.
    const auto within = [&] {
      const auto codes = embed(embedding, data.values, data.rows, lanes);
      std::vector<double> mean(3 * 4, 0.0), overall(4, 0.0);
      for (std::size_t i = 0; i < codes.size(); ++i) {
        mean[static_cast<std::size_t>(bright[i / 4]) * 4 + i % 4] += double{codes[i]} / 100;
        overall[i % 4] += double{codes[i]} / 200;
      }
      double inside = 0, all = 0;
      for (std::size_t i = 0; i < codes.size(); ++i) {
        const auto own = static_cast<std::size_t>(bright[i / 4]) * 4 + i % 4;
        inside += std::pow(double{codes[i]} - mean[own], 2);
        all += std::pow(double{codes[i]} - overall[i % 4], 2);
      }
      return inside / all;
    };
    const auto error = [&] {
      const auto codes = embed(embedding, data.values, data.rows, lanes);
      return squared_error(unembed(embedding, codes, data.rows, lanes), data.values);
    };
    const double within_before = within(), error_before = error();
    const Embedding before = embedding;
    const auto labels = refine_embedding(embedding, data, bright, 300, settings, lanes);
    CHECK(within() < 0.8 * within_before);
    CHECK(error() < 1.1 * error_before);
    REQUIRE(labels.size() == 200);
    Index moved = 0;  // 0 is what 0 was, 1 what 2 was
    for (std::size_t row = 0; row < 200; ++row) moved += labels[row] != (bright[row] == 2 ? 1 : 0);
    CHECK(moved < 10);
    Embedding unwarped = before;
    AutoencoderSettings still = settings;
    still.warp = 0;
    (void)refine_embedding(unwarped, data, bright, 300, still, lanes);
    CHECK(unwarped.encoder.tensors != embedding.encoder.tensors);
    const auto codes = embed(embedding, data.values, data.rows, lanes);
    if (threads == 1) first_codes = codes;
    CHECK(codes == first_codes);
  }
}

TEST_CASE("embedding: a fit that refines trains twice, reports once, and counts all steps") {
  auto data = test::small_images(120, 8, 8);
  FitOptions options = quick(2);
  options.settings.refine = 25;
  FitCallbacks callbacks;
  std::vector<Index> ends;
  std::vector<Index> reported;
  callbacks.embedding = [&](Index step, Index of) {
    if (step == of) ends.push_back(of);
  };
  callbacks.training.report = [&](const Report& report) {
    reported.push_back(report.iteration);
    CHECK(report.mixtures.size() == 2);
  };
  const FitResult result = fit(data, options, callbacks);
  CHECK(ends == std::vector<Index>{60, 25});
  CHECK(reported == std::vector<Index>{10});
  CHECK(result.model.mixtures() == 2);
  FitOptions plain = options;
  plain.settings.refine = 0;
  auto again = test::small_images(120, 8, 8);
  CHECK(fit(again, plain).model.embedding.encoder.tensors !=
        result.model.embedding.encoder.tensors);
}

TEST_CASE("embedding: whenever a fit is cancelled, it ends with the best model that is finished") {
  const auto data = test::small_images(60, 8, 8);
  FitOptions options = quick(2);
  options.settings.refine = 10;
  // Steps of the autoencoder (60), then of the first mixtures (two trainings of 20 + 10 and 20 +
  // 20), of the refinement (10), and of the mixtures after it (20 + 10).
  std::vector<std::vector<float>> finished;
  for (const Index at : {3, 70, 140, 170}) {
    CAPTURE(at);
    auto own = data;
    FitCallbacks callbacks;
    Index calls = 0;
    callbacks.training.cancelled = [&] { return ++calls >= at; };
    const FitResult result = fit(own, options, callbacks);
    CHECK(result.training.cancelled);
    CHECK(result.prediction.assignments.size() == 60);
    CHECK(result.model.mixtures() >= 1);
    if (at == 140) finished = result.model.embedding.encoder.tensors;
    // The refined codes go with the mixtures that were not finished.
    if (at == 170) CHECK(result.model.embedding.encoder.tensors == finished);
  }
}

TEST_CASE("embedding: a model file without a whole embedding is refused, once by name") {
  auto data = test::small_images(60, 8, 8);
  const FitResult result = fit(data, quick(2));
  test::TemporaryFile file;
  save_model(result.model, file.path);
  const auto good = io::TensorFile::read(file.path);
  const auto error_with = [&](auto keep) {
    io::TensorFile other;
    other.metadata = good.metadata;
    for (const auto& tensor : good.tensors()) {
      if (tensor.dtype == "F64") {
        auto values = good.get<double>(tensor.name);
        if (keep(tensor.name, values)) other.add(tensor.name, tensor.shape, values);
      } else {
        auto values = good.get<float>(tensor.name);
        std::vector<double> none;
        if (keep(tensor.name, none)) other.add(tensor.name, tensor.shape, values);
      }
    }
    other.write(file.path);
    try {
      (void)load_model(file.path);
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  const auto without = [&](const std::string& part) {
    return error_with([&](const std::string& name, std::vector<double>&) {
      return name.find(part) == std::string::npos;
    });
  };
  CHECK(error_with([](const auto&, auto&) { return true; }) == "no error");
  for (const char* part : {"decoder", "encoder", "codes.scale"}) {
    const std::string text = without(part);
    CAPTURE(text);
    CHECK(text.find(part) != std::string::npos);
    CHECK(text.find("model '") == text.rfind("model '"));
  }
  CHECK(error_with([](const std::string& name, std::vector<double>& values) {
          if (name == "codes.scale.factor") values[0] = 0;
          return true;
        }).find("factors other than 0") != std::string::npos);
}

TEST_CASE("embedding: critics can assign codes, too") {
  auto data = test::small_images(60, 8, 8);
  FitOptions options = quick(2);
  options.settings.method = Method::ganmm_em;
  options.settings.sigma = {{0, 0.0}};
  options.settings.refine = 10;
  const FitResult result = fit(data, options);
  CHECK(result.prediction.assignments.size() == 60);
  CHECK(result.model.seen() == Shape{3});
}
