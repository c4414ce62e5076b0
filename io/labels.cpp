#include "io/labels.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

namespace ganmm::io {

std::optional<std::int64_t> parse_integer(std::string_view text) {
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  const char* const end = text.data() + text.size();
  std::int64_t integer = 0;
  const auto whole = std::from_chars(text.data(), end, integer);
  if (whole.ec == std::errc() && whole.ptr == end) return integer;
  double number = 0;
  const auto decimal = std::from_chars(text.data(), end, number);
  // Above 2^53 a double no longer tells neighbouring integers apart.
  constexpr double kExact = 9007199254740992.0;
  if (decimal.ec != std::errc() || decimal.ptr != end || !(std::abs(number) <= kExact) ||
      number != std::trunc(number)) {
    return std::nullopt;
  }
  return static_cast<std::int64_t>(number);
}

void LabelCollector::add(std::string_view label) {
  // Rows come sorted by class more often than not.
  if (!seen_.numbers.empty()) {
    const std::int32_t last = seen_.numbers.back();
    if (seen_.names[static_cast<std::size_t>(last)] == label) {
      seen_.numbers.push_back(last);
      return;
    }
  }
  auto found = index_.find(label);
  if (found == index_.end()) {
    found = index_.emplace(label, static_cast<std::int32_t>(seen_.names.size())).first;
    seen_.names.emplace_back(label);
  }
  seen_.numbers.push_back(found->second);
}

Labels LabelCollector::finish() {
  const std::size_t count = seen_.names.size();
  std::vector<std::optional<std::int64_t>> integers(count);
  std::transform(seen_.names.begin(), seen_.names.end(), integers.begin(), parse_integer);
  const bool numeric = std::all_of(integers.begin(), integers.end(),
                                   [](const auto& integer) { return integer.has_value(); });
  const auto less = [&](std::size_t a, std::size_t b) {
    if (numeric) return *integers[a] < *integers[b];
    return seen_.names[a] < seen_.names[b];
  };
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), less);

  Labels result;
  std::vector<std::int32_t> renumbered(count);
  for (std::size_t i = 0; i < count; ++i) {
    if (i == 0 || less(order[i - 1], order[i])) result.names.push_back(seen_.names[order[i]]);
    renumbered[order[i]] = static_cast<std::int32_t>(result.names.size() - 1);
  }
  result.numbers = std::move(seen_.numbers);
  for (std::int32_t& number : result.numbers) {
    number = renumbered[static_cast<std::size_t>(number)];
  }
  return result;
}

}  // namespace ganmm::io
