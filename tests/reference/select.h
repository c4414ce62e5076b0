// Softmax, argmax and the partition of rows by label.
#pragma once

#include "tests/reference/values.h"

#include <cmath>
#include <cstdint>

namespace ganmm::reference {

inline Values softmax(const Values& row, double temperature) {
  double largest = row[0];
  for (const double value : row) largest = std::max(largest, value);
  Values p;
  double sum = 0;
  for (const double value : row) {
    p.push_back(std::exp((value - largest) / temperature));
    sum += p.back();
  }
  for (double& value : p) value /= sum;
  return p;
}

inline std::int32_t argmax(const Values& row) {
  std::size_t best = 0;
  for (std::size_t k = 1; k < row.size(); ++k) {
    if (row[k] > row[best]) best = k;
  }
  return static_cast<std::int32_t>(best);
}

struct Partition {
  std::vector<std::int32_t> member;  // [P]
  std::vector<std::int32_t> begin;   // [N + 1]
};

// Of one mixture.
inline Partition partition(const std::vector<std::int32_t>& label, Index components) {
  Partition out;
  for (Index i = 0; i < components; ++i) {
    out.begin.push_back(static_cast<std::int32_t>(out.member.size()));
    for (std::size_t row = 0; row < label.size(); ++row) {
      if (label[row] == i) out.member.push_back(static_cast<std::int32_t>(row));
    }
  }
  out.begin.push_back(static_cast<std::int32_t>(out.member.size()));
  return out;
}

}  // namespace ganmm::reference
