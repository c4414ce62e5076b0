#include "ganmm/dec.h"
#include "ganmm/device_rows.h"
#include "ganmm/fit.h"
#include "ganmm/metrics.h"
#include "ganmm/row_order.h"
#include "tests/ganmm/codes.h"
#include "tests/support/blobs.h"
#include "tests/support/devices.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <utility>

using namespace ganmm;
using test::as_rows;
using test::displacement_error;
using test::view;

namespace {

constexpr Index kClusters = 3;

// Where the third part begins: an encoder of a few steps, centres of k-means on its codes.
struct Start {
  Encoder encoder;
  std::vector<std::vector<float>> decoder;
  std::vector<float> centres;
};

Start start_of(const io::Dataset& data, Lanes& lanes) {
  const AutoencoderSettings settings{
      .hidden = {12, 16}, .codes = 2, .epochs = 40, .batch = 40, .seed = 5};
  AutoencoderResult trained = train_autoencoder(view(data), settings, lanes);
  Start start{std::move(trained.encoder), std::move(trained.decoder), {}};
  const auto codes = encode(start.encoder, view(data), lanes);
  start.centres = kmeans({codes.data(), 1, data.rows, {2}}, {.clusters = kClusters},
                         {5, Purpose::kmeans}, lanes)
                      .best.centres;
  return start;
}

DecSettings settings_of(Index iterations, Index refresh) {
  return {.clusters = kClusters,
          .iterations = iterations,
          .refresh = refresh,
          .batch = 40,
          .tolerance = 0,
          .learning_rate = 1e-3,
          .seed = 6};
}

FitOptions small_fit() {
  FitOptions options;
  options.settings = Settings::of(Method::dec);
  options.settings.clusters = kClusters;
  options.settings.encoder = {16, 32};
  options.settings.codes = 3;
  options.settings.epochs = 600;
  options.settings.iterations = 120;
  options.scale = io::ScaleKind::none;  // others blow up the columns without clusters
  return options;
}

}  // namespace

namespace {

// With reconstruction where that is not 0.
void check_definition(double reconstruction) {
  const auto data = test::blobs(90, 5, 6);
  Lanes lanes({}, MathMode::fp32, 2);
  const Start start = start_of(data, lanes);
  std::vector<DecRefresh> refreshes;
  std::vector<std::vector<std::int32_t>> labels;
  DecCallbacks callbacks;
  callbacks.refreshed = [&](const DecRefresh& refresh) {
    refreshes.push_back(refresh);
    labels.emplace_back(refresh.labels.begin(), refresh.labels.end());
  };
  DecSettings settings = settings_of(7, 3);
  settings.reconstruction = reconstruction;
  const auto result = refine_clusters(view(data), start.encoder, start.centres, settings, lanes,
                                      callbacks, start.decoder);
  CHECK(result.iterations == 7);
  REQUIRE(refreshes.size() == 4);  // before steps 0, 3 and 6, and after the last one

  reference::DecState state{reference::relu_chain(start.encoder.tensors),
                            {},
                            kClusters,
                            reference::relu_chain(start.decoder),
                            reconstruction};
  for (const float c : start.centres) state.centre.push_back({static_cast<double>(c)});
  const kernels::OptimizerSettings adam{.learning_rate = 1e-3, .beta1 = 0.9, .beta2 = 0.999};
  const auto rows = as_rows(data);
  reference::Values target;
  std::vector<std::int32_t> order(90);
  std::size_t refresh = 0;
  for (std::uint32_t step = 0; step <= 7; ++step) {
    if (step % 3 == 0 || step == 7) {
      const auto q = state.assign(rows);
      target = reference::dec_target(state, rows);
      const DecRefresh& found = refreshes[refresh];
      CHECK(found.iteration == step);
      CHECK(found.divergence ==
            doctest::Approx(reference::student_divergence(target, q) / 90).epsilon(1e-3));
      double confidence = 0;
      std::vector<Index> sizes(kClusters, 0);
      for (std::size_t b = 0; b < 90; ++b) {
        const auto row = q.begin() + static_cast<std::ptrdiff_t>(b * kClusters);
        const auto best = std::max_element(row, row + kClusters);
        confidence += *best / 90;
        ++sizes[static_cast<std::size_t>(best - row)];
        CHECK(labels[refresh][b] == best - row);
      }
      CHECK(found.confidence == doctest::Approx(confidence).epsilon(1e-4));
      CHECK(found.sizes == sizes);
      ++refresh;
    }
    if (step == 7) break;
    if (step % 2 == 0) permute(order, 6, Purpose::clustering_rows, step / 2);
    const auto begin = order.begin() + (step % 2) * 40;
    reference::dec_step(state, rows, target, {begin, begin + 40}, adam);
  }
  CHECK(displacement_error(start.encoder.tensors, result.encoder.tensors, state.encoder) < 1e-3);
  for (std::size_t i = 0; i < start.centres.size(); ++i) {
    const double way = std::abs(state.centre[i].value - static_cast<double>(start.centres[i]));
    CHECK(way > 1e-3);
    CHECK(static_cast<double>(result.centres[i]) ==
          doctest::Approx(state.centre[i].value).epsilon(1e-5));
  }
  CHECK(result.decoder.empty() == (reconstruction == 0));
  if (reconstruction > 0) {
    CHECK(displacement_error(start.decoder, result.decoder, state.decoder) < 1e-3);
  }
}

}  // namespace

TEST_CASE("DEC: refreshes and steps equal those of the definition") { check_definition(0); }

TEST_CASE("DEC: with reconstruction the decoder learns along") { check_definition(0.5); }

TEST_CASE("DEC: no first refresh ends the training, a later one without changes does") {
  const auto data = test::blobs(90, 5, 3);
  Lanes lanes({}, MathMode::fp32, 1);
  const Start start = start_of(data, lanes);
  DecSettings settings = settings_of(100, 5);
  settings.tolerance = 0.001;
  settings.learning_rate = 1e-7;  // nothing changes
  const auto result = refine_clusters(view(data), start.encoder, start.centres, settings, lanes);
  CHECK(result.converged);
  CHECK(result.iterations == 5);
  settings.tolerance = 0;  // fewer changes than none there are not
  settings.iterations = 12;
  const auto unsettled = refine_clusters(view(data), start.encoder, start.centres, settings, lanes);
  CHECK_FALSE(unsettled.converged);
  CHECK(unsettled.iterations == 12);
}

TEST_CASE("DEC: the same bits for every number of lanes") {
  const auto data = test::blobs(300, 4, 5);
  Lanes one({}, MathMode::fp32, 1), three({}, MathMode::fp32, 3);
  const Start start = start_of(data, one);
  DecSettings settings = settings_of(20, 7);
  settings.batch = 128;
  const auto a = refine_clusters(view(data), start.encoder, start.centres, settings, one);
  const auto b = refine_clusters(view(data), start.encoder, start.centres, settings, three);
  CHECK(a.encoder.tensors == b.encoder.tensors);
  CHECK(a.centres == b.centres);
  CHECK(a.centres != start.centres);
}

TEST_CASE("DEC: blobs are found, a model file predicts as what it was written from") {
  auto data = test::blobs(300, 5, kClusters);
  FitOptions options = small_fit();
  std::vector<double> confidence;
  Index before = 0, after = 0;
  FitCallbacks callbacks;
  callbacks.refreshed = [&](const DecRefresh& refresh) {
    confidence.push_back(refresh.confidence);
  };
  callbacks.training.progress = [&](Index iteration) { ++(iteration < 0 ? before : after); };
  options.settings.tolerance = 0;
  const FitResult result = fit(data, options, callbacks);
  CHECK(score(result.prediction.assignments, data.labels).ari == 1.0);
  CHECK(before == 600);  // of one step each
  CHECK(after == 120);
  CHECK(result.training.iterations == 120);
  CHECK(confidence.back() > confidence.front());
  const auto path = (std::filesystem::temp_directory_path() /
                     ("ganmm-dec-test-" + std::to_string(std::rand()) + ".safetensors"))
                        .string();
  save_model(result.model, path);
  const Model model = load_model(path);
  std::filesystem::remove(path);
  Lanes lanes({}, MathMode::fp32, 2);
  const Prediction again = predict(model, data.values, 300, lanes);
  CHECK(again.assignments == result.prediction.assignments);
  CHECK(again.posteriors == result.prediction.posteriors);
  CHECK_FALSE(can_sample(model));
  CHECK_THROWS_AS((void)sample(model, 0, 1, 0, lanes), ConfigError);
}

TEST_CASE("DEC: a cancellation in either part leaves a model that predicts") {
  for (const Index last : {-20, 20}) {
    CAPTURE(last);
    auto data = test::blobs(120, 3, kClusters);
    FitCallbacks callbacks;
    Index reached = -1000;
    callbacks.training.progress = [&](Index iteration) { reached = iteration; };
    callbacks.training.cancelled = [&] { return reached >= last; };
    FitOptions options = small_fit();
    options.settings.tolerance = 0;
    const FitResult result = fit(data, options, callbacks);
    CHECK(result.training.cancelled);
    CHECK(reached == last);
    CHECK(result.training.iterations == std::max<Index>(0, last + 1));
    CHECK(result.prediction.assignments.size() == 120);
  }
}

TEST_CASE("DEC: more clusters than rows are refused") {
  const auto data = test::blobs(30, 3, 3);
  Lanes lanes({}, MathMode::fp32, 1);
  const Start start = start_of(data, lanes);
  DecSettings settings = settings_of(1, 1);
  settings.clusters = 31;
  CHECK_THROWS_AS((void)refine_clusters(view(data), start.encoder, start.centres, settings, lanes),
                  ConfigError);
}

TEST_CASE("DEC: a GPU goes the CPU's way, cuda float" * doctest::test_suite("gpu")) {
  test::on_cuda([](Context& ctx) {
    const auto data = test::blobs(90, 5, 6);
    Lanes host({}, MathMode::fp32, 1), lanes(ctx.device(), MathMode::fp32, 1);
    const DeviceRows rows(data.values, data.rows, data.item, lanes);
    const Start start = start_of(data, host);
    const auto settings = settings_of(5, 2);
    const auto expected = refine_clusters(view(data), start.encoder, start.centres, settings, host);
    const auto result = refine_clusters(rows.view(), start.encoder, start.centres, settings, lanes);
    CHECK(result.iterations == expected.iterations);
    for (std::size_t i = 0; i < start.centres.size(); ++i) {
      CHECK(result.centres[i] == doctest::Approx(expected.centres[i]).epsilon(1e-4));
    }
    const auto a = predict_dec(expected.encoder, expected.centres, data.values, 90, host);
    const auto b = predict_dec(expected.encoder, expected.centres, data.values, 90, lanes);
    CHECK(a.assignments == b.assignments);
    for (std::size_t i = 0; i < a.posteriors.size(); ++i) {
      CHECK(b.posteriors[i] == doctest::Approx(a.posteriors[i]).epsilon(1e-4));
    }
  });
}
