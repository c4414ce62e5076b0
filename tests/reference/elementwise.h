// Bias and crop.
#pragma once

#include "tests/reference/values.h"

namespace ganmm::reference {

// x [N][rows][C] + bias [N][C].
inline Values add_bias(Values x, const Values& bias, Index groups, Index rows, Index channels) {
  for (Index i = 0; i < groups * rows * channels; ++i) {
    x[at(i)] += bias[at(i / (rows * channels) * channels + i % channels)];
  }
  return x;
}

inline Sums bias_grad(const Values& d_y, Index groups, Index rows, Index channels) {
  Sums d_bias(groups * channels);
  for (Index i = 0; i < groups * rows * channels; ++i) {
    d_bias.add(i / (rows * channels) * channels + i % channels, d_y[at(i)]);
  }
  return d_bias;
}

// x [items][H][W][C] -> [items][h][w][C].
inline Values crop(const Values& x, Index items, const Shape& large, const Shape& small) {
  Values y;
  for (Index i = 0; i < items; ++i) {
    for (Index row = 0; row < small[0]; ++row) {
      for (Index column = 0; column < small[1]; ++column) {
        for (Index c = 0; c < small[2]; ++c) {
          y.push_back(x[at(((i * large[0] + row) * large[1] + column) * large[2] + c)]);
        }
      }
    }
  }
  return y;
}

inline Values crop_backward(const Values& y, Index items, const Shape& large, const Shape& small) {
  Values x = zeros(items * large.count());
  std::size_t next = 0;
  for (Index i = 0; i < items; ++i) {
    for (Index row = 0; row < small[0]; ++row) {
      for (Index column = 0; column < small[1]; ++column) {
        for (Index c = 0; c < small[2]; ++c) {
          x[at(((i * large[0] + row) * large[1] + column) * large[2] + c)] = y[next++];
        }
      }
    }
  }
  return x;
}

}  // namespace ganmm::reference
