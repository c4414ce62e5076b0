// One line on a terminal that says how far the training is. Nothing on a pipe or in a file.
#pragma once

#include "ganmm/trainer.h"

#include <chrono>
#include <string>

namespace ganmm::tools {

class Progress {
 public:
  // `before` stands at the beginning of the line.
  Progress(const Settings& settings, bool wanted, std::string before = {});

  void iteration(Index iteration);          // as TrainerCallbacks::progress
  void embedding(Index step, Index steps);  // as FitCallbacks::embedding
  void report(const Report& report);
  void finish();  // clears the line

 private:
  using Clock = std::chrono::steady_clock;
  void draw(Clock::time_point now);

  Settings settings_;
  bool shown_;
  std::string before_;
  Index iteration_ = 0;
  bool pretraining_ = false;
  Index done_in_phase_ = 0;
  Clock::time_point phase_begin_;
  Clock::time_point drawn_{};
  double changed_ = 0;     // mean over the restarts at the last check
  double confidence_ = 0;  // the same
  bool checked_ = false;
};

}  // namespace ganmm::tools
