// What tests of settings and of whole trainings share.
#pragma once

#include "ganmm/model.h"
#include "kernels/core/error.h"

#include <numeric>
#include <string>
#include <vector>

namespace ganmm::test {

// All mixtures of a Trainer or TrainingRun.
template <class Training>
Model extract_all(Training& training, Index restarts) {
  std::vector<Index> all(static_cast<std::size_t>(restarts));
  std::iota(all.begin(), all.end(), 0);
  return training.extract(all);
}

// Bit by bit.
inline bool same_tensors(const Model& a, const Model& b) {
  for (const auto& [name, tensor] : a.tensors) {
    if (b.tensors.at(name).values != tensor.values) return false;
  }
  return a.tensors.size() == b.tensors.size();
}

// What the settings are refused with for 100 rows; empty when they are not.
inline std::string problems(const Settings& s, Shape item = {4}) {
  try {
    (void)s.resolved(100, item);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

}  // namespace ganmm::test
