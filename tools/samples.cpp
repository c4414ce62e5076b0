#include "tools/samples.h"

#include "io/png.h"

#include <algorithm>

namespace ganmm::tools {

ValueRange value_range(std::span<const float> values) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  if (low == values.end()) return {};
  return {*low, *high > *low ? *high : *low + 1};
}

std::vector<float> draw_samples(const Model& model, Index first, Index count, Index each,
                                std::uint64_t seed, Lanes& lanes) {
  std::vector<float> samples;
  for (Index cluster = first; cluster < first + count; ++cluster) {
    const std::vector<float> drawn = sample(model, cluster, each, seed, lanes);
    samples.insert(samples.end(), drawn.begin(), drawn.end());
  }
  return samples;
}

void write_sample_picture(const std::string& path, std::span<const float> samples,
                          const Shape& item, Index columns, const ValueRange& range) {
  io::write_sample_grid(path, samples.data(), static_cast<Index>(samples.size()) / item.count(),
                        item, columns, range.low, range.high);
}

}  // namespace ganmm::tools
