// One parameter under an optimiser, step by step.
#pragma once

#include "kernels/optim.h"
#include "tests/reference/values.h"

#include <algorithm>
#include <cmath>

namespace ganmm::reference {

using kernels::OptimizerKind;
using kernels::OptimizerSettings;

struct Parameter {
  double value = 0;
  double state1 = 0;
  double state2 = 0;
  int step = 0;

  void reset(const OptimizerSettings& settings) {
    state1 = settings.kind == OptimizerKind::rmsprop ? 1 : 0;
    state2 = 0;
    step = 0;
  }

  void update(double g, const OptimizerSettings& s) {
    ++step;
    if (s.kind == OptimizerKind::adam) {
      state1 = s.beta1 * state1 + (1 - s.beta1) * g;
      state2 = s.beta2 * state2 + (1 - s.beta2) * g * g;
      const double mean = state1 / (1 - std::pow(s.beta1, step));
      const double square = state2 / (1 - std::pow(s.beta2, step));
      value -= s.learning_rate * mean / (std::sqrt(square) + s.epsilon);
    } else {
      state1 = s.beta2 * state1 + (1 - s.beta2) * g * g;
      value -= s.learning_rate * g / std::sqrt(state1 + s.epsilon);
    }
    if (s.clip > 0) value = std::clamp(value, -s.clip, s.clip);
  }
};

}  // namespace ganmm::reference
