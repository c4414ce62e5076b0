// What the tests of autoencoders and of DEC share.
#pragma once

#include "io/dataset.h"
#include "kernels/core/view.h"
#include "tests/reference/dec.h"

#include <cmath>

namespace ganmm::test {

inline GroupView<const float> view(const io::Dataset& data) {
  return {data.values.data(), 1, data.rows, data.item};
}

inline std::vector<reference::Values> as_rows(const io::Dataset& data) {
  std::vector<reference::Values> rows;
  const Index features = data.item.count();
  for (Index row = 0; row < data.rows; ++row) {
    const auto begin = data.values.begin() + row * features;
    rows.emplace_back(begin, begin + features);
  }
  return rows;
}

// How far tensors moved otherwise than the reference, as a share of the way. Of all weights
// together: Adam divides by a gradient's size, so that one near 0 goes its own way in each
// precision.
inline double displacement_error(const std::vector<std::vector<float>>& begin,
                                 const std::vector<std::vector<float>>& end,
                                 const reference::Chain& expected) {
  double error = 0, way = 0;
  for (std::size_t i = 0; i < begin.size(); ++i) {
    const auto& layer = expected[i / 2];
    const auto& parameters = i % 2 == 0 ? layer.weight : layer.bias;
    for (std::size_t j = 0; j < begin[i].size(); ++j) {
      const double off = static_cast<double>(end[i][j]) - parameters[j].value;
      const double step = static_cast<double>(begin[i][j]) - parameters[j].value;
      error += off * off;
      way += step * step;
    }
  }
  return std::sqrt(error / way);
}

}  // namespace ganmm::test
