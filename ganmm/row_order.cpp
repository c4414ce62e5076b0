#include "ganmm/row_order.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace ganmm {
namespace {

enum class Direction { there, back };

// Row p of the result is row order[p] of before (there), or the other way round (back), in place:
// every cycle of the permutation is walked once, its first row kept aside [features]. done: [rows].
void reorder_rows(std::span<float> values, std::span<const std::int32_t> order, Direction direction,
                  std::vector<bool>& done, std::vector<float>& aside) {
  const auto features = static_cast<Index>(aside.size());
  std::fill(done.begin(), done.end(), false);
  const auto row = [&](Index p) { return values.data() + p * features; };
  for (Index start = 0; start < static_cast<Index>(order.size()); ++start) {
    if (done[static_cast<std::size_t>(start)]) continue;
    std::copy_n(row(start), features, aside.data());
    Index p = start;
    do {
      done[static_cast<std::size_t>(p)] = true;
      const Index next = order[static_cast<std::size_t>(p)];
      if (direction == Direction::back) {
        std::swap_ranges(aside.begin(), aside.end(), row(next));
      } else {
        std::copy_n(next == start ? aside.data() : row(next), features, row(p));
      }
      p = next;
    } while (p != start);
  }
}

}  // namespace

void permute(std::span<std::int32_t> order, std::uint64_t seed, Purpose purpose,
             std::uint32_t group) {
  std::iota(order.begin(), order.end(), 0);
  const RandomKey key{seed, purpose, 0, 0};
  for (Index i = static_cast<Index>(order.size()) - 1; i > 0; --i) {
    const std::uint32_t word = philox(key, group, static_cast<std::uint32_t>(i)).word[0];
    const auto j = uniform_below(word, static_cast<std::uint32_t>(i + 1));
    std::swap(order[static_cast<std::size_t>(i)], order[j]);
  }
}

RowOrder::RowOrder(Index rows, std::uint64_t seed) : order_(static_cast<std::size_t>(rows)) {
  permute(order_, seed, Purpose::shuffle, 0);
}

RowOrder::~RowOrder() {
  if (!values_.empty()) reorder_rows(values_, order_, Direction::back, done_, aside_);
}

void RowOrder::borrow(std::span<float> values, Index features) {
  require<ShapeError>(values_.empty() &&
                          values.size() == order_.size() * static_cast<std::size_t>(features),
                      "row order: expected ", order_.size(), " rows of ", features,
                      " values, once; found ", values.size(), " values");
  done_.resize(order_.size());
  aside_.resize(static_cast<std::size_t>(features));
  values_ = values;
  reorder_rows(values, order_, Direction::there, done_, aside_);
}

}  // namespace ganmm
