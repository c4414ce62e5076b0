#include "kernels/backend.h"
#include "kernels/cpu/random_loops.h"
#include "kernels/cpu/softmax_loops.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace ganmm::kernels::cpu {

Softmax softmax_loops([[maybe_unused]] Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::avx512) return avx512::softmax;
  if (isa == Isa::avx2) return avx2::softmax;
#endif
  return baseline::softmax;
}

namespace {

// The first p with target < cumulative[p], cumulative ascending; its last element is above the
// target. Without branches: which way a step goes is random.
Index first_above(const std::uint64_t* cumulative, Index count, std::uint64_t target) {
  Index first = 0;
  while (count > 1) {
    const Index half = count / 2;
    first += cumulative[first + half - 1] <= target ? half : 0;
    count -= half;
  }
  return first;
}

}  // namespace

template <class T>
void classify_rows(Context&, GroupView<T> posterior, std::int32_t* label, Index label_stride,
                   GroupView<const T> logits, double temperature) {
  const Index classes = logits.features();
  const T scale = static_cast<T>(1.0 / temperature);
  if constexpr (std::is_same_v<T, float>) {
    if (logits.batch > 0 && classes > 0 && classes <= kMostSoftmaxClasses) {
      const Softmax softmax = softmax_loops(best_isa());
      for (Index r = 0; r < logits.groups; ++r) {
        softmax({posterior.data == nullptr ? nullptr : posterior.row(r, 0), posterior.batch_stride,
                 label + r * label_stride, logits.row(r, 0), logits.batch_stride, logits.batch,
                 classes, scale});
      }
      return;
    }
  }
  for (Index r = 0; r < logits.groups; ++r) {
    for (Index b = 0; b < logits.batch; ++b) {
      const T* z = logits.row(r, b);
      const Index best = std::max_element(z, z + classes) - z;  // the first of equals
      label[r * label_stride + b] = static_cast<std::int32_t>(best);
      if (posterior.data == nullptr) continue;
      T* p = posterior.row(r, b);
      const T top = z[best];
      T sum = 0;
      for (Index c = 0; c < classes; ++c) {
        p[c] = std::exp((z[c] - top) * scale);
        sum += p[c];
      }
      for (Index c = 0; c < classes; ++c) p[c] /= sum;
    }
  }
}

void partition_rows(Context&, std::int32_t* member, std::int32_t* begin, const PoolView& pool) {
  const Index n = pool.components;
  for (Index r = 0; r < pool.mixtures; ++r) {
    const std::int32_t* label = pool.label + r * pool.rows;
    std::int32_t* start = begin + r * (n + 1);
    std::fill_n(start, n + 1, 0);
    for (Index p = 0; p < pool.rows; ++p) ++start[label[p] + 1];
    for (Index i = 0; i < n; ++i) start[i + 1] += start[i];
    // Fill using start[i] as the cursor of component i, then shift the cursors back.
    for (Index p = 0; p < pool.rows; ++p) {
      member[r * pool.rows + start[label[p]]++] = static_cast<std::int32_t>(p);
    }
    for (Index i = n; i > 0; --i) start[i] = start[i - 1];
    start[0] = 0;
  }
}

void draw_rows(Context& ctx, std::int32_t* row, Index first_group, Index groups,
               const PoolView& pool, const std::int32_t* member, const std::int32_t* begin,
               const DrawSettings& s) {
  const Index n = pool.components, rows = pool.rows;
  const Index first_row = s.first_row == nullptr ? 0 : *s.first_row;
  Scratch::Frame frame(ctx.scratch());
  auto* cumulative = frame.take<std::uint64_t>(pool.posterior != nullptr ? rows : 0);
  for (Index k = 0; k < groups; ++k) {
    const Index group = first_group + k, r = group / n, i = group % n;
    const std::int32_t* label = pool.label + r * rows;
    const std::int32_t* own = member + r * rows + begin[r * (n + 1) + i];
    const auto own_count =
        static_cast<std::uint32_t>(begin[r * (n + 1) + i + 1] - begin[r * (n + 1) + i]);
    const Index own_draws = own_count > 0 ? s.batch - s.foreign : 0;

    std::uint64_t total = 0;
    if (own_draws < s.batch && pool.posterior != nullptr) {
      const float* posterior = pool.posterior + r * rows * n + i;
      for (Index p = 0; p < rows; ++p) {
        const std::uint64_t weight = draw_weight(posterior[p * n]);
        total += label[p] != i ? weight : 0;
        cumulative[p] = total;
      }
    }
    constexpr Index kBlock = 64;
    std::array<std::uint32_t, 4 * kBlock> words;
    const Index draws = s.batches * s.batch;
    for (Index e = 0; e < draws; ++e) {
      if (e % kBlock == 0) {
        random_loops(best_isa())
            .words(words.data(), std::min(kBlock, draws - e),
                   {s.key.seed, static_cast<std::uint32_t>(e),
                    s.key.first_group + static_cast<std::uint32_t>(group), step_of(s.key),
                    static_cast<std::uint32_t>(s.key.purpose)});
      }
      const std::uint32_t* word = words.data() + 4 * (e % kBlock);
      Index chosen = 0;
      if (e % s.batch < own_draws) {
        chosen = own[uniform_below(word[0], own_count)];
      } else if (total > 0) {
        const std::uint64_t target =
            uniform_below_64((std::uint64_t{word[1]} << 32) | word[0], total);
        chosen = first_above(cumulative, rows, target);
      } else {
        chosen = uniform_below(word[0], static_cast<std::uint32_t>(rows));
      }
      row[k * draws + e] = static_cast<std::int32_t>(first_row + chosen);
    }
  }
}

template <class T>
void gather_rows(Context&, GroupView<T> y, GroupView<const T> data, const std::int32_t* row,
                 Index row_stride) {
  const Index features = y.features();
  for (Index g = 0; g < y.groups; ++g) {
    for (Index b = 0; b < y.batch; ++b) {
      std::copy_n(data.row(0, row[g * row_stride + b]), features, y.row(g, b));
    }
  }
}

template <class T>
void window_rows(Context&, GroupView<T> y, GroupView<const T> data, const std::int32_t* first_row,
                 Index offset) {
  for (Index b = 0; b < y.batch; ++b) {
    std::copy_n(data.row(0, *first_row + offset + b), y.features(), y.row(0, b));
  }
}

void window_labels(Context&, std::int32_t* label, Index pool_rows, const std::int32_t* assigned,
                   Index mixtures, Index rows, const std::int32_t* first_row) {
  for (Index r = 0; r < mixtures; ++r) {
    std::copy_n(assigned + r * rows + *first_row, pool_rows, label + r * pool_rows);
  }
}

void pin_labels(Context&, std::int32_t* label, const PinView& pins, Index components,
                Index pool_rows, const std::int32_t* first_row) {
  for (Index e = 0; e < *pins.count; ++e) {
    const Index p = pins.row[e] - *first_row;
    if (p < 0 || p >= pool_rows) continue;
    label[pins.group[e] / components * pool_rows + p] =
        static_cast<std::int32_t>(pins.group[e] % components);
  }
}

template void classify_rows<float>(Context&, GroupView<float>, std::int32_t*, Index,
                                   GroupView<const float>, double);
template void classify_rows<double>(Context&, GroupView<double>, std::int32_t*, Index,
                                    GroupView<const double>, double);
template void gather_rows<float>(Context&, GroupView<float>, GroupView<const float>,
                                 const std::int32_t*, Index);
template void gather_rows<double>(Context&, GroupView<double>, GroupView<const double>,
                                  const std::int32_t*, Index);
template void window_rows<float>(Context&, GroupView<float>, GroupView<const float>,
                                 const std::int32_t*, Index);
template void window_rows<double>(Context&, GroupView<double>, GroupView<const double>,
                                  const std::int32_t*, Index);

}  // namespace ganmm::kernels::cpu
