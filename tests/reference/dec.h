// Steps of an autoencoder and of DEC in double precision, rows one by one. Both follow
// ganmm/autoencoder.h and ganmm/dec.h; which rows make a batch is the caller's.
#pragma once

#include "tests/reference/mlp_step.h"
#include "tests/reference/student.h"

namespace ganmm::reference {

// Chain of dense layers, ReLU on all but the last, from weights and biases as ganmm::Encoder has
// them.
inline Chain relu_chain(const std::vector<std::vector<float>>& tensors) {
  Chain chain;
  for (std::size_t i = 0; i < tensors.size(); i += 2) {
    const auto out = static_cast<Index>(tensors[i + 1].size());
    DenseLayer layer{static_cast<Index>(tensors[i].size()) / out, out, {}, {}, {}};
    if (i + 2 < tensors.size()) layer.activation.kind = kernels::ActivationKind::relu;
    for (const float w : tensors[i]) layer.weight.push_back({static_cast<double>(w)});
    for (const float b : tensors[i + 1]) layer.bias.push_back({static_cast<double>(b)});
    chain.push_back(layer);
  }
  return chain;
}

struct Coders {
  Chain encoder, decoder;
};

// One step on these rows. Returns the mean squared distance to their reconstructions before it.
inline double autoencoder_step(Coders& coders, const std::vector<Values>& rows,
                               const OptimizerSettings& settings) {
  Gradients of_encoder = no_gradients(coders.encoder), of_decoder = no_gradients(coders.decoder);
  const double share = 1.0 / static_cast<double>(rows.size());
  double loss = 0;
  for (const Values& x : rows) {
    Row code(coders.encoder, x), again(coders.decoder, code.y.back());
    Values d = again.y.back();
    for (std::size_t i = 0; i < d.size(); ++i) {
      d[i] -= x[i];
      loss += share * d[i] * d[i];
      d[i] *= 2 * share;
    }
    again.backward(coders.decoder, d);
    again.add_gradients(coders.decoder, of_decoder);
    code.backward(coders.encoder, again.d_x);
    code.add_gradients(coders.encoder, of_encoder);
  }
  update(coders.encoder, of_encoder, settings);
  update(coders.decoder, of_decoder, settings);
  return loss;
}

struct DecState {
  Chain encoder;
  std::vector<Parameter> centre;  // [k][codes]
  Index clusters = 0;
  Chain decoder = {};         // with reconstruction
  double reconstruction = 0;  // what a row's squared distance from its own counts

  Values centres() const {
    Values values;
    for (const Parameter& c : centre) values.push_back(c.value);
    return values;
  }
  Values encode(const std::vector<Values>& rows) const {
    Values codes;
    for (const Values& x : rows) {
      const Values z = Row(encoder, x).y.back();
      codes.insert(codes.end(), z.begin(), z.end());
    }
    return codes;
  }
  Index codes() const { return static_cast<Index>(centre.size()) / clusters; }
  Values assign(const std::vector<Values>& rows) const {
    return student_assign(encode(rows), centres(), clusters, codes());
  }
};

// P of the whole data set.
inline Values dec_target(const DecState& state, const std::vector<Values>& rows) {
  const Values q = state.assign(rows);
  return student_target(q, student_frequency(q, state.clusters));
}

// One step on the rows of these numbers; target [n][k] as dec_target gives it.
inline void dec_step(DecState& state, const std::vector<Values>& rows, const Values& target,
                     const std::vector<std::int32_t>& batch, const OptimizerSettings& settings) {
  std::vector<Values> own;
  Values p;
  for (const std::int32_t row : batch) {
    own.push_back(rows[at(row)]);
    const auto begin = target.begin() + row * state.clusters;
    p.insert(p.end(), begin, begin + state.clusters);
  }
  const StudentGradient d =
      student_gradient(state.encode(own), state.centres(), p, state.clusters, state.codes());
  const double share = 1.0 / static_cast<double>(batch.size());
  Gradients sums = no_gradients(state.encoder), of_decoder = no_gradients(state.decoder);
  for (std::size_t b = 0; b < own.size(); ++b) {
    Row code(state.encoder, own[b]);
    Values d_z;
    for (Index i = 0; i < state.codes(); ++i) {
      d_z.push_back(share * d.code.value[b * at(state.codes()) + at(i)]);
    }
    if (state.reconstruction > 0) {
      Row again(state.decoder, code.y.back());
      Values d_x = again.y.back();
      for (std::size_t i = 0; i < d_x.size(); ++i) {
        d_x[i] = 2 * state.reconstruction * share * (d_x[i] - own[b][i]);
      }
      again.backward(state.decoder, d_x);
      again.add_gradients(state.decoder, of_decoder);
      for (std::size_t i = 0; i < d_z.size(); ++i) d_z[i] += again.d_x[i];
    }
    code.backward(state.encoder, d_z);
    code.add_gradients(state.encoder, sums);
  }
  update(state.encoder, sums, settings);
  if (state.reconstruction > 0) update(state.decoder, of_decoder, settings);
  for (std::size_t i = 0; i < state.centre.size(); ++i) {
    state.centre[i].update(share * d.centre.value[i], settings);
  }
}

}  // namespace ganmm::reference
