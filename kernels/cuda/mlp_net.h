// A network with one hidden layer inside one thread block: its parameters in shared memory, its
// forward pass, its updates. What the fused kernels of dense networks share (mlp_gan.h,
// mlp_classifier.h).
#pragma once

#include "kernels/core/rng.h"
#include "kernels/cuda/block_product.h"
#include "kernels/cuda/launch.h"
#include "kernels/mlp_step.h"

#include <algorithm>
#include <limits>
#include <string>

namespace ganmm::kernels::cuda::mlp {

using device::block_size_x;
using device::sync_threads;
using device::thread_index_x;

// Enough warps to hide the latency of shared memory, with 128 registers for each thread.
inline constexpr int kMaxThreads = 512;

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

// What a network takes in shared memory.
//   scores: its output weights, a column, are kept as a row.
inline Net plan_net(const Mlp& mlp, const OptimizerSettings& optimizer, bool scores,
                    int& parameters) {
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

// Fills in where the tensors of the slabs' first group lie.
inline void bind(Net& net, const ParamSlabs<float>& slabs) {
  for (int t = 0; t < kTensors; ++t) {
    const TensorSlot& slot = (*slabs.slots)[static_cast<std::size_t>(t)];
    net.offset[t] = slot.offset + slabs.first_group * slot.count;
  }
  net.value = slabs.value;
  net.state1 = slabs.state1;
  net.state2 = slabs.state2;
  net.rounded = slabs.rounded;
  net.step = slabs.step + slabs.first_group;
}

inline std::string network_refusal(const char* name, const Mlp& net) {
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

}  // namespace ganmm::kernels::cuda::mlp
