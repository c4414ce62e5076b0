#include "ganmm/networks.h"
#include "tests/nn/net.h"

namespace ganmm::nn {
namespace {

using namespace ganmm::test;

constexpr Index kGroups = 2, kBatch = 6, kStatBatch = 3;

// A network at a point away from its kinks, and a fixed direction for input and output.
struct Point {
  Point(const NetworkSpec& spec, std::uint64_t stream)
      : t(spec, kGroups, kBatch, TapeUse::penalty, kStatBatch), random(stream),
        x(random.signed_reals<double>(kGroups * kBatch * spec.input.count(), 0.1, 1)) {
    t.draw_parameters(random);
    write(t.input(), x);
    avoid_kinks(t);
    t_x = random.reals<double>(static_cast<Index>(x.size()), -1, 1);
    w = random.reals<double>(kGroups * kBatch * t.net.output().count(), -1, 1);
  }
  double loss() { return dot(w, t.forward()); }
  double loss_at(const Values& moved) { return dot(w, t.forward(moved)); }
  void backward() {
    t.forward(x);
    t.backward(w);
  }
  // Tangents of t_x through all layers.
  Values tangent() {
    t.forward(x);
    write(t.tape.tangent(0), t_x);
    for (std::size_t l = 0; l < t.tape.depth(); ++l) {
      t.net.layers()[l]->tangent(t.ctx, t.store.all(), t.tape.site(l, 0, kBatch),
                                 t.tape.tangent(l + 1), t.tape.tangent(l));
    }
    return read(t.tape.tangent(t.tape.depth()));
  }

  TestNet<double> t;
  RandomData random;
  Values x, t_x, w;
};

void check_input_gradient(Point& p) {
  p.backward();
  const Values result = read(p.t.input_gradient());
  check_gradient(result, central_gradient([&](const Values& x) { return p.loss_at(x); }, p.x));
}

void check_parameter_gradient(Point& p) {
  p.t.fill_gradients(0);
  p.backward();
  const Values result = p.t.gradients();
  const auto loss = [&](const Values& parameters) {
    p.t.set_parameters(parameters);
    return p.loss();
  };
  check_gradients(p.t, result, central_gradient(loss, p.t.parameters()));
}

void check_tangent(Point& p) {
  const Values result = p.tangent();
  check_gradient(result,
                 central_direction([&](const Values& x) { return p.t.forward(x); }, p.x, p.t_x));
}

// <tangent(t), w> = <t, backward(w)>: no step size, so nearly to the last bit.
void check_adjoint(Point& p) {
  const Values t_y = p.tangent();
  p.backward();
  const Values d_x = read(p.t.input_gradient());
  const double scale = absolute_dot(t_y, p.w) + absolute_dot(p.t_x, d_x);
  REQUIRE(scale > 0);
  CHECK(std::abs(dot(t_y, p.w) - dot(p.t_x, d_x)) <= 1e-13 * scale);
}

template <class Check>
void for_every_layer(const Check& check) {
  std::uint64_t stream = 0;
  for (const LayerCase& layer : kLayerCases) {
    for (const kernels::Activation activation : kActivations) {
      // Without a bias nothing can be moved away from a kink.
      if (!layer.layer.bias && activation.piecewise_linear() && !activation.identity()) continue;
      CAPTURE(layer.name);
      CAPTURE(static_cast<int>(activation.kind));
      Point point(layer.spec(activation), ++stream);
      check(point);
    }
  }
}

// The published architectures in small: batch norms, crops and cropped transposed convolutions.
template <class Check>
void for_every_network(const Check& check) {
  for (const Objective objective : {Objective::wgan_gp, Objective::wgan_clip}) {
    Settings settings;
    settings.clusters = 3;
    settings.net = NetKind::conv;
    settings.objective = objective;
    settings.width = 2;
    settings.noise = 3;
    const Networks nets = make_networks(settings, {9, 7, 1});
    for (const NetworkSpec& spec : {nets.generator, nets.critic, nets.classifier}) {
      CAPTURE(spec.name);
      CAPTURE(to_string(objective));
      Point point(spec, 100);
      check(point);
    }
  }
}

}  // namespace

TEST_CASE("layers: input gradients equal central differences") {
  for_every_layer(check_input_gradient);
}

TEST_CASE("layers: parameter gradients equal central differences") {
  for_every_layer([](Point& p) {
    if (p.t.tensors() > 0) check_parameter_gradient(p);
  });
}

TEST_CASE("layers: tangents equal central differences in a direction") {
  for_every_layer(check_tangent);
}

TEST_CASE("layers: tangent and backward pass are adjoint") { for_every_layer(check_adjoint); }

TEST_CASE("networks: input gradients equal central differences") {
  for_every_network(check_input_gradient);
}

TEST_CASE("networks: parameter gradients equal central differences") {
  for_every_network(check_parameter_gradient);
}

TEST_CASE("networks: tangents are adjoint to the backward pass and equal central differences") {
  for_every_network(check_tangent);
  for_every_network(check_adjoint);
}

}  // namespace ganmm::nn
