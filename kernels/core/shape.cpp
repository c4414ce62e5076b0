#include "kernels/core/shape.h"

namespace ganmm {

Index checked_add(Index a, Index b) {
  Index sum = 0;
  const bool overflow = __builtin_add_overflow(a, b, &sum);
  require<ShapeError>(a >= 0 && b >= 0 && !overflow, "size ", a, " + ", b,
                      ": expected a sum of two sizes that fits 63 bits");
  return sum;
}

Index checked_multiply(Index a, Index b) {
  Index product = 0;
  const bool overflow = __builtin_mul_overflow(a, b, &product);
  require<ShapeError>(a >= 0 && b >= 0 && !overflow, "size ", a, " x ", b,
                      ": expected a product of two sizes that fits 63 bits");
  return product;
}

Shape::Shape(std::initializer_list<Index> extents) {
  require<ShapeError>(extents.size() <= kMaxRank, "shape: expected rank at most ", kMaxRank,
                      ", found ", extents.size());
  for (const Index extent : extents) {
    require<ShapeError>(extent >= 0, "shape: expected extents >= 0, found ", extent);
    extents_[static_cast<std::size_t>(rank_++)] = extent;
  }
}

Index Shape::count() const {
  Index product = 1;
  for (int axis = 0; axis < rank_; ++axis) product = checked_multiply(product, (*this)[axis]);
  return product;
}

std::string to_string(const Shape& shape) {
  std::string text;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    text += (axis == 0 ? "" : "x") + std::to_string(shape[axis]);
  }
  return text.empty() ? "scalar" : text;
}

}  // namespace ganmm
