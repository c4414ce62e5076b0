// A small fixed-rank shape and overflow-checked size arithmetic. Every count is 64-bit.
#pragma once

#include "kernels/core/error.h"

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

namespace ganmm {

using Index = std::int64_t;

// a + b; throws ShapeError when the sum does not fit 63 bits. Both terms must be >= 0.
Index checked_add(Index a, Index b);

// a * b; throws ShapeError when the product does not fit 63 bits. Both factors must be >= 0.
Index checked_multiply(Index a, Index b);

// Up to four extents, each >= 0. The last axis is contiguous in memory.
class Shape {
 public:
  static constexpr int kMaxRank = 4;

  Shape() = default;
  Shape(std::initializer_list<Index> extents);

  int rank() const { return rank_; }
  Index operator[](int axis) const { return extents_[static_cast<std::size_t>(axis)]; }
  Index back() const { return extents_[static_cast<std::size_t>(rank_ - 1)]; }
  Index count() const;  // product of the extents, 1 for rank 0, checked

  bool operator==(const Shape& other) const = default;

 private:
  std::array<Index, kMaxRank> extents_{};
  int rank_ = 0;
};

std::string to_string(const Shape& shape);  // "28x28x1"

}  // namespace ganmm
