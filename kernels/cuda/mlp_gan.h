// One GAN in one thread block, step by step; formulas in kernels/mlp_step.h and
// nn/gradient_penalty.h.
//
// Weights, activations and, where they fit, the optimiser's state stay in shared memory; rows of
// data are gathered from global memory and noise is drawn in place. A generator step takes 7 phases
// with a barrier after each, samples 3 per chunk of rows, a critic step 5:
//
//   join        X = [real; fake; x], rows of the critic's input
//   forward     a = phi(X V + c), and at once the signal u = phi'(a) v2 seed of every row
//   gradient    g = u V^T of the interpolates x, over their rows in X
//   tangent     |g|; the tangent t = s phi'(a) (g V) over a, and u *= s, where s g is v, the
//               direction of the penalty: (s g) (x) u = g (x) (s u)
//   update      V from X^T u, c from the column sums of u, v2 from those of a (and t): the
//               optimiser works on the sums while they are in registers
//
// The output's bias shifts all scores alike, so its gradient is taken as exactly 0.
//
// Bound by latency and barriers in the critic's phases, which are too small for a block, and by
// multiply-adds and random numbers in the generator's.
#pragma once

#include "kernels/cuda/draw.h"
#include "kernels/cuda/mlp_net.h"

namespace ganmm::kernels::cuda::mlp {

inline constexpr float kNormFloor = 1e-12f;  // below it a gradient has no direction

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

struct Partition {
  const std::int32_t *member, *begin;
  Index components, rows, first_group;
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
  Partition from;  // with members: where the rows are drawn from, into `drawn`
  std::int32_t* drawn;
  MlpStepLosses losses;
  RandomKey key;
};

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

    draw_normals(z, noise_stride, 0, batch, g.in, s.key.seed, Purpose::generator_noise,
                 drawing_group, first_step + static_cast<std::uint32_t>(step));
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

  // The numbers of a draw in an M-step.
  GANMM_DEVICE RandomKey real_rows(int step) const {
    return {s.key.seed, Purpose::real_rows, first_step + static_cast<std::uint32_t>(step)};
  }
  // The rows of an M-step, from the component's own rows in a fixed partition.
  GANMM_DEVICE void draw_from_partition(int step) const {
    const Index component = s.from.first_group + group;
    const Index mixture = component / s.from.components;
    const std::int32_t* const begin = s.from.begin + component + mixture;
    const auto batch = static_cast<std::uint32_t>(s.batch);
    const auto own = static_cast<std::uint32_t>(begin[1] - begin[0]);
    const DrawSource source{s.from.member + mixture * s.from.rows + begin[0], own,
                            own > 0 ? batch : 0, 0, s.from.rows};
    draw(s.drawn + group * s.row_group_stride, static_cast<std::uint32_t>(thread_index_x()),
         static_cast<std::uint32_t>(block_size_x()),
         static_cast<std::uint32_t>(s.critic_steps) * batch, batch, source, real_rows(step),
         drawing_group, 0, [](Weight) { return Index{0}; });
  }

  // Rows [rows][item_stride] of samples for any use, a chunk at a time; x may be in global memory.
  GANMM_DEVICE void make_samples(float* x, int rows, Purpose purpose, std::uint32_t number) const {
    const int chunk = s.at.chunk;
    float* const z = shared + s.at.work;
    float* const h = z + chunk * s.at.noise_stride;
    for (int first = 0; first < rows; first += chunk) {
      const int count = rows - first < chunk ? rows - first : chunk;
      draw_normals(z, s.at.noise_stride, first, count, s.generator.in, s.key.seed, purpose,
                   drawing_group, number);
      sync_threads();
      hidden_layer<4, 1>(s.generator, shared, count, {z, s.at.noise_stride},
                         packs_to(h, s.at.generator_stride));
      sync_threads();
      output_layer(s.generator, shared, count, {h, s.at.generator_stride},
                   x + first * s.at.item_stride, s.at.item_stride);
      sync_threads();
    }
  }
  // The generator stands still during the critic steps: all their samples.
  GANMM_DEVICE void make_fakes(int step) const {
    make_samples(shared + s.at.fake, s.critic_steps * s.batch, Purpose::noise,
                 first_step + static_cast<std::uint32_t>(step));
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

// Everything about a step but pointers and numbers of M-steps.
inline Step plan_step(const MlpStepSettings& settings) {
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
// stays in global memory. From at.real on there are at least `free` floats; between M-steps nothing
// there is needed.
inline Index lay_out(Step& s, bool resident, Index free = 0) {
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
  floats = std::max(floats, at.real + free);
  at.floats = static_cast<int>(floats);
  // Chunks of equal size, as many rows at once as the work area holds.
  const Index chunks = (samples * sample_floats + work - 1) / work;
  at.chunk = static_cast<int>((samples + chunks - 1) / chunks);
  return floats;
}

// Enough for the largest products, tiles of 16 results, to be done at once where that is possible.
inline int threads_for(const Step& s) {
  const int samples = s.at.chunk * s.generator.hidden.count;
  const int signals = 3 * s.batch * s.critic.hidden.count;
  const int weights = 2 * s.generator.in.count * s.generator.hidden.count;
  int threads = 128;
  while (threads < kMaxThreads && 16 * threads < std::max({samples, signals, weights}))
    threads *= 2;
  return threads;
}

}  // namespace ganmm::kernels::cuda::mlp
