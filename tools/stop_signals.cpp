#include "tools/stop_signals.h"

namespace ganmm::tools {
namespace {

constexpr std::array kSignals{SIGINT, SIGTERM};
volatile sig_atomic_t received = 0;

extern "C" void remember(int signal) { received = signal; }

}  // namespace

StopSignals::StopSignals() {
  received = 0;
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    sigaction(kSignals[i], nullptr, &before_[i]);
    if (before_[i].sa_handler == SIG_IGN) continue;
    struct sigaction action {};
    action.sa_handler = remember;
    action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART;
    sigaction(kSignals[i], &action, nullptr);
  }
}

StopSignals::~StopSignals() {
  for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &before_[i], nullptr);
}

bool StopSignals::requested() const { return received != 0; }

int StopSignals::exit_code() const { return requested() ? 128 + received : 0; }

}  // namespace ganmm::tools
