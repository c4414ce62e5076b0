// The random order in which training sees the rows of a data set: files are often sorted by class,
// and a pool is a window of consecutive rows.
#pragma once

#include "kernels/core/rng.h"
#include "kernels/core/shape.h"

#include <cstdint>
#include <span>
#include <vector>

namespace ganmm {

// order = a permutation of 0 .. order.size() - 1: Fisher-Yates with the project's generator.
void permute(std::span<std::int32_t> order, std::uint64_t seed, Purpose purpose,
             std::uint32_t group);

class RowOrder {
 public:
  // Row p is file row order()[p]. Memory: 4 bytes per row.
  RowOrder(Index rows, std::uint64_t seed);
  ~RowOrder();
  RowOrder(const RowOrder&) = delete;
  RowOrder& operator=(const RowOrder&) = delete;

  std::span<const std::int32_t> order() const { return order_; }

  // Brings the rows [rows][features] into this order where they lie; the destructor brings them
  // back.
  void borrow(std::span<float> values, Index features);

 private:
  std::vector<std::int32_t> order_;
  std::span<float> values_;
  // Memory to reorder with, taken before rows are moved: the destructor must not ask for any.
  std::vector<bool> done_;
  std::vector<float> aside_;
};

}  // namespace ganmm
