// Squared distances to centres.
#pragma once

#include "tests/reference/values.h"

namespace ganmm::reference {

inline double squared_distance(const Values& data, Index row, const Values& centre, Index k,
                               Index features) {
  double sum = 0;
  for (Index f = 0; f < features; ++f) {
    const double difference = data[at(row * features + f)] - centre[at(k * features + f)];
    sum += difference * difference;
  }
  return sum;
}

}  // namespace ganmm::reference
