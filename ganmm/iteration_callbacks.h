// What a method that iterates tells its caller, and asks.
#pragma once

#include "kernels/core/shape.h"

#include <functional>

namespace ganmm {

struct IterationCallbacks {
  std::function<void(Index iteration)> progress;  // after every iteration of a restart, from 0 on
  std::function<bool()> cancelled;                // polled after every iteration

  void done(Index iteration) const {
    if (progress) progress(iteration);
  }
  bool stop() const { return cancelled && cancelled(); }
};

}  // namespace ganmm
