// Samples of several clusters and their picture.
#pragma once

#include "ganmm/model.h"

#include <span>
#include <string>
#include <vector>

namespace ganmm::tools {

inline bool is_image(const Shape& item) { return item.rank() == 3; }

struct ValueRange {
  float low = 0;
  float high = 1;
};

// Smallest and largest value; high > low also when all are equal.
ValueRange value_range(std::span<const float> values);

// Samples of clusters [first, first + count), `each` of every one: [count * each][item], cluster by
// cluster, in the data's own units.
std::vector<float> draw_samples(const Model& model, Index first, Index count, Index each,
                                std::uint64_t seed, Lanes& lanes);

// The samples row by row; `range` maps to black .. white. Throws IoError.
void write_sample_picture(const std::string& path, std::span<const float> samples,
                          const Shape& item, Index columns, const ValueRange& range);

}  // namespace ganmm::tools
