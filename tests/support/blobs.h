// Small data sets for whole runs.
#pragma once

#include "io/dataset.h"
#include "kernels/core/rng.h"

namespace ganmm::test {

// Well separated Gaussian blobs, a clustering problem with a known answer: `rows` points in
// `features` dimensions around `clusters` centres, in turn; deviation 0.05, the centres at least
// 0.5 apart (corners and edge midpoints of a grid in the first two dimensions).
inline io::Dataset blobs(Index rows, Index features, Index clusters, std::uint64_t seed = 7) {
  io::Dataset data;
  data.rows = rows;
  data.item = {features};
  for (Index row = 0; row < rows; ++row) {
    const Index c = row % clusters;
    data.labels.push_back(static_cast<std::int32_t>(c));
    for (Index f = 0; f < features; ++f) {
      const Philox words =
          philox(seed, static_cast<std::uint32_t>(row), static_cast<std::uint32_t>(f), 0, 0);
      const float centre = f == 0   ? static_cast<float>(c % 3) - 1.0f
                           : f == 1 ? static_cast<float>(c / 3) - 1.0f
                                    : 0.0f;
      data.values.push_back(centre + 0.05f * box_muller(words.word[0], words.word[1]).first);
    }
  }
  return data;
}

// Grey images of random pixels, every other one five times darker.
inline io::Dataset small_images(Index rows, Index height, Index width) {
  io::Dataset data;
  data.rows = rows;
  data.item = {height, width, 1};
  for (Index p = 0; p < rows * height * width; ++p) {
    const Philox words = philox(3, static_cast<std::uint32_t>(p), 0, 0, 0);
    data.values.push_back(uniform01(words.word[0]) * ((p / (height * width)) % 2 == 0 ? 1.f : .2f));
  }
  return data;
}

}  // namespace ganmm::test
