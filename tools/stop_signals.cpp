#include "tools/stop_signals.h"

#include <ctime>

namespace ganmm::tools {
namespace {

constexpr std::array kSignals{SIGINT, SIGTERM};
volatile sig_atomic_t received = 0;

timespec first = {};  // when it was received

// timeout(1) and a terminal's process group send one request twice: what follows within a second is
// the same request (clock ticks of whole seconds make it up to two), later ones end the program.
extern "C" void remember(int signal) {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  if (received == 0) {
    first = now;
    received = signal;
  } else if (now.tv_sec - first.tv_sec > 1) {
    ::signal(signal, SIG_DFL);
    raise(signal);
  }
}

}  // namespace

StopSignals::StopSignals() {
  received = 0;
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    sigaction(kSignals[i], nullptr, &before_[i]);
    if (before_[i].sa_handler == SIG_IGN) continue;
    struct sigaction action {};
    action.sa_handler = remember;
    action.sa_flags = SA_RESTART;
    sigaction(kSignals[i], &action, nullptr);
  }
}

StopSignals::~StopSignals() {
  for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &before_[i], nullptr);
}

bool StopSignals::requested() const { return received != 0; }

int StopSignals::exit_code() const { return requested() ? 128 + received : 0; }

}  // namespace ganmm::tools
