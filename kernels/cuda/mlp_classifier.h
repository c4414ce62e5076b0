// A classifier with one hidden layer in one thread block: classification of rows, and training on
// samples, a chunk of rows at a time.
//
// Training takes 6 phases with a barrier after each for a chunk (load, hidden layer, logits, loss,
// gradients of the second layer, of the first), sums the gradients of all chunks in shared memory
// and updates from there. Bound by multiply-adds: a phase has work for all threads.
#pragma once

#include "kernels/cuda/classify.h"
#include "kernels/cuda/cross_entropy.h"
#include "kernels/cuda/mlp_net.h"
#include "kernels/cuda/sums.h"

namespace ganmm::kernels::cuda::mlp {

inline constexpr int kFewestRows = 8;  // of a chunk

struct Classifier {
  Net net;
  int parameters;  // floats of the shared parameters
  int item_stride, hidden_stride, out_stride;
  Width item;     // an item's stride
  Width packs;    // packs of an item
  bool readout;   // the second layer learns
  float scale;    // of logits, 1 / temperature
  bool twice;     // double softmax
  Target target;  // of the cross-entropy
  // In the block that trains it: after the parameters, laid out as these
  int state1, state2, gradients;
  int rates, sums;  // Rates; 32 doubles
  int rows;         // and beyond: rows
  int train_chunk;

  // Floats of a row that is classified, or trained on.
  int classified_floats() const { return item_stride + hidden_stride + out_stride; }
  int trained_floats() const { return classified_floats() + hidden_stride; }
};

// Where classified rows go.
struct PoolRows {
  Rows<const float> data;
  std::int32_t* label;  // [P]
  float* posterior;     // [P][N]
  Index first_row;      // data row of pool row 0
};

// Classifies pool rows [begin, end) with the parameters at `parameters`, by way of `rows`, which
// has room for `chunk` rows. Parameters are read after the first barrier.
GANMM_DEVICE void classify_rows_of_block(const Classifier& c, const float* parameters, float* rows,
                                         int chunk, const PoolRows& pool, Index begin, Index end) {
  constexpr int kLanes = 8;  // threads per row
  const int components = c.net.out.count;
  float* const x = rows;
  float* const h = x + chunk * c.item_stride;
  float* const z = h + chunk * c.hidden_stride;
  for (Index first = begin; first < end; first += chunk) {
    const int count = end - first < chunk ? static_cast<int>(end - first) : chunk;
    for (int i = thread_index_x(); i < count * c.item_stride; i += block_size_x()) {
      const int b = quotient(i, c.item.share[1]), col = i - b * c.item_stride;
      x[i] = col < c.net.in.count ? at(pool.data, 0, pool.first_row + first + b, col) : 0.0f;
    }
    sync_threads();
    hidden_layer<4, 1>(c.net, parameters, count, {x, c.item_stride}, packs_to(h, c.hidden_stride));
    sync_threads();
    output_layer(c.net, parameters, count, {h, c.hidden_stride}, z, c.out_stride);
    sync_threads();
    const int last = (count * kLanes + device::kWarpSize - 1) / device::kWarpSize *
                     device::kWarpSize;  // whole warps, for the shuffles
    for (int i = thread_index_x(); i < last; i += block_size_x()) {
      const int lane = i % kLanes;
      const bool valid = i / kLanes < count;
      const int b = valid ? i / kLanes : 0;
      const std::int32_t label =
          classify_row<kLanes>(z + b * c.out_stride, pool.posterior + (first + b) * components,
                               components, c.scale, lane, valid);
      if (valid && lane == 0) pool.label[first + b] = label;
    }
  }
}

// Training, by the block that holds the optimiser's state.
struct ClassifierTraining {
  const Classifier& c;
  Weights<true> weights;
  float* shared;

  // What block_product does with gradients of tensor t: adds to those of earlier chunks.
  GANMM_DEVICE auto sums_of(int t) const {
    const Matrix& m = c.net.tensor[t];
    float* const sums = shared + c.gradients + m.at;
    return [=](int col) {
      return [=](int row, const auto& g) {
        for (int w = 0; w < static_cast<int>(sizeof(g) / sizeof(float)); ++w) {
          if (col + w < m.cols) sums[row * m.stride + col + w] += g.value[w];
        }
      };
    };
  }
  GANMM_DEVICE void add_column_sums(int t, const float* d, int stride, int rows) const {
    const Matrix& m = c.net.tensor[t];
    float* const sums = shared + c.gradients + m.at;
    block_pack_sums<4>((m.cols + 3) / 4, rows,
                       [=](Array<float, 4>& sum, int pack, int row) {
                         const Pack4 more = pack_at(d + row * stride + 4 * pack);
                         for (int n = 0; n < 4; ++n) sum[n] += more.value[n];
                       },
                       [=](int pack, int i, float sum) {
                         if (4 * pack + i < m.cols) sums[4 * pack + i] += sum;
                       });
  }

  // One update, number `update`, from samples [rows][item_stride]; row b is of component
  // first_component + b / batch. Writes the mean loss unless `loss` is null.
  GANMM_DEVICE void step(const float* samples, int rows, int batch, int first_component, int update,
                         float* loss) const {
    const Net& net = c.net;
    const int chunk = c.train_chunk, item = c.item_stride, hidden = c.hidden_stride;
    const int out = c.out_stride;
    float* const x = shared + c.rows;
    float* const h = x + chunk * item;
    float* const d_h = h + chunk * hidden;
    float* const z = d_h + chunk * hidden;
    for (int i = thread_index_x(); i < c.parameters; i += block_size_x()) {
      shared[c.gradients + i] = 0;
    }
    if (thread_index_x() == 0) {
      const Rates now = rates_of(net.update, update);
      shared[c.rates] = now.rate;
      shared[c.rates + 1] = now.root_scale;
    }
    const float share = 1.0f / static_cast<float>(rows);
    double total = 0;
    for (int first = 0; first < rows; first += chunk) {
      const int count = rows - first < chunk ? rows - first : chunk;
      const float* const source = samples + Index{first} * item;
      for (int i = thread_index_x(); i < count * c.packs.count; i += block_size_x()) {
        const int b = quotient(i, c.packs.share[1]);
        const int place = b * item + 4 * (i - b * c.packs.count);
        pack_at(x + place) = pack_at(source + place);
      }
      sync_threads();
      hidden_layer<4, 1>(net, shared, count, {x, item}, packs_to(h, hidden));
      sync_threads();
      output_layer(net, shared, count, {h, hidden}, z, out);
      sync_threads();
      for (int b = thread_index_x(); b < count; b += block_size_x()) {
        float* const logits = z + b * out;
        const int label = first_component + (first + b) / batch;
        total += static_cast<double>(
            cross_entropy_row(logits, logits, net.out.count, c.twice, c.target, label, share));
      }
      sync_threads();
      if (c.readout) {
        block_product<Form::tn, 4, 4, 8>({net.hidden.count, net.out, count}, {h, hidden}, {z, out},
                                         sums_of(kOutWeight));
        add_column_sums(kOutBias, z, out, count);
      }
      block_product<Form::nt, 4, 4, 1>({count, net.hidden, net.out.count}, {z, out},
                                       weights.matrix(kOutWeight), [&](int col) {
                                         return [&, col](int row, const Pack<float, 1>& d) {
                                           const int place = row * hidden + col;
                                           d_h[place] = slope_times(net, h[place], d.value[0]);
                                         };
                                       });
      sync_threads();
      block_product<Form::tn, 4, 4, 8>({net.in.count, net.hidden, count}, {x, item}, {d_h, hidden},
                                       sums_of(kWeight));
      add_column_sums(kBias, d_h, hidden, count);
      sync_threads();
    }
    const Rates now{shared[c.rates], shared[c.rates + 1]};
    for (int t = 0; t < (c.readout ? int{kTensors} : int{kOutWeight}); ++t) {
      const Matrix& m = net.tensor[t];
      const float* const sums = shared + c.gradients + m.at;
      for (int i = thread_index_x(); i < m.rows * m.cols; i += block_size_x()) {
        const int row = i / m.cols, col = i - row * m.cols;
        weights.update(t, row, col, sums[row * m.stride + col], now);
      }
    }
    if (loss != nullptr) {
      total = block_sum(total, reinterpret_cast<double*>(shared + c.sums));
      if (thread_index_x() == 0) *loss = static_cast<float>(total / static_cast<double>(rows));
    }
    sync_threads();
  }
};

// Everything about a classifier but pointers and the chunk of rows.
inline Classifier plan_classifier(const Mlp& mlp, const OptimizerSettings& optimizer) {
  Classifier c{};
  c.net = plan_net(mlp, optimizer, false, c.parameters);
  c.item_stride = shared_stride(mlp.input);
  c.hidden_stride = shared_stride(mlp.width[0]);
  c.out_stride = shared_stride(mlp.output());
  c.item = width_of(c.item_stride);
  c.packs = width_of(whole_packs(mlp.input) / 4);
  int floats = c.parameters;
  const auto take = [&](int count) {
    const int place = floats;
    floats += count;
    return place;
  };
  c.state1 = take(c.parameters);
  c.state2 = optimizer.kind == OptimizerKind::adam ? take(c.parameters) : c.state1;
  c.gradients = take(c.parameters);
  c.rates = take(4);
  c.sums = take(2 * device::kWarpSize);
  c.rows = floats;
  return c;
}

}  // namespace ganmm::kernels::cuda::mlp
