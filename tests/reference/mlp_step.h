// M-steps of one GAN of dense layers in double precision, after kernels/mlp_step.h: rows one by
// one, the penalty's gradient by forward over reverse, for piecewise linear critics alone.
#pragma once

#include "kernels/mlp_step.h"
#include "tests/reference/activation.h"
#include "tests/reference/optim.h"
#include "tests/reference/values.h"

#include <cmath>
#include <vector>

namespace ganmm::reference {

struct DenseLayer {
  Index in, out;
  Activation activation;
  std::vector<Parameter> weight, bias;  // [in][out], [out]

  double w(Index i, Index o) const { return weight[at(i * out + o)].value; }
};

using Chain = std::vector<DenseLayer>;

// Sums of parameter gradients, in the order of the tensors: weight, bias, weight, ...
using Gradients = std::vector<Values>;

inline Gradients no_gradients(const Chain& net) {
  Gradients gradients;
  for (const DenseLayer& layer : net) {
    gradients.push_back(zeros(layer.in * layer.out));
    gradients.push_back(zeros(layer.out));
  }
  return gradients;
}

// One row on its way through a network.
struct Row {
  std::vector<Values> y;  // y[0] the input, y[l + 1] the output of layer l
  std::vector<Values> u;  // the signal before the activation of layer l
  Values d_x;

  Row(const Chain& net, const Values& x) : y{x} {
    for (const DenseLayer& layer : net) {
      Values out = zeros(layer.out);
      for (Index o = 0; o < layer.out; ++o) {
        double z = layer.bias[at(o)].value;
        for (Index i = 0; i < layer.in; ++i) z += y.back()[at(i)] * layer.w(i, o);
        out[at(o)] = activate(layer.activation, z);
      }
      y.push_back(out);
    }
  }
  void backward(const Chain& net, const Values& d_y) {
    u.assign(net.size(), {});
    d_x = d_y;
    for (std::size_t l = net.size(); l-- > 0;) {
      const DenseLayer& layer = net[l];
      for (Index o = 0; o < layer.out; ++o) {
        d_x[at(o)] *= derivative_from_y(layer.activation, y[l + 1][at(o)]);
      }
      u[l] = d_x;
      d_x = zeros(layer.in);
      for (Index i = 0; i < layer.in; ++i) {
        for (Index o = 0; o < layer.out; ++o) d_x[at(i)] += layer.w(i, o) * u[l][at(o)];
      }
    }
  }
  void add_gradients(const Chain& net, Gradients& sums) const {
    for (std::size_t l = 0; l < net.size(); ++l) {
      add_product(sums[2 * l], y[l], u[l]);
      for (std::size_t o = 0; o < u[l].size(); ++o) sums[2 * l + 1][o] += u[l][o];
    }
  }
  // The gradients of v . d_x with v held fixed.
  void add_penalty_gradients(const Chain& net, const Values& v, Gradients& sums) const {
    Values t = v;
    for (std::size_t l = 0; l < net.size(); ++l) {
      add_product(sums[2 * l], t, u[l]);
      Values next = zeros(net[l].out);
      for (Index o = 0; o < net[l].out; ++o) {
        for (Index i = 0; i < net[l].in; ++i) next[at(o)] += t[at(i)] * net[l].w(i, o);
        next[at(o)] *= derivative_from_y(net[l].activation, y[l + 1][at(o)]);
      }
      t = next;
    }
  }
  static void add_product(Values& sums, const Values& x, const Values& signal) {
    for (std::size_t i = 0; i < x.size(); ++i) {
      for (std::size_t o = 0; o < signal.size(); ++o) {
        sums[i * signal.size() + o] += x[i] * signal[o];
      }
    }
  }
};

inline void update(Chain& net, const Gradients& sums, const OptimizerSettings& settings) {
  for (std::size_t l = 0; l < net.size(); ++l) {
    for (std::size_t i = 0; i < net[l].weight.size(); ++i) {
      net[l].weight[i].update(sums[2 * l][i], settings);
    }
    for (std::size_t i = 0; i < net[l].bias.size(); ++i) {
      net[l].bias[i].update(sums[2 * l + 1][i], settings);
    }
  }
}

struct MlpGan {
  Chain generator, critic;
};

// The numbers that one M-step of one GAN draws: rows of noise, drawn data rows, alphas.
struct MlpDraws {
  std::vector<Values> generator_noise, noise, real;
  Values alpha;
};

struct MlpMeans {
  double real = 0, fake = 0, penalty = 0, generated = 0;
};

// With a logistic objective scores go through a sigmoid into -log (kernels/loss.h); no penalty
// then.
inline MlpMeans mlp_step(MlpGan& gan, const MlpDraws& draws,
                         const kernels::MlpStepSettings& settings, bool logistic = false) {
  MlpMeans means;
  const double share = 1.0 / static_cast<double>(settings.batch);
  // The derivative of the loss by the score of a row, which is to fall or to rise.
  const auto falling = [&](const Row& row) {
    return Values{logistic ? share / (1 + std::exp(-row.y.back()[0])) : share};
  };
  const auto rising = [&](const Row& row) {
    return Values{logistic ? -share / (1 + std::exp(row.y.back()[0])) : -share};
  };
  Gradients sums = no_gradients(gan.generator);
  for (const Values& z : draws.generator_noise) {
    Row sample(gan.generator, z), judged(gan.critic, sample.y.back());
    means.generated += judged.y.back()[0] * share;
    judged.backward(gan.critic, rising(judged));
    sample.backward(gan.generator, judged.d_x);
    sample.add_gradients(gan.generator, sums);
  }
  update(gan.generator, sums, settings.generator_optimizer);

  for (Index c = 0; c < settings.critic_steps; ++c) {
    sums = no_gradients(gan.critic);
    means.real = means.fake = means.penalty = 0;
    for (Index b = c * settings.batch; b < (c + 1) * settings.batch; ++b) {
      const Values fake = Row(gan.generator, draws.noise[at(b)]).y.back();
      const Values& real = draws.real[at(b)];
      Row of_real(gan.critic, real), of_fake(gan.critic, fake);
      of_real.backward(gan.critic, rising(of_real));
      of_real.add_gradients(gan.critic, sums);
      of_fake.backward(gan.critic, falling(of_fake));
      of_fake.add_gradients(gan.critic, sums);
      means.real += of_real.y.back()[0] * share;
      means.fake += of_fake.y.back()[0] * share;
      if (!settings.with_penalty) continue;
      Values between(real.size());
      const double alpha = draws.alpha[at(b)];
      for (std::size_t i = 0; i < real.size(); ++i) {
        between[i] = alpha * real[i] + (1 - alpha) * fake[i];
      }
      Row row(gan.critic, between);
      row.backward(gan.critic, {1.0});
      double square = 0;
      for (const double g : row.d_x) square += g * g;
      const double norm = std::sqrt(square);
      means.penalty += settings.penalty * share * (norm - 1) * (norm - 1);
      if (norm <= 1e-12) continue;
      Values v = row.d_x;
      for (double& value : v) value *= 2 * settings.penalty * share * (1 - 1 / norm);
      row.add_penalty_gradients(gan.critic, v, sums);
    }
    update(gan.critic, sums, settings.critic_optimizer);
  }
  return means;
}

}  // namespace ganmm::reference
