#include "kernels/loss.h"
#include "tests/reference/loss.h"
#include "tests/support/devices.h"
#include "tests/support/gradcheck.h"
#include "tests/support/guard_buffer.h"
#include "tests/support/random_data.h"

namespace ganmm::kernels {
namespace {

using namespace ganmm::test;

const std::vector<CrossEntropySettings> kSettings = {
    {false, 0.0}, {false, 0.1}, {true, 0.0}, {true, 0.1}};

std::vector<std::int32_t> labels(RandomData& random, Index rows, Index classes) {
  std::vector<std::int32_t> label;
  for (Index b = 0; b < rows; ++b) {
    label.push_back(static_cast<std::int32_t>(random.integer(0, classes - 1)));
  }
  return label;
}

Values group_of(const Values& values, Index group, Index per_group) {
  return {values.begin() + group * per_group, values.begin() + (group + 1) * per_group};
}

}  // namespace

GANMM_ELEMENT_CASE("loss: the critic's signal is -1/real, +1/fake and 1 for interpolates") {
  for (const Index groups : kGroupCounts) {
    for (const Layout layout : kOutputLayouts) {
      for (const Index interpolates : {0, 1, 5}) {
        Batch<T> d_score(ctx, groups, 3 + 7 + interpolates, {1}, layout);
        wasserstein_signal<T>(ctx, d_score.view(), 3, 7);
        Values expected;
        for (Index n = 0; n < groups; ++n) {
          expected.insert(expected.end(), 3, static_cast<double>(static_cast<T>(-1.0 / 3.0)));
          expected.insert(expected.end(), 7, static_cast<double>(static_cast<T>(1.0 / 7.0)));
          expected.insert(expected.end(), reference::at(interpolates), 1.0);
        }
        check_equal(d_score.get(), expected);
      }
    }
  }
}

TEST_CASE("loss: a critic batch with fewer rows than real and fake ones is refused") {
  Context ctx;
  Batch<float> d_score(ctx, 1, 9, {1});
  CHECK_THROWS_AS(wasserstein_signal<float>(ctx, d_score.view(), 5, 5), ShapeError);
}

GANMM_ELEMENT_CASE(
    "loss: the logistic signal follows the definition in every layout, also in place") {
  for (const Index groups : kGroupCounts) {
    for (const Layout layout : kOutputLayouts) {
      for (const auto& [real, fake] : {std::pair<Index, Index>{3, 7}, {50, 50}, {5, 0}, {0, 4}}) {
        CAPTURE(real);
        CAPTURE(fake);
        RandomData random(static_cast<std::uint64_t>(groups));
        const Values values = random.reals<T>(groups * (real + fake), -6, 6);
        const Values expected = reference::logistic_signal(values, real, fake);
        // An exponential, a sum, two divisions and, on the GPU, a reciprocal that was rounded.
        Values allowed;
        for (const double d : expected) {
          allowed.push_back((24 * unit_roundoff<Master<T>>() + unit_roundoff<T>()) * std::abs(d));
        }
        const Batch<T> score(ctx, groups, real + fake, {1}, values, layout);
        Batch<T> d_score(ctx, groups, real + fake, {1}, layout);
        logistic_signal<T>(ctx, d_score.view(), score.input(), real, fake);
        check_within(d_score.get(), expected, allowed);
        Batch<T> in_place(ctx, groups, real + fake, {1});
        in_place.set(values);
        logistic_signal<T>(ctx, in_place.view(), in_place.input(), real, fake);
        CHECK(in_place.get() == d_score.get());
      }
    }
  }
}

GANMM_ELEMENT_CASE("loss: the logistic signal of extreme scores is 0 or one row's share") {
  const Batch<T> score(ctx, 1, 8, {1}, {1e4, -1e4, 1e30, -1e30, 1e4, -1e4, 1e30, -1e30});
  Batch<T> d_score(ctx, 1, 8, {1});
  logistic_signal<T>(ctx, d_score.view(), score.input(), 4, 4);
  check_equal(d_score.get(), {0, -0.25, 0, -0.25, 0.25, 0, 0.25, 0});
}

TEST_CASE("loss: the logistic signal agrees with central differences of the cross-entropy") {
  Context ctx;
  RandomData random(5);
  const Values values = random.reals<double>(9, -3, 3);
  const Batch<double> score(ctx, 1, 9, {1}, values);
  Batch<double> d_score(ctx, 1, 9, {1});
  logistic_signal<double>(ctx, d_score.view(), score.input(), 4, 5);
  check_gradient(d_score.get(), central_gradient(
                                    [](const Values& f) {
                                      double loss = 0;
                                      for (std::size_t b = 0; b < 9; ++b) {
                                        loss += std::log1p(std::exp(b < 4 ? -f[b] : f[b])) /
                                                (b < 4 ? 4 : 5);
                                      }
                                      return loss;
                                    },
                                    values));
}

TEST_CASE("loss: a logistic signal for other rows than the scores' is refused") {
  Context ctx;
  const Batch<float> score(ctx, 1, 9, {1}, Values(9, 1.0));
  Batch<float> d_score(ctx, 1, 9, {1}), longer(ctx, 1, 10, {1});
  CHECK_THROWS_AS(logistic_signal<float>(ctx, d_score.view(), score.input(), 5, 5), ShapeError);
  CHECK_THROWS_AS(logistic_signal<float>(ctx, d_score.view(), score.input(), 4, 4), ShapeError);
  CHECK_THROWS_AS(logistic_signal<float>(ctx, longer.view(), score.input(), 5, 4), ShapeError);
}

GANMM_DEVICE_CASE("loss: cross entropy and its gradient follow the definition, also in place") {
  for (const CrossEntropySettings& settings : kSettings) {
    for (const Index classes : {1, 2, 3, 7, 8, 10, 16, 17, 33}) {
      for (const Index batch : {1, 5, 50}) {
        const Index groups = 2;
        CAPTURE(settings.double_softmax);
        CAPTURE(settings.label_smoothing);
        CAPTURE(classes);
        CAPTURE(batch);
        RandomData random(static_cast<std::uint64_t>(classes * 100 + batch));
        const Values values = random.reals<T>(groups * batch * classes, -3, 3);
        const auto label = labels(random, batch, classes);
        Values expected_loss, expected_gradient;
        for (Index n = 0; n < groups; ++n) {
          const Values logits = group_of(values, n, batch * classes);
          expected_loss.push_back(reference::cross_entropy(logits, label, classes, settings));
          const Values d = reference::cross_entropy_gradient(logits, label, classes, settings);
          expected_gradient.insert(expected_gradient.end(), d.begin(), d.end());
        }
        // A row's terms are the logit differences (at most 6), the exponentials and their sum of
        // `classes` terms; then the mean over the batch.
        const double rounding =
            2 * (reduction_rtol<T>(classes) + reduction_rtol<T>(batch) + 16 * unit_roundoff<T>());
        const Values loss_allowed(expected_loss.size(),
                                  rounding * (6 + std::log(static_cast<double>(classes))));
        // |p - target| <= 1 with a relative error of the same size, divided by the batch.
        const Values gradient_allowed(expected_gradient.size(),
                                      rounding / static_cast<double>(batch));
        const GuardBuffer<std::int32_t> label_buffer(ctx, label);
        const Batch<T> logits(ctx, groups, batch, {classes}, values, Layout::gaps);
        Batch<T> d_logits(ctx, groups, batch, {classes}, Layout::gaps);
        Param<T> loss(ctx, groups, {1});
        cross_entropy<T>(ctx, loss.view(), d_logits.view(), logits.input(), label_buffer.data(),
                         settings);
        CHECK(describe_mismatch(loss.get(), expected_loss, loss_allowed) == "");
        CHECK(describe_mismatch(d_logits.get(), expected_gradient, gradient_allowed) == "");
        if (classes > 1) {
          CHECK_FALSE(all_zero(d_logits.get()));
          CHECK(loss.get()[0] > 0);
        }
        Batch<T> in_place(ctx, groups, batch, {classes});
        in_place.set(values);
        cross_entropy<T>(ctx, loss.view(), in_place.view(), in_place.input(), label_buffer.data(),
                         settings);
        CHECK(describe_mismatch(in_place.get(), expected_gradient, gradient_allowed) == "");
      }
    }
  }
}

TEST_CASE("loss: the cross-entropy gradient agrees with central differences") {
  Context ctx;
  for (const CrossEntropySettings& settings : kSettings) {
    CAPTURE(settings.double_softmax);
    CAPTURE(settings.label_smoothing);
    RandomData random(4);
    const Index batch = 4, classes = 5;
    const Values values = random.reals<double>(batch * classes, -2, 2);
    const auto label = labels(random, batch, classes);
    const GuardBuffer<std::int32_t> label_buffer(ctx, label);
    const Batch<double> logits(ctx, 1, batch, {classes}, values);
    Batch<double> d_logits(ctx, 1, batch, {classes});
    Param<double> loss(ctx, 1, {1});
    cross_entropy<double>(ctx, loss.view(), d_logits.view(), logits.input(), label_buffer.data(),
                          settings);
    check_gradient(d_logits.get(), central_gradient(
                                       [&](const Values& at) {
                                         return reference::cross_entropy(at, label, classes,
                                                                         settings);
                                       },
                                       values));
  }
}

GANMM_DEVICE_CASE("loss: extreme logits give finite losses and gradients") {
  const Values values = {1e4, -1e4, 0, -1e4, -1e4, 1e4, 1e4, 1e4, 1e4};
  const std::vector<std::int32_t> label = {1, 2, 0};
  const GuardBuffer<std::int32_t> label_buffer(ctx, label);
  for (const CrossEntropySettings& settings : kSettings) {
    CAPTURE(settings.double_softmax);
    CAPTURE(settings.label_smoothing);
    const Batch<T> logits(ctx, 1, 3, {3}, values);
    Batch<T> d_logits(ctx, 1, 3, {3});
    Param<T> loss(ctx, 1, {1});
    cross_entropy<T>(ctx, loss.view(), d_logits.view(), logits.input(), label_buffer.data(),
                     settings);
    // Terms up to 2e4, rounded a dozen times; gradients of at most 1/3.
    const double expected = reference::cross_entropy(values, label, 3, settings);
    CHECK(all_finite(loss.get()));
    check_within(loss.get(), {expected}, {16 * unit_roundoff<T>() * expected});
    check_within(d_logits.get(), reference::cross_entropy_gradient(values, label, 3, settings),
                 Values(9, 16 * unit_roundoff<T>()));
  }
}

TEST_CASE("loss: gradients of another shape than the logits are refused") {
  Context ctx;
  const GuardBuffer<std::int32_t> label(ctx, {0, 1});
  const Batch<float> logits(ctx, 1, 2, {3}, Values(6, 1.0));
  Batch<float> narrow(ctx, 1, 2, {2});
  Param<float> loss(ctx, 1, {1});
  CHECK_THROWS_AS(
      cross_entropy<float>(ctx, loss.view(), narrow.view(), logits.input(), label.data(), {}),
      ShapeError);
}

}  // namespace ganmm::kernels
