#include "ganmm/neighbours.h"

#include "kernels/core/error.h"

#include <algorithm>
#include <cmath>

namespace ganmm {
namespace {

constexpr Index kPoints = 2000, kNeighbours = 10;

}  // namespace

Neighbours::Neighbours(std::span<const float> values, Index features, std::span<const Index> rows,
                       Lanes& lanes)
    : rows_(std::ssize(rows)) {
  require<ShapeError>(rows_ >= 1, "neighbours: expected at least one row");
  const Index last = std::ranges::max(rows);
  require<ShapeError>(std::ranges::min(rows) >= 0 && (last + 1) * features <= std::ssize(values),
                      "neighbours: expected row ", last, " within ", values.size(),
                      " values of rows of ", features);
  const Index points = std::min(rows_, kPoints), each = std::min(kNeighbours, points - 1);
  for (Index i = 0; i < points; ++i) sample_.push_back(i * rows_ / points);
  neighbour_.resize(static_cast<std::size_t>(points * each));
  lanes.for_each(points, [&](int, Index i) {
    const auto at = [&](Index place) {
      return values.data() + rows[static_cast<std::size_t>(place)] * features;
    };
    const float* own = at(sample_[static_cast<std::size_t>(i)]);
    std::vector<std::pair<float, Index>> found;
    for (Index j = 0; j < points; ++j) {
      if (j == i) continue;
      const Index place = sample_[static_cast<std::size_t>(j)];
      const float* other = at(place);
      float distance = 0;
      for (Index f = 0; f < features; ++f) distance += (own[f] - other[f]) * (own[f] - other[f]);
      found.emplace_back(distance, place);
    }
    std::ranges::partial_sort(found, found.begin() + each);  // equal ones: the lower row
    for (Index k = 0; k < each; ++k) {
      neighbour_[static_cast<std::size_t>(i * each + k)] =
          found[static_cast<std::size_t>(k)].second;
    }
  });
}

double Neighbours::agreement(std::span<const std::int32_t> label) const {
  require<ShapeError>(static_cast<Index>(label.size()) == rows_, "neighbours: expected ", rows_,
                      " labels, found ", label.size());
  if (neighbour_.empty()) return 0;
  const std::size_t each = neighbour_.size() / sample_.size();
  std::vector<double> size;
  double together = 0;
  for (std::size_t i = 0; i < sample_.size(); ++i) {
    const std::int32_t own = label[static_cast<std::size_t>(sample_[i])];
    if (static_cast<std::size_t>(own) >= size.size())
      size.resize(static_cast<std::size_t>(own) + 1);
    size[static_cast<std::size_t>(own)] += 1;
    for (std::size_t k = 0; k < each; ++k) {
      if (label[static_cast<std::size_t>(neighbour_[i * each + k])] == own) together += 1;
    }
  }
  const auto points = static_cast<double>(sample_.size());
  double chance = 0;
  for (const double count : size) chance += count / points * (count / points);
  if (chance >= 1) return 0;
  return (together / static_cast<double>(neighbour_.size()) - chance) / (1 - chance);
}

double Neighbours::standard_error(double agreement) const {
  const double variance = std::max(agreement * (1 - agreement), 0.0);
  return std::sqrt(variance / static_cast<double>(sample_.size()));
}

}  // namespace ganmm
