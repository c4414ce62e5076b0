// The draw of one group's rows, once its own rows are known and the weights of all others are
// summed.
#pragma once

#include "kernels/cuda/kernel.h"
#include "kernels/select.h"

namespace ganmm::kernels::cuda {

using Weight = std::uint64_t;

// What a group draws from.
struct DrawSource {
  const std::int32_t* own;  // pool rows of the component
  std::uint32_t own_count;
  std::uint32_t own_draws;  // of a batch; the others are drawn by weight
  Weight total;             // of the weights
  Index rows;               // of the pool
};

// The first of `count` ascending sums above the target.
GANMM_DEVICE Index first_above(const Weight* sums, Index count, Weight target) {
  Index first = 0;
  while (count > 0) {
    const Index half = count / 2;
    if (sums[first + half] <= target) {
      first += half + 1;
      count -= half + 1;
    } else {
      count = half;
    }
  }
  return first;
}

// Draws first, first + stride, ... of `count`, in batches of `batch`: row[e] is a data row, pool
// row 0 being first_row. find(target): the first pool row with a running sum of weights above it.
template <class Find>
GANMM_DEVICE void draw(std::int32_t* row, std::uint32_t first, std::uint32_t stride,
                       std::uint32_t count, std::uint32_t batch, const DrawSource& source,
                       const RandomKey& key, std::uint32_t group, Index first_row, Find find) {
  for (std::uint32_t e = first; e < count; e += stride) {
    const Philox words = philox(key, group, e);
    Index chosen = 0;
    if (e % batch < source.own_draws) {
      chosen = source.own[uniform_below(words.word[0], source.own_count)];
    } else if (source.total > 0) {
      const Weight word = (Weight{words.word[1]} << 32) | words.word[0];
      chosen = find(uniform_below_64(word, source.total));
    } else {
      chosen = uniform_below(words.word[0], static_cast<std::uint32_t>(source.rows));
    }
    row[e] = static_cast<std::int32_t>(first_row + chosen);
  }
}

}  // namespace ganmm::kernels::cuda
