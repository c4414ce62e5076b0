#include "kernels/norm.h"

#include "kernels/backend.h"
#include "kernels/cpu/rows.h"

#include <algorithm>
#include <cmath>

namespace ganmm::kernels::cpu {

namespace {

constexpr Index kLanes = 64;  // channels that are handled at once
constexpr Index kItems = 64;  // items whose sums wait for the parameter gradients

// All sums are taken in double. Those over channels run through sum_terms, those per channel add
// the rows in order into one accumulator per channel.

// target (=|+=) sum
template <class T>
void store(T* target, const double* sum, Index width, Write write) {
  for (Index c = 0; c < width; ++c) {
    const double before = write == Write::accumulate ? static_cast<double>(target[c]) : 0.0;
    target[c] = static_cast<T>(before + sum[c]);
  }
}

// ---- batch norm: one chunk of channels of one statistics batch at a time ------------------------

// A chunk of neighbouring channels in the items [first, first + count) of a group.
struct Chunk {
  Index group, first, count;
  Index channel, width;
  Index channels, positions;
};

// f(chunk, offset of the chunk's statistics) for every statistics batch and chunk of channels.
template <class T, class F>
void for_each_chunk(const GroupView<T>& x, const NormSettings& settings, F f) {
  const Index channels = x.item.back();
  if (x.batch == 0 || x.features() == 0) return;
  const Index positions = x.features() / channels;
  for (Index g = 0; g < x.groups; ++g) {
    for (Index first = 0; first < x.batch; first += settings.stat_batch) {
      const Index statistics = first / settings.stat_batch * channels;
      for (Index c = 0; c < channels; c += kLanes) {
        const Index width = std::min(kLanes, channels - c);
        f(Chunk{g, first, settings.stat_batch, c, width, channels, positions}, statistics + c);
      }
    }
  }
}

// f(pointer into each view) for every row of the chunk, `width` neighbouring channels long.
template <class F, class... Views>
void for_each_row(const Chunk& chunk, F f, const Views&... views) {
  for (Index b = chunk.first; b < chunk.first + chunk.count; ++b) {
    for (Index p = 0; p < chunk.positions; ++p) {
      f((views.row(chunk.group, b) + p * chunk.channels + chunk.channel)...);
    }
  }
}

// y = scale_c (v - m1_c - xhat m2_c) with m1 = mean v, m2 = mean(xhat v), scale = gamma / sigma:
// the backward pass and the tangent in one, since gamma is constant over a set.
template <class T>
void batch_project(GroupView<T> y, GroupView<const T> v, GroupView<const T> x,
                   ParamView<const T> mean, ParamView<const T> inv_sigma, ParamView<const T> gamma,
                   const NormSettings& settings) {
  for_each_chunk(x, settings, [&](const Chunk& chunk, Index statistics) {
    const T* mu = mean.group(chunk.group) + statistics;
    const T* inv = inv_sigma.group(chunk.group) + statistics;
    const T* factor = gamma.group(chunk.group) + chunk.channel;
    double sum[kLanes] = {}, moment[kLanes] = {};
    for_each_row(
        chunk,
        [&](const T* q, const T* in) {
          for (Index c = 0; c < chunk.width; ++c) {
            sum[c] += static_cast<double>(q[c]);
            moment[c] += static_cast<double>(q[c] * ((in[c] - mu[c]) * inv[c]));
          }
        },
        v, x);
    const double m = static_cast<double>(chunk.count * chunk.positions);
    T scale[kLanes], m1[kLanes], m2[kLanes], centre[kLanes], inverse[kLanes];
    for (Index c = 0; c < chunk.width; ++c) {
      scale[c] = factor[c] * inv[c];
      m1[c] = static_cast<T>(sum[c] / m);
      m2[c] = static_cast<T>(moment[c] / m);
      centre[c] = mu[c];
      inverse[c] = inv[c];
    }
    for_each_row(
        chunk,
        [&](T* out, const T* q, const T* in) {
#pragma GCC ivdep  // out may be q itself, and then element c depends on element c alone
          for (Index c = 0; c < chunk.width; ++c) {
            out[c] = scale[c] * (q[c] - m1[c] - (in[c] - centre[c]) * inverse[c] * m2[c]);
          }
        },
        y, v, x);
  });
}

template <class T>
void batch_forward(GroupView<T> z, ParamView<T> mean, ParamView<T> inv_sigma, GroupView<const T> x,
                   ParamView<const T> gamma, ParamView<const T> beta,
                   const NormSettings& settings) {
  for_each_chunk(x, settings, [&](const Chunk& chunk, Index statistics) {
    T* mu = mean.group(chunk.group) + statistics;
    T* inv = inv_sigma.group(chunk.group) + statistics;
    const double m = static_cast<double>(chunk.count * chunk.positions);
    double centre[kLanes] = {}, square[kLanes] = {};
    for_each_row(
        chunk,
        [&](const T* in) {
          for (Index c = 0; c < chunk.width; ++c) centre[c] += static_cast<double>(in[c]);
        },
        x);
    for (Index c = 0; c < chunk.width; ++c) centre[c] /= m;
    for_each_row(
        chunk,
        [&](const T* in) {
          for (Index c = 0; c < chunk.width; ++c) {
            const double d = static_cast<double>(in[c]) - centre[c];
            square[c] += d * d;
          }
        },
        x);
    T low[kLanes], scale[kLanes], shift[kLanes];
    for (Index c = 0; c < chunk.width; ++c) {
      mu[c] = static_cast<T>(centre[c]);
      inv[c] = static_cast<T>(1.0 / std::sqrt(square[c] / m + settings.epsilon));
      low[c] = mu[c];
      scale[c] = gamma.group(chunk.group)[chunk.channel + c] * inv[c];
      shift[c] = beta.group(chunk.group)[chunk.channel + c];
    }
    for_each_row(
        chunk,
        [&](T* out, const T* in) {
#pragma GCC ivdep  // out may be in itself, and then element c depends on element c alone
          for (Index c = 0; c < chunk.width; ++c) out[c] = (in[c] - low[c]) * scale[c] + shift[c];
        },
        z, x);
  });
}

// ---- layer norm: one item at a time -------------------------------------------------------------

// One item: `positions` rows of `channels` elements, all of them one set.
struct Item {
  Index channels, positions;

  double size() const { return static_cast<double>(channels * positions); }
};

template <class T>
Item item_of(const GroupView<T>& x) {
  return {x.item.back(), x.item.back() > 0 ? x.features() / x.item.back() : 0};
}

// xhat of an item.
template <class T>
struct Normalised {
  const T* x;
  T mean, inv_sigma;
  T operator()(Index i) const { return (x[i] - mean) * inv_sigma; }
};

// sum over the item of term(i, c), i the element and c its channel.
template <class Term>
double sum_item(const Item& item, Term term) {
  double sum = 0;
  for (Index p = 0; p < item.positions; ++p) {
    const Index at = p * item.channels;
    sum += sum_terms(item.channels, [&](Index c) { return term(at + c, c); });
  }
  return sum;
}

// f(i, c) for every element i of the item and its channel c; no iteration may need another.
template <class F>
void for_each_element(const Item& item, F f) {
  for (Index p = 0; p < item.positions; ++p) {
    const Index at = p * item.channels;
#pragma GCC ivdep
    for (Index c = 0; c < item.channels; ++c) f(at + c, c);
  }
}

// mean(q) and mean(xhat q) of an item: with them P q = q - mean - xhat moment.
template <class T>
struct Projection {
  T mean, moment;
  T operator()(T q, T xhat) const { return q - mean - xhat * moment; }
};

template <class T, class Q>
Projection<T> projection(const Item& item, Q q, const Normalised<T>& xhat) {
  const double sum = sum_item(item, q);
  const double moment = sum_item(item, [&](Index i, Index c) { return q(i, c) * xhat(i); });
  return {static_cast<T>(sum / item.size()), static_cast<T>(moment / item.size())};
}

template <class T>
void layer_forward(GroupView<T> z, ParamView<T> mean, ParamView<T> inv_sigma, GroupView<const T> x,
                   ParamView<const T> gamma, ParamView<const T> beta,
                   const NormSettings& settings) {
  const Item item = item_of(x);
  if (item.positions == 0) return;
  for (Index g = 0; g < x.groups; ++g) {
    const T* scale = gamma.group(g);
    const T* shift = beta.group(g);
    for (Index b = 0; b < x.batch; ++b) {
      const T* in = x.row(g, b);
      T* out = z.row(g, b);
      const Index count = x.features();
      const double centre = sum_terms(count, [&](Index i) { return in[i]; }) / item.size();
      const double square = sum_terms(count, [&](Index i) {
        const double d = static_cast<double>(in[i]) - centre;
        return d * d;
      });
      const T mu = static_cast<T>(centre);
      const T inv = static_cast<T>(1.0 / std::sqrt(square / item.size() + settings.epsilon));
      mean.group(g)[b] = mu;
      inv_sigma.group(g)[b] = inv;
      for_each_element(
          item, [&](Index i, Index c) { out[i] = (in[i] - mu) * inv * scale[c] + shift[c]; });
    }
  }
}

// r_x of one item; returns the projection of its tangent. `seed` (r_z) may be null.
template <class T>
Projection<T> penalty_signal(T* r_x, const T* seed, const T* signal, const T* tangent,
                             const T* gamma, const Normalised<T>& xhat, const Item& item) {
  const auto gamma_u = [&](Index i, Index c) { return gamma[c] * signal[i]; };
  const auto t = [&](Index i, Index) { return tangent[i]; };
  const Projection<T> project_u = projection(item, gamma_u, xhat);
  const Projection<T> project_t = projection(item, t, xhat);
  const double phi = sum_item(
      item, [&](Index i, Index c) { return tangent[i] * project_u(gamma_u(i, c), xhat(i)); });
  // The header's sums divided by m: two of them are the moments of the projections.
  const T inv = xhat.inv_sigma;
  const T by_xhat = inv * inv * static_cast<T>(phi / item.size());
  const T by_t = inv * inv * project_u.moment, by_u = inv * inv * project_t.moment;
  for_each_element(item, [&](Index i, Index c) {
    const T h = xhat(i);
    r_x[i] = -(by_xhat * h + by_t * project_t(tangent[i], h) + by_u * project_u(gamma_u(i, c), h));
  });
  if (seed != nullptr) {
    const auto gamma_r = [&](Index i, Index c) { return gamma[c] * seed[i]; };
    const Projection<T> project_r = projection(item, gamma_r, xhat);
    for_each_element(item,
                     [&](Index i, Index c) { r_x[i] += inv * project_r(gamma_r(i, c), xhat(i)); });
  }
  return project_t;
}

}  // namespace

template <class T>
void norm_forward(Context&, GroupView<T> z, ParamView<T> mean, ParamView<T> inv_sigma,
                  GroupView<const T> x, ParamView<const T> gamma, ParamView<const T> beta,
                  const NormSettings& settings) {
  if (settings.kind == NormKind::batch) {
    batch_forward(z, mean, inv_sigma, x, gamma, beta, settings);
  } else {
    layer_forward(z, mean, inv_sigma, x, gamma, beta, settings);
  }
}

template <class T>
void norm_backward_data(Context&, GroupView<T> d_x, GroupView<const T> d_z, GroupView<const T> x,
                        ParamView<const T> mean, ParamView<const T> inv_sigma,
                        ParamView<const T> gamma, const NormSettings& settings) {
  if (settings.kind == NormKind::batch) {
    return batch_project(d_x, d_z, x, mean, inv_sigma, gamma, settings);
  }
  const Item item = item_of(x);
  for (Index g = 0; g < x.groups; ++g) {
    const T* factor = gamma.group(g);
    for (Index b = 0; b < x.batch; ++b) {
      const T* signal = d_z.row(g, b);
      T* out = d_x.row(g, b);
      const T inv = inv_sigma.group(g)[b];
      const Normalised<T> xhat{x.row(g, b), mean.group(g)[b], inv};
      const auto q = [&](Index i, Index c) { return factor[c] * signal[i]; };
      const Projection<T> project = projection(item, q, xhat);
      for_each_element(item, [&](Index i, Index c) { out[i] = inv * project(q(i, c), xhat(i)); });
    }
  }
}

template <class T>
void norm_backward_params(Context&, ParamView<T> d_gamma, ParamView<T> d_beta,
                          GroupView<const T> d_z, GroupView<const T> x, ParamView<const T> mean,
                          ParamView<const T> inv_sigma, const NormSettings& settings, Write write) {
  const Index channels = x.item.back();
  if (channels == 0) return;
  const Index positions = x.features() / channels;
  const bool per_item = settings.kind == NormKind::layer;
  for (Index g = 0; g < x.groups; ++g) {
    for (Index first = 0; first < channels; first += kLanes) {
      const Index width = std::min(kLanes, channels - first);
      double scale_sum[kLanes] = {}, shift_sum[kLanes] = {};
      T mu[kLanes], inv[kLanes];
      for (Index b = 0; b < x.batch; ++b) {
        const Index set = per_item ? b : b / settings.stat_batch * channels + first;
        for (Index c = 0; c < width; ++c) {
          mu[c] = mean.group(g)[set + (per_item ? 0 : c)];
          inv[c] = inv_sigma.group(g)[set + (per_item ? 0 : c)];
        }
        for (Index p = 0; p < positions; ++p) {
          const T* signal = d_z.row(g, b) + p * channels + first;
          const T* in = x.row(g, b) + p * channels + first;
          for (Index c = 0; c < width; ++c) {
            scale_sum[c] += static_cast<double>(signal[c] * ((in[c] - mu[c]) * inv[c]));
            shift_sum[c] += static_cast<double>(signal[c]);
          }
        }
      }
      store(d_gamma.group(g) + first, scale_sum, width, write);
      store(d_beta.group(g) + first, shift_sum, width, write);
    }
  }
}

template <class T>
void norm_tangent(Context&, GroupView<T> t_z, GroupView<const T> t_x, GroupView<const T> x,
                  ParamView<const T> mean, ParamView<const T> inv_sigma, ParamView<const T> gamma,
                  const NormSettings& settings) {
  if (settings.kind == NormKind::batch) {
    return batch_project(t_z, t_x, x, mean, inv_sigma, gamma, settings);
  }
  const Item item = item_of(x);
  for (Index g = 0; g < x.groups; ++g) {
    const T* factor = gamma.group(g);
    for (Index b = 0; b < x.batch; ++b) {
      const T* tangent = t_x.row(g, b);
      T* out = t_z.row(g, b);
      const T inv = inv_sigma.group(g)[b];
      const Normalised<T> xhat{x.row(g, b), mean.group(g)[b], inv};
      const auto q = [&](Index i, Index) { return tangent[i]; };
      const Projection<T> project = projection(item, q, xhat);
      for_each_element(
          item, [&](Index i, Index c) { out[i] = factor[c] * inv * project(tangent[i], xhat(i)); });
    }
  }
}

template <class T>
void norm_penalty(Context&, GroupView<T> r_x, ParamView<T> d_gamma, ParamView<T> d_beta,
                  GroupView<const T> r_z, GroupView<const T> u, GroupView<const T> t_x,
                  GroupView<const T> x, ParamView<const T> mean, ParamView<const T> inv_sigma,
                  ParamView<const T> gamma, const NormSettings&) {
  const Item item = item_of(x);
  for (Index g = 0; g < x.groups; ++g) {
    // The projection of an item serves r_x at once and the gradient of gamma, which is per channel,
    // when a block of items is done.
    for (Index first = 0; first < x.batch; first += kItems) {
      const Index count = std::min(kItems, x.batch - first);
      Normalised<T> xhat[kItems];
      Projection<T> project_t[kItems];
      for (Index k = 0; k < count; ++k) {
        const Index b = first + k;
        xhat[k] = {x.row(g, b), mean.group(g)[b], inv_sigma.group(g)[b]};
        const T* seed = r_z.data != nullptr ? r_z.row(g, b) : nullptr;
        project_t[k] = penalty_signal(r_x.row(g, b), seed, u.row(g, b), t_x.row(g, b),
                                      gamma.group(g), xhat[k], item);
      }
      for (Index c0 = 0; c0 < item.channels; c0 += kLanes) {
        const Index width = std::min(kLanes, item.channels - c0);
        double scale_sum[kLanes] = {}, shift_sum[kLanes] = {};
        for (Index k = 0; k < count; ++k) {
          for (Index p = 0; p < item.positions; ++p) {
            const Index at = p * item.channels + c0;
            const T* signal = u.row(g, first + k);
            const T* tangent = t_x.row(g, first + k);
            const T inv = xhat[k].inv_sigma;
            for (Index c = 0; c < width; ++c) {
              const T projected = project_t[k](tangent[at + c], xhat[k](at + c));
              scale_sum[c] += static_cast<double>(signal[at + c] * projected * inv);
            }
            if (r_z.data == nullptr) continue;
            const T* seed = r_z.row(g, first + k);
            for (Index c = 0; c < width; ++c) {
              scale_sum[c] += static_cast<double>(seed[at + c] * xhat[k](at + c));
              shift_sum[c] += static_cast<double>(seed[at + c]);
            }
          }
        }
        store(d_gamma.group(g) + c0, scale_sum, width, Write::accumulate);
        store(d_beta.group(g) + c0, shift_sum, width, Write::accumulate);
      }
    }
  }
}

template void norm_forward<float>(Context&, GroupView<float>, ParamView<float>, ParamView<float>,
                                  GroupView<const float>, ParamView<const float>,
                                  ParamView<const float>, const NormSettings&);
template void norm_forward<double>(Context&, GroupView<double>, ParamView<double>,
                                   ParamView<double>, GroupView<const double>,
                                   ParamView<const double>, ParamView<const double>,
                                   const NormSettings&);
template void norm_backward_data<float>(Context&, GroupView<float>, GroupView<const float>,
                                        GroupView<const float>, ParamView<const float>,
                                        ParamView<const float>, ParamView<const float>,
                                        const NormSettings&);
template void norm_backward_data<double>(Context&, GroupView<double>, GroupView<const double>,
                                         GroupView<const double>, ParamView<const double>,
                                         ParamView<const double>, ParamView<const double>,
                                         const NormSettings&);
template void norm_backward_params<float>(Context&, ParamView<float>, ParamView<float>,
                                          GroupView<const float>, GroupView<const float>,
                                          ParamView<const float>, ParamView<const float>,
                                          const NormSettings&, Write);
template void norm_backward_params<double>(Context&, ParamView<double>, ParamView<double>,
                                           GroupView<const double>, GroupView<const double>,
                                           ParamView<const double>, ParamView<const double>,
                                           const NormSettings&, Write);
template void norm_tangent<float>(Context&, GroupView<float>, GroupView<const float>,
                                  GroupView<const float>, ParamView<const float>,
                                  ParamView<const float>, ParamView<const float>,
                                  const NormSettings&);
template void norm_tangent<double>(Context&, GroupView<double>, GroupView<const double>,
                                   GroupView<const double>, ParamView<const double>,
                                   ParamView<const double>, ParamView<const double>,
                                   const NormSettings&);
template void norm_penalty<float>(Context&, GroupView<float>, ParamView<float>, ParamView<float>,
                                  GroupView<const float>, GroupView<const float>,
                                  GroupView<const float>, GroupView<const float>,
                                  ParamView<const float>, ParamView<const float>,
                                  ParamView<const float>, const NormSettings&);
template void norm_penalty<double>(Context&, GroupView<double>, ParamView<double>,
                                   ParamView<double>, GroupView<const double>,
                                   GroupView<const double>, GroupView<const double>,
                                   GroupView<const double>, ParamView<const double>,
                                   ParamView<const double>, ParamView<const double>,
                                   const NormSettings&);

}  // namespace ganmm::kernels::cpu
