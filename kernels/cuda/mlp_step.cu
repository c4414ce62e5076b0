// mlp_step: M-steps of small GANs in one launch, formulas in kernels/mlp_step.h and
// nn/gradient_penalty.h.
//
// One block per GAN, for all M-steps of the call. Weights, activations and, where they fit, the
// optimiser's state stay in shared memory; rows of data are gathered from global memory and noise
// is drawn in place. A generator step takes 7 phases with a barrier after each, the samples 3 per
// chunk of rows, a critic step 5:
//
//   join        X = [real; fake; x], rows of the critic's input
//   forward     a = phi(X V + c), and at once the signal u = phi'(a) v2 seed of every row
//   gradient    g = u V^T of the interpolates x, over their rows in X
//   tangent     |g|; the tangent t = s phi'(a) (g V) over a, and u *= s, where s g is v, the
//               direction of the penalty: (s g) (x) u = g (x) (s u)
//   update      V from X^T u, c from the column sums of u, v2 from those of a (and t): the
//   optimiser
//               works on the sums while they are in registers
//
// The output's bias shifts all scores alike, so its gradient is taken as exactly 0.
//
// Bound by latency and barriers in the critic's phases, which are too small for a block, and by
// multiply-adds and random numbers in the generator's. Other blocks are needed to fill a device:
// GANs of several mixtures run side by side.
#include "kernels/backend.h"
#include "kernels/cuda/block_product.h"
#include "kernels/cuda/launch.h"

#include <algorithm>
#include <limits>

namespace ganmm::kernels::cuda {

namespace {

using device::block_size_x;
using device::sync_threads;
using device::thread_index_x;

// Enough warps to hide the latency of shared memory, with 128 registers for each thread.
constexpr int kMaxThreads = 512;
constexpr float kNormFloor = 1e-12f;  // below it a gradient has no direction

// The tensors of a network with one hidden layer.
enum Tensor { kWeight, kBias, kOutWeight, kOutBias, kTensors };

struct Matrix {
  int rows, cols;
  int stride;  // in shared memory
  int at;      // in the shared parameters
};

// The optimiser, its factors rounded once as in kernels/cpu/optim.cpp.
struct Update {
  OptimizerKind kind;
  float keep1, fresh1, keep2, fresh2;  // shares of the old and the new in the moments
  float epsilon, limit;                // the limit is infinite without clipping
  double learning_rate, beta1, beta2;
  int settled;  // from this update on Adam's bias corrections are exactly 1
};

struct Net {
  Width in, hidden, out;
  float slope;  // of the hidden activation below zero; 1 above
  Matrix tensor[kTensors];
  Index offset[kTensors];  // of the call's first group in the slabs
  float *value, *state1, *state2;
  BFloat16* rounded;
  std::int32_t* step;  // of the call's first group
  Update update;
};

// Where things lie in shared memory, in floats. The work area holds, one after the other, the
// generator step's z, h, critic activations and signals; z and h of a chunk of samples; a and u of
// a critic step.
struct Layout {
  int state1, state2;  // resident optimiser state, laid out as the parameters
  int real, fake, alpha, joined, work, rows, scores, rates;
  int floats;
  int item_stride, noise_stride, generator_stride, critic_stride;
  Width item_packs;  // packs in an item's stride
  int chunk;         // rows of samples that are made at once
};

struct Step {
  Net generator, critic;
  Layout at;
  int parameters;  // floats of the shared parameters
  int batch, critic_steps, steps;
  bool with_penalty;
  float penalty;
  Rows<const float> data;
  const std::int32_t* row;
  Index row_group_stride, row_step_stride;
  MlpStepLosses losses;
  RandomKey key;
};

// The factors of an update that depend on its number.
struct Rates {
  float rate, root_scale;
};

GANMM_DEVICE double power(double base, int exponent) {
  double result = 1;
  for (; exponent > 0; exponent /= 2, base *= base) {
    if (exponent % 2 != 0) result *= base;
  }
  return result;
}

GANMM_DEVICE Rates rates_of(const Update& s, int step) {
  if (step >= s.settled) return {static_cast<float>(s.learning_rate), 1.0f};
  return {static_cast<float>(s.learning_rate / (1.0 - power(s.beta1, step))),
          static_cast<float>(1.0 / std::sqrt(1.0 - power(s.beta2, step)))};
}

// A network during the call: parameters in shared memory, state there or in global memory.
template <bool resident>
struct Weights {
  const Net& net;
  float* shared;
  float *state1, *state2;  // resident: as `shared`; else the slabs
  Index group;

  GANMM_DEVICE float* tensor(int t) const { return shared + net.tensor[t].at; }
  GANMM_DEVICE SharedMatrix matrix(int t) const { return {tensor(t), net.tensor[t].stride}; }

  GANMM_DEVICE void update(int t, int row, int col, float g, const Rates& rates) const {
    const Matrix& m = net.tensor[t];
    const int place = m.at + row * m.stride + col;
    const Index state =
        resident ? Index{place} : net.offset[t] + (group * m.rows + row) * m.cols + col;
    const Update& s = net.update;
    float next = shared[place];
    if (s.kind == OptimizerKind::adam) {
      const float first = s.keep1 * state1[state] + s.fresh1 * g;
      const float second = s.keep2 * state2[state] + s.fresh2 * g * g;
      state1[state] = first;
      state2[state] = second;
      next -= rates.rate * first / (std::sqrt(second) * rates.root_scale + s.epsilon);
    } else {
      const float square = s.keep2 * state1[state] + s.fresh2 * g * g;
      state1[state] = square;
      next -= rates.rate * g / std::sqrt(square + s.epsilon);
    }
    next = next < -s.limit ? -s.limit : next;
    next = next > s.limit ? s.limit : next;
    shared[place] = next;
  }
  // What block_product does with the gradients of a weight.
  GANMM_DEVICE auto updates(int t, Rates rates) const {
    return [=, this](int col) {
      return [=, this](int row, const auto& g) {
        for (int w = 0; w < static_cast<int>(sizeof(g) / sizeof(float)); ++w) {
          if (col + w < net.tensor[t].cols) update(t, row, col + w, g.value[w], rates);
        }
      };
    };
  }

  // Calls move(place in shared memory, place in a slab) for every parameter of this group.
  template <class Move>
  GANMM_DEVICE void for_each(Move move) const {
    for (int t = 0; t < kTensors; ++t) {
      const Matrix& m = net.tensor[t];
      const Index first = net.offset[t] + group * m.rows * m.cols;
      for (int i = thread_index_x(); i < m.rows * m.cols; i += block_size_x()) {
        const int row = i / m.cols;
        move(m.at + row * m.stride + i - row * m.cols, first + i);
      }
    }
  }
  GANMM_DEVICE void load() const {
    for_each([&](int place, Index i) {
      shared[place] = net.value[i];
      if (!resident) return;
      state1[place] = net.state1[i];
      if (net.update.kind == OptimizerKind::adam) state2[place] = net.state2[i];
    });
  }
  GANMM_DEVICE void save() const {
    for_each([&](int place, Index i) {
      net.value[i] = shared[place];
      if (net.rounded != nullptr) net.rounded[i] = static_cast<BFloat16>(shared[place]);
      if (!resident) return;
      net.state1[i] = state1[place];
      if (net.update.kind == OptimizerKind::adam) net.state2[i] = state2[place];
    });
  }
};

// Normals of rows [first, first + rows) of a stream of rows.
GANMM_DEVICE void draw_normals(float* z, int stride, int first, int rows, const Width& width,
                               std::uint64_t seed, Purpose purpose, std::uint32_t group,
                               std::uint32_t step) {
  const int cols = width.count, begin = first * cols, count = rows * cols;
  for (int quad = begin / 4 + thread_index_x(); 4 * quad < begin + count; quad += block_size_x()) {
    const Philox words = philox(seed, static_cast<std::uint32_t>(quad), group, step,
                                static_cast<std::uint32_t>(purpose));
    const NormalPair low = box_muller(words.word[0], words.word[1]);
    const NormalPair high = box_muller(words.word[2], words.word[3]);
    const Pack4 four{{low.first, low.second, high.first, high.second}};
    const int i = 4 * quad - begin;  // may begin before the rows and end after them
    int row = i > 0 ? quotient(i, width.share[1]) : 0, col = i - row * cols;
    if (col % 4 == 0 && col >= 0 && col + 4 <= cols) {
      pack_at(z + row * stride + col) = four;
      continue;
    }
    for (int n = 0; n < 4; ++n, ++col) {
      if (col == cols) {
        col = 0;
        ++row;
      }
      if (col >= 0 && row < rows) z[row * stride + col] = four.value[n];
    }
  }
}

// phi'(z) d, from z or from y = phi(z); phi(z) = phi'(z) z.
GANMM_DEVICE float slope_times(const Net& net, float y, float d) {
  return y > 0.0f ? d : net.slope * d;
}
// phi'(y) factor d, four at a time.
GANMM_DEVICE Pack4 slopes_times(const Net& net, const Pack4& y, float factor, const Pack4& d) {
  Pack4 result;
  for (int n = 0; n < 4; ++n) {
    result.value[n] = slope_times(net, y.value[n], factor * d.value[n]);
  }
  return result;
}

// What block_product does with results that are only stored.
GANMM_DEVICE auto packs_to(float* matrix, int stride) {
  return [=](int col) {
    return [=](int row, const Pack4& pack) { pack_at(matrix + row * stride + col) = pack; };
  };
}
GANMM_DEVICE auto numbers_to(float* matrix, int stride) {
  return [=](int col) {
    return [=](int row, const Pack<float, 1>& number) {
      matrix[row * stride + col] = number.value[0];
    };
  };
}

// The hidden layer y = phi(x W + b): calls prepare(col)(row, y of four columns).
template <int TM, int S, class Prepare>
GANMM_DEVICE void hidden_layer(const Net& net, const float* shared, int rows, SharedMatrix x,
                               Prepare prepare) {
  const Matrix& w = net.tensor[kWeight];
  const float* const bias = shared + net.tensor[kBias].at;
  block_product<Form::nn, TM, 4, S>(
      {rows, net.hidden, w.rows}, x, {shared + w.at, w.stride}, [&](int col) {
        return [&net, b = pack_at(bias + col), keep = prepare(col)](int row, const Pack4& z) {
          Pack4 y;
          for (int n = 0; n < 4; ++n) {
            const float sum = z.value[n] + b.value[n];
            y.value[n] = slope_times(net, sum, sum);
          }
          keep(row, y);
        };
      });
}

// The generator's samples x = h W + b.
GANMM_DEVICE void output_layer(const Net& net, const float* shared, int rows, SharedMatrix h,
                               float* x, int stride) {
  const Matrix& w = net.tensor[kOutWeight];
  const float* const bias = shared + net.tensor[kOutBias].at;
  block_product<Form::nn, 4, 4, 4>({rows, net.out, w.rows}, h, {shared + w.at, w.stride},
                                   [&](int col) {
                                     return [=, b = pack_at(bias + col)](int row, const Pack4& z) {
                                       Pack4 y;
                                       for (int n = 0; n < 4; ++n) {
                                         y.value[n] = z.value[n] + b.value[n];
                                       }
                                       pack_at(x + row * stride + col) = y;
                                     };
                                   });
}

// Calls done(mean of `values`), by the first warp.
template <class Done>
GANMM_DEVICE void mean_of(const float* values, int count, Done done) {
  if (thread_index_x() >= device::kWarpSize) return;
  float sum = 0;
  for (int i = thread_index_x(); i < count; i += device::kWarpSize) sum += values[i];
  for (int mask = 1; mask < device::kWarpSize; mask *= 2) sum += device::shuffle_xor(sum, mask);
  if (thread_index_x() == 0) done(sum / static_cast<float>(count));
}

// The critic's scores of rows with the hidden activations a.
GANMM_DEVICE void score_rows(const Net& critic, const float* shared, int rows, const float* a,
                             int stride, float* scores) {
  const float* const weight = shared + critic.tensor[kOutWeight].at;
  const float bias = shared[critic.tensor[kOutBias].at];
  block_sums(
      rows, critic.hidden.count, [&](int row, int j) { return a[row * stride + j] * weight[j]; },
      [&](int row, float sum) { scores[row] = sum + bias; });
}

template <bool resident>
struct Gan {
  const Step& s;
  Weights<resident> generator, critic;
  float* shared;
  int group;  // of the call
  std::uint32_t drawing_group, first_step;

  GANMM_DEVICE float* joined(int row) const {
    return shared + s.at.joined + row * s.at.item_stride;
  }
  GANMM_DEVICE SharedMatrix items(int row) const { return {joined(row), s.at.item_stride}; }
  GANMM_DEVICE float* scores() const { return shared + s.at.scores; }

  // By the last thread, which has the least to do. which: 0 generator, 1 critic.
  GANMM_DEVICE void set_rates(int which, const Net& net, int update) const {
    if (thread_index_x() != block_size_x() - 1) return;
    const Rates now = rates_of(net.update, update);
    shared[s.at.rates + 2 * which] = now.rate;
    shared[s.at.rates + 2 * which + 1] = now.root_scale;
  }
  GANMM_DEVICE Rates rates(int which) const {
    return {shared[s.at.rates + 2 * which], shared[s.at.rates + 2 * which + 1]};
  }

  // Real rows and interpolation weights of all critic steps.
  GANMM_DEVICE void fetch(int step) const {
    const int cols = s.critic.in.count, rows = s.critic_steps * s.batch;
    const std::int32_t* row = s.row + step * s.row_step_stride + group * s.row_group_stride;
    for (int i = thread_index_x(); i < rows * cols; i += block_size_x()) {
      const int b = quotient(i, s.critic.in.share[1]), col = i - b * cols;
      shared[s.at.real + b * s.at.item_stride + col] = at(s.data, 0, row[b], col);
    }
    if (!s.with_penalty) return;
    const int quads = (s.batch + 3) / 4;
    for (int i = thread_index_x(); i < s.critic_steps * quads; i += block_size_x()) {
      const int c = i / quads, quad = i - c * quads;
      const std::uint32_t counter = (first_step + static_cast<std::uint32_t>(step)) *
                                        static_cast<std::uint32_t>(s.critic_steps) +
                                    static_cast<std::uint32_t>(c);
      const Philox words = philox(s.key.seed, static_cast<std::uint32_t>(quad), drawing_group,
                                  counter, static_cast<std::uint32_t>(Purpose::interpolation));
      for (int n = 0; n < 4; ++n) shared[s.at.alpha + 4 * i + n] = uniform01(words.word[n]);
    }
  }

  GANMM_DEVICE void draw(float* z, int first, int rows, Purpose purpose, int step) const {
    draw_normals(z, s.at.noise_stride, first, rows, s.generator.in, s.key.seed, purpose,
                 drawing_group, first_step + static_cast<std::uint32_t>(step));
  }

  GANMM_DEVICE void generator_step(int step, int update) const {
    const int batch = s.batch;
    const int noise_stride = s.at.noise_stride, item_stride = s.at.item_stride;
    const int stride = s.at.generator_stride, critic_stride = s.at.critic_stride;
    const Net &g = s.generator, &c = s.critic;
    float* const z = shared + s.at.work;
    float* const h = z + batch * noise_stride;
    float* const a = h + batch * stride;
    float* const u = a + batch * critic_stride;  // of the critic; then of the generator
    const bool scored = step + 1 == s.steps && s.losses.generated != nullptr;

    draw(z, 0, batch, Purpose::generator_noise, step);
    fetch(step);
    set_rates(0, g, update);
    sync_threads();

    hidden_layer<4, 2>(g, shared, batch, {z, noise_stride}, packs_to(h, stride));
    sync_threads();

    output_layer(g, shared, batch, {h, stride}, joined(0), item_stride);
    sync_threads();

    const float seed = -1.0f / static_cast<float>(batch);
    const float* const weight = critic.tensor(kOutWeight);
    hidden_layer<5, 1>(c, shared, batch, items(0), [&](int col) {
      return [&, col, w = pack_at(weight + col)](int row, const Pack4& y) {
        const int place = row * critic_stride + col;
        pack_at(u + place) = slopes_times(c, y, seed, w);
        if (scored) pack_at(a + place) = y;
      };
    });
    sync_threads();

    if (scored) score_rows(c, shared, batch, a, critic_stride, scores());
    float* const d_x = joined(batch);
    block_product<Form::nt, 2, 2, 4>({batch, c.in, c.hidden.count}, {u, critic_stride},
                                     critic.matrix(kWeight), numbers_to(d_x, item_stride));
    sync_threads();

    if (scored) {
      mean_of(scores(), batch, [&](float mean) { s.losses.generated[group] = mean; });
    }
    float* const d_h = u;
    block_product<Form::nt, 2, 4, 1>({batch, g.hidden, g.out.count}, {d_x, item_stride},
                                     generator.matrix(kOutWeight), [&](int col) {
                                       return [&, col](int row, const Pack<float, 1>& d) {
                                         const int place = row * stride + col;
                                         d_h[place] = slope_times(g, h[place], d.value[0]);
                                       };
                                     });
    sync_threads();

    const Rates now = rates(0);
    block_product<Form::tn, 4, 4, 2>({g.in.count, g.hidden, batch}, {z, noise_stride},
                                     {d_h, stride}, generator.updates(kWeight, now));
    block_product<Form::tn, 4, 4, 8>({g.hidden.count, g.out, batch}, {h, stride},
                                     {d_x, item_stride}, generator.updates(kOutWeight, now));
    const auto update_bias = [&](int t, const float* d, int d_stride) {
      block_pack_sums<4>((g.tensor[t].cols + 3) / 4, batch,
                         [=](Array<float, 4>& sum, int pack, int row) {
                           const Pack4 more = pack_at(d + row * d_stride + 4 * pack);
                           for (int n = 0; n < 4; ++n) sum[n] += more.value[n];
                         },
                         [&](int pack, int i, float sum) {
                           const int col = 4 * pack + i;
                           if (col < g.tensor[t].cols) generator.update(t, 0, col, sum, now);
                         });
    };
    update_bias(kBias, d_h, stride);
    update_bias(kOutBias, d_x, item_stride);
    sync_threads();
  }

  // The generator stands still during the critic steps: all their samples, a chunk at a time.
  GANMM_DEVICE void make_samples(int step) const {
    const int rows = s.critic_steps * s.batch, chunk = s.at.chunk;
    float* const z = shared + s.at.work;
    float* const h = z + chunk * s.at.noise_stride;
    for (int first = 0; first < rows; first += chunk) {
      const int count = rows - first < chunk ? rows - first : chunk;
      draw(z, first, count, Purpose::noise, step);
      sync_threads();
      hidden_layer<4, 1>(s.generator, shared, count, {z, s.at.noise_stride},
                         packs_to(h, s.at.generator_stride));
      sync_threads();
      output_layer(s.generator, shared, count, {h, s.at.generator_stride},
                   shared + s.at.fake + first * s.at.item_stride, s.at.item_stride);
      sync_threads();
    }
  }

  GANMM_DEVICE void join(int c) const {
    const int batch = s.batch, packs = s.at.item_packs.count;
    const float* const real = shared + s.at.real + c * batch * s.at.item_stride;
    const float* const fake = shared + s.at.fake + c * batch * s.at.item_stride;
    const float* const alpha = shared + s.at.alpha + c * ((batch + 3) / 4 * 4);
    for (int i = thread_index_x(); i < batch * packs; i += block_size_x()) {
      const Pack4 x = pack_at(real + 4 * i), y = pack_at(fake + 4 * i);
      pack_at(joined(0) + 4 * i) = x;
      pack_at(joined(batch) + 4 * i) = y;
      if (s.with_penalty) {
        const float share = alpha[quotient(i, s.at.item_packs.share[1])], rest = 1.0f - share;
        Pack4 between;
        for (int n = 0; n < 4; ++n) between.value[n] = share * x.value[n] + rest * y.value[n];
        pack_at(joined(2 * batch) + 4 * i) = between;
      }
    }
  }

  GANMM_DEVICE void critic_step(int step, int c, int update) const {
    const int batch = s.batch, stride = s.at.critic_stride;
    const int rows = s.with_penalty ? 3 * batch : 2 * batch;
    const Net& net = s.critic;
    float* const a = shared + s.at.work;
    float* const u = a + rows * stride;
    const bool last = step + 1 == s.steps && c + 1 == s.critic_steps;

    join(c);
    set_rates(1, net, update);
    sync_threads();

    const float share = 1.0f / static_cast<float>(batch);
    const auto seed_of = [=](int row) {
      return row < batch ? -share : row < 2 * batch ? share : 1.0f;
    };
    const float* const weight = critic.tensor(kOutWeight);
    hidden_layer<5, 1>(net, shared, rows, items(0), [&](int col) {
      return [&, col, w = pack_at(weight + col)](int row, const Pack4& y) {
        const int place = row * stride + col;
        pack_at(a + place) = y;
        pack_at(u + place) = slopes_times(net, y, seed_of(row), w);
      };
    });
    sync_threads();

    if (last) {
      score_rows(net, shared, 2 * batch, a, stride, scores());
      sync_threads();
      if (s.losses.real != nullptr) {
        mean_of(scores(), batch, [&](float mean) { s.losses.real[group] = mean; });
      }
      if (s.losses.fake != nullptr) {
        mean_of(scores() + batch, batch, [&](float mean) { s.losses.fake[group] = mean; });
      }
      sync_threads();
    }
    if (s.with_penalty) {
      float* const g = joined(2 * batch);
      float* const a_x = a + 2 * batch * stride;
      float* const u_x = u + 2 * batch * stride;
      block_product<Form::nt, 2, 2, 4>({batch, net.in, net.hidden.count}, {u_x, stride},
                                       critic.matrix(kWeight), numbers_to(g, s.at.item_stride));
      sync_threads();

      const float scale = 2.0f * s.penalty * share;
      block_product<Form::nn, 2, 4, 1>(
          {batch, net.hidden, net.in.count}, {g, s.at.item_stride}, critic.matrix(kWeight),
          [&](int col) {
            return [&, col](int row, const Pack4& t) {
              float square = 0;
              for (int i = 0; i < net.in.count; i += 4) {  // the padding is zero
                const Pack4 part = pack_at(g + row * s.at.item_stride + i);
                for (int n = 0; n < 4; ++n) square += part.value[n] * part.value[n];
              }
              const float norm = std::sqrt(square);
              const float factor = norm <= kNormFloor ? 0.0f : scale * (1.0f - 1.0f / norm);
              const int place = row * stride + col;
              pack_at(a_x + place) = slopes_times(net, pack_at(a_x + place), factor, t);
              Pack4& signal = pack_at(u_x + place);
              for (int n = 0; n < 4; ++n) signal.value[n] *= factor;
              if (last && col == 0) scores()[row] = s.penalty * (norm - 1.0f) * (norm - 1.0f);
            };
          });
      sync_threads();

      if (last && s.losses.penalty != nullptr) {
        mean_of(scores(), batch, [&](float mean) { s.losses.penalty[group] = mean; });
      }
    }

    const Rates now = rates(1);
    block_product<Form::tn, 4, 4, 8>({net.in.count, net.hidden, rows}, items(0), {u, stride},
                                     critic.updates(kWeight, now));
    block_pack_sums<8>((net.hidden.count + 3) / 4, rows,
                       [&](Array<float, 8>& sum, int pack, int row) {
                         const int place = row * stride + 4 * pack;
                         const Pack4 active = pack_at(a + place);
                         for (int n = 0; n < 4; ++n) sum[n] += seed_of(row) * active.value[n];
                         if (row >= 2 * batch) return;
                         const Pack4 signal = pack_at(u + place);
                         for (int n = 0; n < 4; ++n) sum[4 + n] += signal.value[n];
                       },
                       [&](int pack, int i, float sum) {
                         const bool out = i < 4;
                         const int col = 4 * pack + i % 4;
                         if (col >= net.hidden.count) return;
                         critic.update(out ? kOutWeight : kBias, out ? col : 0, out ? 0 : col, sum,
                                       now);
                       });
    if (thread_index_x() == block_size_x() - 1) critic.update(kOutBias, 0, 0, 0.0f, now);
    sync_threads();
  }
};

template <bool resident>
GANMM_BLOCK_KERNEL(kMaxThreads)
mlp_step_kernel(Step s) {
  float* const shared = device::dynamic_shared<float>();
  const int group = device::block_index_x();
  const auto weights = [&](const Net& net) {
    return Weights<resident>{net, shared, resident ? shared + s.at.state1 : net.state1,
                             resident ? shared + s.at.state2 : net.state2, group};
  };
  const Gan<resident> gan{s,
                          weights(s.generator),
                          weights(s.critic),
                          shared,
                          group,
                          s.key.first_group + static_cast<std::uint32_t>(group),
                          step_of(s.key)};
  // Padding must be zero in weights, finite elsewhere, and is never written again.
  for (int i = thread_index_x(); i < s.at.floats; i += block_size_x()) shared[i] = 0;
  const int generator_updates = s.generator.step[group], critic_updates = s.critic.step[group];
  sync_threads();
  gan.generator.load();
  gan.critic.load();
  sync_threads();
  for (int step = 0; step < s.steps; ++step) {
    gan.generator_step(step, generator_updates + step + 1);
    gan.make_samples(step);
    for (int c = 0; c < s.critic_steps; ++c) {
      gan.critic_step(step, c, critic_updates + step * s.critic_steps + c + 1);
    }
  }
  gan.generator.save();
  gan.critic.save();
  if (thread_index_x() == 0) {
    s.generator.step[group] = generator_updates + s.steps;
    s.critic.step[group] = critic_updates + s.steps * s.critic_steps;
  }
}

// What a network takes in shared memory.
//   scores: its output weights, a column, are kept as a row.
Net plan_net(const Mlp& mlp, const OptimizerSettings& optimizer, bool scores, int& parameters) {
  Net net{};
  const auto in = static_cast<int>(mlp.input), hidden = static_cast<int>(mlp.width[0]);
  const auto out = static_cast<int>(mlp.output());
  net.in = width_of(in);
  net.hidden = width_of(hidden);
  net.out = width_of(out);
  const Activation& activation = mlp.activation[0];
  if (activation.identity()) {
    net.slope = 1;
  } else if (activation.kind == ActivationKind::leaky_relu) {
    net.slope = static_cast<float>(activation.slope);
  }
  const auto place = [&](Tensor t, int rows, int cols, int stride, int floats) {
    net.tensor[t] = {rows, cols, stride, parameters};
    parameters += floats;
  };
  const int stride = shared_stride(hidden), out_stride = shared_stride(out);
  place(kWeight, in, hidden, stride, whole_packs(in) * stride);
  place(kBias, 1, hidden, stride, stride);
  if (scores) {
    place(kOutWeight, hidden, 1, 1, stride);
  } else {
    place(kOutWeight, hidden, out, out_stride, whole_packs(hidden) * out_stride);
  }
  place(kOutBias, 1, out, out_stride, out_stride);

  const auto beta1 = static_cast<float>(optimizer.beta1);
  const auto beta2 = static_cast<float>(optimizer.beta2);
  net.update = {optimizer.kind,
                beta1,
                1.0f - beta1,
                beta2,
                1.0f - beta2,
                static_cast<float>(optimizer.epsilon),
                optimizer.clip > 0 ? static_cast<float>(optimizer.clip)
                                   : std::numeric_limits<float>::infinity(),
                optimizer.learning_rate,
                optimizer.beta1,
                optimizer.beta2,
                0};
  if (optimizer.kind == OptimizerKind::adam) {
    // beta^step < 2^-60 changes neither 1 - beta^step nor what follows.
    const double slowest = std::max({optimizer.beta1, optimizer.beta2, 0.5});
    const double steps = std::ceil(-60.0 / std::log2(slowest));
    net.update.settled = static_cast<int>(std::min(steps, 2147483647.0));
  }
  return net;
}

// Everything about a step but pointers and numbers of M-steps.
Step plan_step(const MlpStepSettings& settings) {
  Step s{};
  s.generator = plan_net(settings.generator, settings.generator_optimizer, false, s.parameters);
  s.critic = plan_net(settings.critic, settings.critic_optimizer, true, s.parameters);
  s.batch = static_cast<int>(settings.batch);
  s.critic_steps = static_cast<int>(settings.critic_steps);
  s.with_penalty = settings.with_penalty;
  s.penalty = static_cast<float>(settings.penalty);
  return s;
}

// Lays out shared memory; returns the floats it takes. Without `resident` the optimiser's state
// stays in global memory.
Index lay_out(Step& s, bool resident) {
  Layout& at = s.at;
  at.item_stride = shared_stride(s.critic.in.count);
  at.item_packs = width_of(at.item_stride / 4);
  at.noise_stride = shared_stride(s.generator.in.count);
  at.generator_stride = shared_stride(s.generator.hidden.count);
  at.critic_stride = shared_stride(s.critic.hidden.count);
  const Index batch = s.batch, samples = batch * s.critic_steps;
  const Index rows = (s.with_penalty ? 3 : 2) * batch;
  Index floats = s.parameters;
  const auto take = [&](Index count) {
    const Index place = floats;
    floats += count;
    return static_cast<int>(place);
  };
  if (resident) {
    at.state1 = take(s.parameters);
    const bool second = s.generator.update.kind == OptimizerKind::adam ||
                        s.critic.update.kind == OptimizerKind::adam;
    at.state2 = second ? take(s.parameters) : at.state1;
  }
  at.real = take(samples * at.item_stride);
  at.fake = take(samples * at.item_stride);
  at.alpha = s.with_penalty ? take(Index{s.critic_steps} * whole_packs(batch)) : 0;
  at.joined = take(rows * at.item_stride);
  at.scores = take(whole_packs(2 * batch));
  at.rates = take(4);
  const Index sample_floats = at.noise_stride + at.generator_stride;
  const Index work = std::max(
      2 * rows * at.critic_stride,
      batch * (sample_floats + at.critic_stride + std::max(at.critic_stride, at.generator_stride)));
  at.work = take(work);
  at.floats = static_cast<int>(floats);
  // Chunks of equal size, as many rows at once as the work area holds.
  const Index chunks = (samples * sample_floats + work - 1) / work;
  at.chunk = static_cast<int>((samples + chunks - 1) / chunks);
  return floats;
}

// Enough for the largest products, tiles of 16 results, to be done at once where that is possible.
int threads_for(const Step& s) {
  const int samples = s.at.chunk * s.generator.hidden.count;
  const int signals = 3 * s.batch * s.critic.hidden.count;
  const int weights = 2 * s.generator.in.count * s.generator.hidden.count;
  int threads = 128;
  while (threads < kMaxThreads && 16 * threads < std::max({samples, signals, weights}))
    threads *= 2;
  return threads;
}

std::string network_refusal(const char* name, const Mlp& net) {
  if (net.layers != 2) {
    return message("the ", name, " has ", net.layers - 1,
                   " hidden layers, expected 1 on a CUDA device");
  }
  if (!net.activation[0].piecewise_linear()) {
    return message("the activation of the ", name,
                   " is not piecewise linear, which a CUDA device expects");
  }
  return {};
}

}  // namespace

std::string mlp_step_refusal(const Context& ctx, const MlpStepSettings& settings) {
  std::string reason = network_refusal("generator", settings.generator);
  if (reason.empty()) reason = network_refusal("critic", settings.critic);
  if (!reason.empty()) return reason;
  Step step = plan_step(settings);
  const Index bytes = lay_out(step, false) * static_cast<Index>(sizeof(float));
  const auto limit = static_cast<Index>(shared_memory_limit(ctx));
  if (bytes > limit) {
    return message("one GAN takes ", bytes, " bytes of shared memory, the device has ", limit);
  }
  return {};
}

Index mlp_step_workspace(const Context&, const MlpStepSettings&, Index) { return 0; }

void mlp_step(Context& ctx, const ParamSlabs<float>& generator, const ParamSlabs<float>& critic,
              const MlpStepBatches& batches, const MlpStepLosses& losses, const RandomKey& key,
              Index steps, const MlpStepSettings& settings) {
  Step s = plan_step(settings);
  const auto fill = [](Net& net, const ParamSlabs<float>& slabs) {
    for (int t = 0; t < kTensors; ++t) {
      const TensorSlot& slot = (*slabs.slots)[static_cast<std::size_t>(t)];
      net.offset[t] = slot.offset + slabs.first_group * slot.count;
    }
    net.value = slabs.value;
    net.state1 = slabs.state1;
    net.state2 = slabs.state2;
    net.rounded = slabs.rounded;
    net.step = slabs.step + slabs.first_group;
  };
  fill(s.generator, generator);
  fill(s.critic, critic);
  s.steps = static_cast<int>(steps);
  s.data = {batches.data.data, batches.data.group_stride, batches.data.batch_stride};
  s.row = batches.row;
  s.row_group_stride = batches.group_stride;
  s.row_step_stride = batches.step_stride;
  s.losses = losses;
  s.key = key;
  const auto bytes = [&](bool resident) {
    return static_cast<std::size_t>(lay_out(s, resident)) * sizeof(float);
  };
  const bool resident = bytes(true) <= shared_memory_limit(ctx);
  const LaunchShape shape{generator.groups, 1, 1, threads_for(s), bytes(resident)};
  launch(ctx, "mlp_step", shape, resident ? mlp_step_kernel<true> : mlp_step_kernel<false>, s);
}

}  // namespace ganmm::kernels::cuda
