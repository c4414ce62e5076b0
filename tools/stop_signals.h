// SIGINT and SIGTERM as a request to stop. While an object lives, the first signal is remembered;
// one more than a second later ends the program at once. A signal that the caller ignores stays
// ignored.
#pragma once

#include <signal.h>

#include <array>

namespace ganmm::tools {

class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  bool requested() const;
  int exit_code() const;  // 0, or 128 + the signal's number: 130, 143

 private:
  std::array<struct sigaction, 2> before_{};
};

}  // namespace ganmm::tools
