// Batch and layer normalisation, set by set.
#pragma once

#include "kernels/norm.h"
#include "tests/reference/values.h"

#include <cmath>

namespace ganmm::reference {

using kernels::NormKind;
using kernels::NormSettings;

struct NormShape {
  Index groups, batch, positions, channels;

  Index count() const { return groups * batch * positions * channels; }
  Index channel(Index i) const { return i % channels; }
  Index group(Index i) const { return i / (batch * positions * channels); }
  Index parameter(Index i) const { return group(i) * channels + channel(i); }  // into [N][C]
};

// The element numbers of every set, in the order [group][statistics batch][channel] or
// [group][item].
inline std::vector<std::vector<Index>> norm_sets(const NormSettings& settings,
                                                 const NormShape& shape) {
  const bool layer = settings.kind == NormKind::layer;
  const Index stat_batches = layer ? shape.batch : shape.batch / settings.stat_batch;
  const Index per_batch = layer ? 1 : shape.channels;
  std::vector<std::vector<Index>> sets(at(shape.groups * stat_batches * per_batch));
  for (Index i = 0; i < shape.count(); ++i) {
    const Index item = i / (shape.positions * shape.channels) % shape.batch;
    const Index stat_batch = layer ? item : item / settings.stat_batch;
    const Index set =
        (shape.group(i) * stat_batches + stat_batch) * per_batch + (layer ? 0 : shape.channel(i));
    sets[at(set)].push_back(i);
  }
  return sets;
}

struct NormForward {
  Values z, xhat;
  Values mean, inv_sigma;    // per set
  Values scale;              // of z: what its rounding errors are relative to
  Values inv_sigma_of;       // per element
  Values mean_magnitude_of;  // mean of |x| over its set, per element
};

inline NormForward norm_forward(const NormSettings& settings, const NormShape& shape,
                                const Values& x, const Values& gamma, const Values& beta) {
  NormForward out;
  for (Values* v : {&out.z, &out.xhat, &out.scale, &out.inv_sigma_of, &out.mean_magnitude_of}) {
    *v = zeros(shape.count());
  }
  for (const auto& set : norm_sets(settings, shape)) {
    const auto m = static_cast<double>(set.size());
    double mean = 0, magnitude = 0, variance = 0;
    for (const Index i : set) {
      mean += x[at(i)] / m;
      magnitude += std::abs(x[at(i)]) / m;
    }
    for (const Index i : set) variance += (x[at(i)] - mean) * (x[at(i)] - mean) / m;
    const double sigma = std::sqrt(variance + settings.epsilon);
    out.mean.push_back(mean);
    out.inv_sigma.push_back(1 / sigma);
    for (const Index i : set) {
      const double g = gamma[at(shape.parameter(i))];
      const double b = beta[at(shape.parameter(i))];
      out.xhat[at(i)] = (x[at(i)] - mean) / sigma;
      out.z[at(i)] = g * out.xhat[at(i)] + b;
      out.scale[at(i)] = std::abs(g) * (std::abs(x[at(i)]) + magnitude) / sigma + std::abs(b);
      out.inv_sigma_of[at(i)] = 1 / sigma;
      out.mean_magnitude_of[at(i)] = magnitude;
    }
  }
  return out;
}

// P q = q - mean(q) - xhat mean(xhat q) over every set, with the sum of absolute terms.
inline Sums project(const NormSettings& settings, const NormShape& shape, const Values& xhat,
                    const Values& q) {
  Sums out(shape.count());
  for (const auto& set : norm_sets(settings, shape)) {
    const auto m = static_cast<double>(set.size());
    double mean = 0, mean_xhat = 0, magnitude = 0, magnitude_xhat = 0;
    for (const Index i : set) {
      mean += q[at(i)] / m;
      mean_xhat += xhat[at(i)] * q[at(i)] / m;
      magnitude += std::abs(q[at(i)]) / m;
      magnitude_xhat += std::abs(xhat[at(i)] * q[at(i)]) / m;
    }
    for (const Index i : set) {
      out.value[at(i)] = q[at(i)] - mean - xhat[at(i)] * mean_xhat;
      out.scale[at(i)] = std::abs(q[at(i)]) + magnitude + std::abs(xhat[at(i)]) * magnitude_xhat;
    }
  }
  return out;
}

inline Values times_gamma(const NormShape& shape, const Values& gamma, Values q) {
  for (Index i = 0; i < shape.count(); ++i) q[at(i)] *= gamma[at(shape.parameter(i))];
  return q;
}

inline Sums norm_backward_data(const NormSettings& settings, const NormShape& shape,
                               const NormForward& forward, const Values& gamma, const Values& d_z) {
  Sums out = project(settings, shape, forward.xhat, times_gamma(shape, gamma, d_z));
  for (std::size_t i = 0; i < out.value.size(); ++i) {
    out.value[i] *= forward.inv_sigma_of[i];
    out.scale[i] *= forward.inv_sigma_of[i];
  }
  return out;
}

inline Sums norm_tangent(const NormSettings& settings, const NormShape& shape,
                         const NormForward& forward, const Values& gamma, const Values& t_x) {
  Sums out = project(settings, shape, forward.xhat, t_x);
  for (Index i = 0; i < shape.count(); ++i) {
    const double factor = gamma[at(shape.parameter(i))] * forward.inv_sigma_of[at(i)];
    out.value[at(i)] *= factor;
    out.scale[at(i)] *= std::abs(factor);
  }
  return out;
}

struct NormParams {
  Sums gamma, beta;
};

inline NormParams norm_backward_params(const NormShape& shape, const NormForward& forward,
                                       const Values& d_z) {
  NormParams out{Sums(shape.groups * shape.channels), Sums(shape.groups * shape.channels)};
  for (Index i = 0; i < shape.count(); ++i) {
    out.gamma.add(shape.parameter(i), d_z[at(i)] * forward.xhat[at(i)]);
    out.beta.add(shape.parameter(i), d_z[at(i)]);
  }
  return out;
}

// sum over all sets of phi / sigma, phi = sum of t_x * P(gamma u): what norm_penalty
// differentiates. Everything that depends on x is recomputed from x.
inline double norm_penalty_potential(const NormSettings& settings, const NormShape& shape,
                                     const Values& x, const Values& gamma, const Values& u,
                                     const Values& t_x) {
  const Values beta = zeros(shape.groups * shape.channels);
  const NormForward forward = norm_forward(settings, shape, x, gamma, beta);
  const Values signal = norm_backward_data(settings, shape, forward, gamma, u).value;
  double sum = 0;
  for (std::size_t i = 0; i < signal.size(); ++i) sum += t_x[i] * signal[i];
  return sum;
}

struct NormPenalty {
  Sums r_x, d_gamma, d_beta;
};

// The closed form of the header.
inline NormPenalty norm_penalty(const NormSettings& settings, const NormShape& shape,
                                const NormForward& forward, const Values& gamma, const Values& r_z,
                                const Values& u, const Values& t_x) {
  NormPenalty out{norm_backward_data(settings, shape, forward, gamma, r_z),
                  Sums(shape.groups * shape.channels), Sums(shape.groups * shape.channels)};
  const Values signal = times_gamma(shape, gamma, u);
  const Sums p_signal = project(settings, shape, forward.xhat, signal);
  const Sums p_t = project(settings, shape, forward.xhat, t_x);
  for (const auto& set : norm_sets(settings, shape)) {
    double sums[3] = {}, scales[3] = {};
    for (const Index i : set) {
      const double xhat = forward.xhat[at(i)];
      sums[0] += t_x[at(i)] * p_signal.value[at(i)];
      sums[1] += signal[at(i)] * xhat;
      sums[2] += t_x[at(i)] * xhat;
      scales[0] += std::abs(t_x[at(i)]) * p_signal.scale[at(i)];
      scales[1] += std::abs(signal[at(i)] * xhat);
      scales[2] += std::abs(t_x[at(i)] * xhat);
    }
    for (const Index i : set) {
      const double inv = forward.inv_sigma_of[at(i)];
      const double factor = inv * inv / static_cast<double>(set.size());
      const double xhat = forward.xhat[at(i)];
      out.r_x.value[at(i)] -=
          factor * (sums[0] * xhat + sums[1] * p_t.value[at(i)] + sums[2] * p_signal.value[at(i)]);
      out.r_x.scale[at(i)] += factor * (scales[0] * std::abs(xhat) + scales[1] * p_t.scale[at(i)] +
                                        scales[2] * p_signal.scale[at(i)]);
    }
  }
  for (Index i = 0; i < shape.count(); ++i) {
    const Index c = shape.parameter(i);
    const double inv = forward.inv_sigma_of[at(i)];
    out.d_gamma.value[at(c)] +=
        u[at(i)] * p_t.value[at(i)] * inv + r_z[at(i)] * forward.xhat[at(i)];
    out.d_gamma.scale[at(c)] +=
        std::abs(u[at(i)]) * p_t.scale[at(i)] * inv + std::abs(r_z[at(i)] * forward.xhat[at(i)]);
    out.d_beta.add(c, r_z[at(i)]);
  }
  return out;
}

}  // namespace ganmm::reference
