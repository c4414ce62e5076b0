#include "ganmm/autoencoder.h"
#include "ganmm/device_rows.h"
#include "ganmm/row_order.h"
#include "ganmm/split_net.h"
#include "tests/ganmm/codes.h"
#include "tests/support/blobs.h"
#include "tests/support/devices.h"
#include "tests/support/random_data.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace ganmm;
using test::as_rows;
using test::displacement_error;
using test::view;

namespace {

AutoencoderSettings small(Index epochs) {
  return {.hidden = {12, 16}, .codes = 3, .epochs = epochs, .batch = 40, .seed = 3};
}

// The optimiser of an autoencoder at its first rate.
kernels::OptimizerSettings adam(double rate) {
  return {.learning_rate = rate, .beta1 = 0.9, .beta2 = 0.999};
}

}  // namespace

TEST_CASE("split net: a step is that of the whole net, bit for bit") {
  // The middle matrix is several tasks, and the batch several parts.
  const nn::NetworkSpec spec = encoder_spec({7}, {300, 900}, 5);
  const Index batch = 100;
  for (const int threads : {1, 3}) {
    Lanes lanes({}, MathMode::fp32, threads);
    Context& ctx = lanes.context(0);
    lanes.plan_scratch();
    Arena arena;
    SplitNet split(arena, spec, batch, nn::StoreUse::training, true, lanes);
    nn::ParamStore<float> params(arena, "whole", split.net().layout(1), nn::StoreUse::training);
    nn::Tape<float> tape(arena, "whole", split.net(), 1, batch, nn::TapeUse::backward);
    arena.reserve();
    lanes.reserve_scratch();
    split.params().initialize(ctx, 1, 0, 0, 1);
    params.initialize(ctx, 1, 0, 0, 1);
    split.reset(ctx, adam(1e-3));
    kernels::optimizer_reset<float>(ctx, params.all().slabs(), adam(1e-3));
    CHECK(split.tasks() > 4);
    CHECK(static_cast<int>(split_over(lanes, batch).size()) == threads);
    for (int step = 0; step < 2; ++step) {
      for (const auto* own : {&split.tape(), &tape}) {
        test::RandomData random(4);
        for (Index b = 0; b < batch; ++b) {
          for (Index f = 0; f < 7; ++f)
            own->input().row(0, b)[f] = static_cast<float>(random.real<float>(-1, 1));
          for (Index f = 0; f < 5; ++f) {
            own->signal(3).row(0, b)[f] = static_cast<float>(random.real<float>(-1, 1));
          }
        }
      }
      split.net().forward(ctx, params.all(), tape, batch);
      split.net().backward(ctx, params.all(), tape,
                           {.rows = batch, .input_rows = batch, .param_rows = batch});
      kernels::optimizer_step<float>(ctx, params.all().slabs(), adam(1e-3));
      const auto ranges = split_over(lanes, batch);
      lanes.for_each(static_cast<Index>(ranges.size()), [&](int lane, Index part) {
        const RowRange rows = ranges[static_cast<std::size_t>(part)];
        split.forward(lanes.context(lane), rows);
        split.backward(lanes.context(lane), rows, true);
      });
      lanes.for_each(split.tasks(), [&](int lane, Index task) {
        split.update(lanes.context(lane), task, batch, adam(1e-3));
      });
      const auto tensors = split.download(ctx);
      for (std::size_t i = 0; i < tensors.size(); ++i) {
        CHECK(tensors[i] == params.download(ctx, static_cast<int>(i)));
      }
      CHECK(std::equal(tape.signal(0).data, tape.signal(0).data + batch * 7,
                       split.tape().signal(0).data));
    }
  }
}

TEST_CASE("split net: networks that it cannot split are refused") {
  Lanes lanes({}, MathMode::fp32, 1);
  Arena arena;
  nn::NetworkSpec spec = encoder_spec({8, 8, 1}, {5}, 2);
  spec.layers[0].kind = nn::LayerKind::conv;
  spec.layers[0].output = {0, 0, 2};
  lanes.plan_scratch();
  CHECK_THROWS_AS(SplitNet(arena, spec, 4, nn::StoreUse::training, true, lanes), ConfigError);
}

TEST_CASE("autoencoder: steps equal those of the definition") {
  const auto data = test::blobs(90, 5, 4);
  Lanes lanes({}, MathMode::fp32, 2);
  AutoencoderSettings settings = small(1);
  settings.noise = 0;
  settings.learning_rate = 1e-30;  // leaves the initial weights
  const auto begin = train_autoencoder(view(data), settings, lanes).encoder;
  nn::Sequential<float> net(decoder_spec(data.item, settings.hidden, settings.codes));
  Arena arena;
  nn::ParamStore<float> store(arena, "decoder", net.layout(1), nn::StoreUse::inference);
  arena.reserve();
  store.initialize(lanes.context(0), settings.seed, 0, 0, 1);
  std::vector<std::vector<float>> decoder;
  for (int i = 0; i < 6; ++i) decoder.push_back(store.download(lanes.context(0), i));

  settings.learning_rate = 1e-2;
  settings.epochs = 2;
  const AutoencoderResult result = train_autoencoder(view(data), settings, lanes);
  reference::Coders coders{reference::relu_chain(begin.tensors), reference::relu_chain(decoder)};
  const auto rows = as_rows(data);
  CHECK(result.steps == 4);
  REQUIRE(result.error.size() == 2);
  for (std::uint32_t epoch = 0; epoch < 2; ++epoch) {
    std::vector<std::int32_t> order(90);
    permute(order, settings.seed, Purpose::embedding_rows, epoch);
    double error = 0;
    for (std::size_t step = 0; step < 2; ++step) {
      std::vector<reference::Values> batch;
      for (std::size_t b = 0; b < 40; ++b) {
        batch.push_back(rows[static_cast<std::size_t>(order[step * 40 + b])]);
      }
      const double done = (2.0 * epoch + static_cast<double>(step)) / 4;
      error = reference::autoencoder_step(
          coders, batch, adam(1e-2 * 0.5 * (1 + std::cos(3.14159265358979 * done))));
    }
    // Single precision against double: some hundred roundings per value.
    CHECK(result.error[epoch] == doctest::Approx(error).epsilon(1e-4));
  }
  CHECK(displacement_error(begin.tensors, result.encoder.tensors, coders.encoder) < 1e-3);
}

TEST_CASE("autoencoder: few rows are learnt by heart, also where a batch would be more") {
  const auto data = test::blobs(30, 4, 6);
  Lanes lanes({}, MathMode::fp32, 2);
  AutoencoderSettings settings = small(1500);
  settings.batch = 256;
  settings.noise = 0;
  const AutoencoderResult result = train_autoencoder(view(data), settings, lanes);
  CHECK(result.steps == 1500);
  CHECK(result.error.front() > 0.3);
  CHECK(result.error.back() < 0.005);  // all of 0.01 is noise in two of four features
}

TEST_CASE("autoencoder: the same bits for every number of lanes, others for another seed") {
  const auto data = test::blobs(150, 6, 3);
  Lanes one({}, MathMode::fp32, 1), three({}, MathMode::fp32, 3);
  AutoencoderSettings settings = small(3);
  settings.batch = 128;
  const auto a = train_autoencoder(view(data), settings, one);
  const auto b = train_autoencoder(view(data), settings, three);
  CHECK(a.encoder.tensors == b.encoder.tensors);
  CHECK(a.error == b.error);
  const auto codes = encode(a.encoder, view(data), three);
  CHECK(codes == encode(a.encoder, view(data), one));
  // A row's codes do not depend on the others.
  const auto last = encode(a.encoder, view(data).rows(149, 1), one);
  CHECK(std::equal(last.begin(), last.end(), codes.end() - 3));
  settings.seed = 4;
  CHECK(train_autoencoder(view(data), settings, one).encoder.tensors != a.encoder.tensors);
}

TEST_CASE("autoencoder: images are warped anew in every step, whatever the lanes, tables are not") {
  const auto data = test::small_images(100, 8, 8);
  Lanes one({}, MathMode::fp32, 1), three({}, MathMode::fp32, 3);
  AutoencoderSettings settings = small(2);
  settings.batch = 96;
  const auto warped = train_autoencoder(view(data), settings, one);
  CHECK(train_autoencoder(view(data), settings, three).encoder.tensors == warped.encoder.tensors);
  settings.warp = 0;
  const auto plain = train_autoencoder(view(data), settings, one);
  CHECK(plain.encoder.tensors != warped.encoder.tensors);
  const GroupView<const float> rows(data.values.data(), 1, 100, {64});
  CHECK(train_autoencoder(rows, settings, one).encoder.tensors == plain.encoder.tensors);
  settings.warp = 1;
  CHECK(train_autoencoder(rows, settings, one).encoder.tensors == plain.encoder.tensors);
}

TEST_CASE("autoencoder: noise changes the steps, and a cancellation ends them") {
  const auto data = test::blobs(80, 3, 2);
  Lanes lanes({}, MathMode::fp32, 1);
  AutoencoderSettings settings = small(2);
  settings.noise = 0.1;
  const auto noisy = train_autoencoder(view(data), settings, lanes);
  settings.noise = 0;
  CHECK(train_autoencoder(view(data), settings, lanes).encoder.tensors != noisy.encoder.tensors);
  Index seen = 0;
  const auto cancelled =
      train_autoencoder(view(data), settings, lanes,
                        {[&](Index step) { CHECK(step == seen++); }, [&] { return seen == 3; }});
  CHECK(cancelled.cancelled);
  CHECK(cancelled.steps == 3);
}

TEST_CASE("autoencoder: settings out of range are refused, all at once") {
  const AutoencoderSettings bad{.hidden = {0}, .codes = 0, .epochs = -1, .noise = -1, .warp = -1};
  for (const char* what : {"encoder", "codes", "epochs", "corruption", "warp"}) {
    CHECK_THROWS_WITH_AS((void)bad.resolved(10), doctest::Contains(what), ConfigError);
  }
  CHECK_THROWS_AS((void)AutoencoderSettings{.epochs = 1000000001}.resolved(10), ConfigError);
  CHECK(AutoencoderSettings{}.resolved(10000).epochs == 100);
  CHECK(AutoencoderSettings{}.resolved(60000).epochs == 100);
  CHECK(AutoencoderSettings{}.resolved(10).epochs == 2000);
}

TEST_CASE("autoencoder: a GPU goes the CPU's way, cuda float" * doctest::test_suite("gpu")) {
  test::on_cuda([](Context& ctx) {
    const auto data = test::blobs(90, 5, 4);
    Lanes host({}, MathMode::fp32, 1), lanes(ctx.device(), MathMode::fp32, 1);
    const DeviceRows rows(data.values, data.rows, data.item, lanes);
    AutoencoderSettings settings = small(2);
    const auto expected = train_autoencoder(view(data), settings, host);
    const auto result = train_autoencoder(rows.view(), settings, lanes);
    // Single precision in another order, through four steps of Adam.
    for (std::size_t i = 0; i < expected.error.size(); ++i) {
      CHECK(result.error[i] == doctest::Approx(expected.error[i]).epsilon(1e-4));
    }
    const auto a = encode(expected.encoder, view(data), host);
    const auto b = encode(expected.encoder, rows.view(), lanes);
    for (std::size_t i = 0; i < a.size(); ++i) CHECK(b[i] == doctest::Approx(a[i]).epsilon(1e-4));
  });
}
