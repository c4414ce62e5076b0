#include "kernels/loss.h"
#include "kernels/optim.h"
#include "kernels/penalty.h"
#include "nn/gradient_penalty.h"
#include "tests/nn/net.h"

namespace ganmm::nn {
namespace {

using namespace ganmm::test;

constexpr double kLambda = 10;

struct Critic {
  std::string name;
  NetworkSpec spec;
};

NetworkSpec mlp(kernels::Activation activation) {
  return {"critic", {4}, {dense({6}, activation), dense({5}, activation), dense({1})}};
}
NetworkSpec mlp_with_norm(kernels::Activation activation) {
  return {"critic",
          {4},
          {dense({6}), norm(LayerKind::layer_norm, activation), dense({5}),
           norm(LayerKind::layer_norm, activation), dense({1})}};
}
NetworkSpec convolutional(kernels::Activation activation) {
  return {"critic", {7, 6, 2}, {conv(3, activation), conv(6, activation), dense({1})}};
}
NetworkSpec convolutional_with_norm(kernels::Activation activation) {
  return {"critic",
          {7, 6, 2},
          {conv(3), norm(LayerKind::layer_norm, activation), conv(6),
           norm(LayerKind::layer_norm, activation), dense({1})}};
}
// Every layer kind that a penalty passes through.
NetworkSpec mixed() {
  return {"critic",
          {8},
          {dense({12}, kTanh), norm(LayerKind::layer_norm, kLeaky, {2, 3, 2}),
           deconv({3, 5, 2}, kSigmoid, {4, 6, 2}), crop({3, 4, 2}), conv(2, kLeaky), dense({1})}};
}

const std::vector<Critic> kPiecewiseLinear = {{"mlp, relu", mlp(kRelu)},
                                              {"mlp, leaky relu", mlp(kLeaky)},
                                              {"conv, leaky relu", convolutional(kLeaky)}};
const std::vector<Critic> kCurved = {
    {"mlp, tanh", mlp(kTanh)},
    {"mlp, sigmoid", mlp(kSigmoid)},
    {"mlp, layer norm, relu", mlp_with_norm(kRelu)},
    {"mlp, layer norm, leaky relu", mlp_with_norm(kLeaky)},
    {"mlp, layer norm, tanh", mlp_with_norm(kTanh)},
    {"mlp, layer norm, sigmoid", mlp_with_norm(kSigmoid)},
    {"conv, tanh", convolutional(kTanh)},
    {"conv, layer norm, leaky relu", convolutional_with_norm(kLeaky)},
    {"mixed", mixed()},
};

// lambda mean_b (|g_b| - 1)^2 of every group, in plain loops.
Values penalty_of(const GroupView<double>& g) {
  Values penalty;
  for (Index n = 0; n < g.groups; ++n) {
    double sum = 0;
    for (Index b = 0; b < g.batch; ++b) {
      double square = 0;
      for (Index f = 0; f < g.features(); ++f) square += g.row(n, b)[f] * g.row(n, b)[f];
      sum += (std::sqrt(square) - 1) * (std::sqrt(square) - 1);
    }
    penalty.push_back(kLambda * sum / static_cast<double>(g.batch));
  }
  return penalty;
}

double total(const Values& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum;
}

// A critic at a point away from its kinks, whose rows are all interpolates.
struct Point {
  Point(const NetworkSpec& spec, Index groups, Index rows_, std::uint64_t stream)
      : rows(rows_), t(spec, groups, rows, TapeUse::penalty) {
    RandomData random(stream);
    t.draw_parameters(random);
    write(t.input(), random.reals<double>(groups * rows * spec.input.count(), -1, 1));
    avoid_kinks(t);
  }
  void input_gradients() {
    t.forward();
    fill(t.output_signal(), 1);
    t.net.backward(t.ctx, t.store.all(), t.tape, {.rows = rows, .input_rows = rows});
  }
  double penalty_at(const Values& parameters) {
    t.set_parameters(parameters);
    input_gradients();
    return total(penalty_of(t.input_gradient()));
  }
  void add_penalty_gradient() {
    input_gradients();
    gradient_penalty<double>(t.ctx, t.net, t.store.all(), t.tape, 0, rows, kLambda,
                             {t.penalty.data(), t.groups, {1}});
  }

  Index rows;
  TestNet<double> t;
};

template <class Body>
void for_every_critic(const std::vector<Critic>& critics, const Body& body) {
  std::uint64_t stream = 0;
  for (const Critic& critic : critics) {
    for (const Index groups : {1, 3}) {
      CAPTURE(critic.name);
      CAPTURE(groups);
      Point point(critic.spec, groups, 4, ++stream);
      body(point);
    }
  }
}

void check_penalty_gradient(Point& p) {
  p.t.fill_gradients(0);
  p.add_penalty_gradient();
  const Values result = p.t.gradients();
  const auto penalty = [&](const Values& parameters) { return p.penalty_at(parameters); };
  check_gradients(p.t, result, central_gradient(penalty, p.t.parameters()));
}

// Rows of a critic step: real, fake, interpolates, as many of each, and a network away from the
// kinks of all of them. All values are exact in single precision.
struct StepPoint {
  StepPoint(const NetworkSpec& spec, Index groups_, std::uint64_t stream)
      : groups(groups_), t(spec, groups, 3 * kRows, TapeUse::penalty) {
    RandomData random(stream);
    t.draw_parameters(random);
    write(t.input(), random.reals<float>(groups * 3 * kRows * spec.input.count(), -1, 1));
    avoid_kinks(t);
    Values parameters = t.parameters();
    for (double& value : parameters) value = static_cast<double>(static_cast<float>(value));
    t.set_parameters(parameters);
    x = read(t.input());
  }
  static constexpr Index kRows = 3;
  Index groups;
  TestNet<double> t;
  Values x;
};

// The critic step of ganmm/m_step.cpp: three batches on one tape, one forward and backward pass.
template <class T>
void critic_gradients(TestNet<T>& t, const Values& x) {
  const Index rows = StepPoint::kRows;
  t.forward(x);
  kernels::wasserstein_signal<T>(t.ctx, t.output_signal(), rows, rows);
  t.net.backward(
      t.ctx, t.store.all(), t.tape,
      {.rows = 3 * rows, .input_first = 2 * rows, .input_rows = rows, .param_rows = 2 * rows});
  gradient_penalty<T>(t.ctx, t.net, t.store.all(), t.tape, 2 * rows, rows, kLambda,
                      {t.penalty.data(), t.groups, {1}});
}

// Its loss, summed over groups, from separate definitions.
double critic_loss(TestNet<double>& t) {
  const Index rows = StepPoint::kRows;
  const Values score = t.forward();
  double loss = 0;
  for (Index n = 0; n < t.groups; ++n) {
    for (Index b = 0; b < rows; ++b) {
      const auto real = static_cast<std::size_t>(n * 3 * rows + b);
      const auto fake = real + static_cast<std::size_t>(rows);
      loss += (score[fake] - score[real]) / static_cast<double>(rows);
    }
  }
  fill(t.output_signal(), 1);
  t.net.backward(t.ctx, t.store.all(), t.tape, {.rows = 3 * rows, .input_rows = 3 * rows});
  return loss + total(penalty_of(t.input_gradient().rows(2 * rows, rows)));
}

const std::vector<Critic> kStepCritics = {{"mlp, relu", mlp(kRelu)},
                                          {"mlp, tanh", mlp(kTanh)},
                                          {"conv, leaky relu", convolutional(kLeaky)},
                                          {"conv, layer norm", convolutional_with_norm(kLeaky)}};

template <class Body>
void for_every_step(const Body& body) {
  std::uint64_t stream = 50;
  for (const Critic& critic : kStepCritics) {
    CAPTURE(critic.name);
    StepPoint point(critic.spec, 2, ++stream);
    body(point);
  }
}

double largest(const Values& values) {
  double most = 0;
  for (const double value : values) most = std::max(most, std::abs(value));
  return most;
}

}  // namespace

TEST_CASE("gradient penalty: gradients of piecewise linear critics equal central differences") {
  for_every_critic(kPiecewiseLinear, check_penalty_gradient);
}

TEST_CASE("gradient penalty: gradients of curved critics equal central differences") {
  for_every_critic(kCurved, check_penalty_gradient);
}

TEST_CASE("gradient penalty: the penalty reported is that of the input gradients") {
  const auto check = [](Point& p) {
    p.add_penalty_gradient();
    const Values reported(p.t.penalty.data(), p.t.penalty.data() + p.t.groups);
    const Values expected = penalty_of(p.t.input_gradient());
    check_within(reported, expected, scaled(expected, 1e-14));
  };
  for_every_critic(kPiecewiseLinear, check);
  for_every_critic(kCurved, check);
}

TEST_CASE("gradient penalty: biases of a piecewise linear critic get nothing") {
  for_every_critic(kPiecewiseLinear, [](Point& p) {
    p.t.fill_gradients(0.375);
    p.add_penalty_gradient();
    for (int i = 0; i < p.t.tensors(); ++i) {
      CAPTURE(p.t.spec(i).name);
      const Values untouched(static_cast<std::size_t>(p.t.elements(i)), 0.375);
      CHECK((p.t.gradient(i) == untouched) == p.t.spec(i).name.ends_with(".bias"));
    }
  });
}

TEST_CASE("gradient penalty: the gradient is added to what is there") {
  const auto check = [](Point& p) {
    p.t.fill_gradients(0);
    p.add_penalty_gradient();
    const Values alone = p.t.gradients();
    p.t.fill_gradients(2);
    p.add_penalty_gradient();
    const Values expected = alone + Values(alone.size(), 2.0);
    check_within(p.t.gradients(), expected, Values(alone.size(), 1e-14 * (2 + largest(alone))));
  };
  for_every_critic(kPiecewiseLinear, check);
  for_every_critic(kCurved, check);
}

TEST_CASE("gradient penalty: a critic with batch norm is refused, the layer named") {
  const Sequential<double> net(
      {"critic", {7, 6, 2}, {conv(3, kLeaky), norm(LayerKind::batch_norm), dense({1})}});
  CHECK_THROWS_WITH_AS(net.require_penalty(),
                       doctest::Contains("network 'critic': layer 1 is a batch norm"), ConfigError);
  for (const std::vector<Critic>* critics : {&kPiecewiseLinear, &kCurved}) {
    for (const Critic& critic : *critics) {
      CAPTURE(critic.name);
      CHECK_NOTHROW(Sequential<double>(critic.spec).require_penalty());
    }
  }
}

TEST_CASE("gradient penalty: a tape without tangents is refused") {
  TestNet<double> t(mlp(kTanh), 1, 2, TapeUse::backward);
  CHECK_THROWS_AS(gradient_penalty<double>(t.ctx, t.net, t.store.all(), t.tape, 0, 2, kLambda,
                                           {t.penalty.data(), 1, {1}}),
                  ShapeError);
}

TEST_CASE("critic step: gradients of the whole loss equal central differences") {
  for_every_step([](StepPoint& p) {
    critic_gradients(p.t, p.x);
    const Values result = p.t.gradients();
    const auto loss = [&](const Values& parameters) {
      p.t.set_parameters(parameters);
      return critic_loss(p.t);
    };
    check_gradients(p.t, result, central_gradient(loss, p.t.parameters()));
  });
}

TEST_CASE("critic step: one tape gives the Wasserstein gradient plus the penalty gradient") {
  for_every_step([](StepPoint& p) {
    const Index rows = StepPoint::kRows, groups = p.groups;
    critic_gradients(p.t, p.x);
    const Values result = p.t.gradients();

    TestNet<double> wasserstein(p.t.net.spec(), groups, 2 * rows, TapeUse::backward);
    wasserstein.set_parameters(p.t.parameters());
    wasserstein.forward(read(p.t.input().rows(0, 2 * rows)));
    kernels::wasserstein_signal<double>(wasserstein.ctx, wasserstein.output_signal(), rows, rows);
    wasserstein.net.backward(wasserstein.ctx, wasserstein.store.all(), wasserstein.tape,
                             {.rows = 2 * rows, .param_rows = 2 * rows});

    TestNet<double> penalty(p.t.net.spec(), groups, rows, TapeUse::penalty);
    penalty.set_parameters(p.t.parameters());
    penalty.forward(read(p.t.input().rows(2 * rows, rows)));
    fill(penalty.output_signal(), 1);
    penalty.net.backward(penalty.ctx, penalty.store.all(), penalty.tape,
                         {.rows = rows, .input_rows = rows});
    penalty.fill_gradients(0);
    gradient_penalty<double>(penalty.ctx, penalty.net, penalty.store.all(), penalty.tape, 0, rows,
                             kLambda, {penalty.penalty.data(), groups, {1}});

    const Values expected = wasserstein.gradients() + penalty.gradients();
    check_within(result, expected, Values(expected.size(), 1e-13 * largest(expected)));
    CHECK_FALSE(all_zero(wasserstein.gradients()));
    CHECK_FALSE(all_zero(penalty.gradients()));
  });
}

TEST_CASE("critic step: single precision agrees with double precision") {
  // Rounding errors of a chain of some ten passes, relative to the largest gradient of all, since
  // real and fake parts cancel.
  const double tolerance = 16 * unit_roundoff<float>();
  for_every_step([&](StepPoint& p) {
    critic_gradients(p.t, p.x);
    TestNet<float> single(p.t.net.spec(), p.groups, 3 * StepPoint::kRows, TapeUse::penalty);
    single.set_parameters(p.t.parameters());
    critic_gradients(single, p.x);
    const Values expected = p.t.gradients();
    const double scale = largest(expected);
    check_within(single.gradients(), expected, Values(expected.size(), tolerance * scale));
    const Values penalty(p.t.penalty.data(), p.t.penalty.data() + p.groups);
    check_within({single.penalty.data(), single.penalty.data() + p.groups}, penalty,
                 scaled(penalty, tolerance));

    // RMSProp moves a value by at most learning_rate per unit of its gradient.
    const kernels::OptimizerSettings settings{.kind = kernels::OptimizerKind::rmsprop,
                                              .learning_rate = 0.01,
                                              .epsilon = 1e-10,
                                              .clip = 0.3};
    kernels::optimizer_reset<double>(p.t.ctx, p.t.store.all().slabs(), settings);
    kernels::optimizer_step<double>(p.t.ctx, p.t.store.all().slabs(), settings);
    kernels::optimizer_reset<float>(single.ctx, single.store.all().slabs(), settings);
    kernels::optimizer_step<float>(single.ctx, single.store.all().slabs(), settings);
    const Values values = p.t.parameters();
    check_within(single.parameters(), values,
                 Values(values.size(),
                        settings.learning_rate * tolerance * scale + 4 * unit_roundoff<float>()));
  });
}

}  // namespace ganmm::nn
