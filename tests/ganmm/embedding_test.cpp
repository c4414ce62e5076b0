#include "ganmm/embedding.h"
#include "ganmm/fit.h"
#include "tests/ganmm/codes.h"
#include "tests/support/blobs.h"
#include "tests/support/temporary_file.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

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

TEST_CASE("embedding: a cancellation in the autoencoder's training ends the fit with a model") {
  auto data = test::small_images(60, 8, 8);
  FitCallbacks callbacks;
  bool stop = false;
  callbacks.embedding = [&](Index step, Index) { stop = step == 3; };
  callbacks.training.cancelled = [&] { return stop; };
  const FitResult result = fit(data, quick(2), callbacks);
  CHECK(result.training.cancelled);
  CHECK(result.prediction.assignments.size() == 60);
}
