#include "tools/progress.h"

#include <unistd.h>

#include <iomanip>
#include <iostream>
#include <sstream>
#include <utility>

namespace ganmm::tools {
namespace {

constexpr std::chrono::milliseconds kRedrawInterval{100};
constexpr const char* kClearLine = "\r\x1b[K";

std::string duration(double seconds) {
  const auto whole = static_cast<Index>(seconds);
  std::ostringstream text;
  text << std::setfill('0');
  if (whole >= 3600) text << whole / 3600 << ':' << std::setw(2);
  text << whole / 60 % 60 << ':' << std::setw(2) << whole % 60;
  return text.str();
}

}  // namespace

Progress::Progress(const Settings& settings, bool wanted, std::string before)
    : settings_(settings), shown_(wanted && ::isatty(STDERR_FILENO) == 1),
      before_(std::move(before)), pretraining_(settings.pretrain > 0), phase_begin_(Clock::now()) {}

void Progress::iteration(Index iteration) {
  if (!shown_) return;
  const auto now = Clock::now();
  iteration_ = iteration;
  if (pretraining_ && iteration >= 0) {
    pretraining_ = false;
    phase_begin_ = now;
    done_in_phase_ = 0;
  }
  ++done_in_phase_;
  if (now - drawn_ >= kRedrawInterval) draw(now);
}

void Progress::embedding(Index step, Index steps) {
  const auto now = Clock::now();
  if (step == 1) {
    phase_begin_ = now;
    done_in_phase_ = 0;
    pretraining_ = settings_.pretrain > 0;
  }
  if (!shown_ || (now - drawn_ < kRedrawInterval && step < steps)) return;
  drawn_ = now;
  const double elapsed = std::chrono::duration<double>(now - phase_begin_).count();
  std::cerr << kClearLine << before_ << "autoencoder " << step << '/' << steps << "  "
            << duration(elapsed / static_cast<double>(step) * static_cast<double>(steps - step))
            << " left" << std::flush;
  if (step == steps) phase_begin_ = now;
}

void Progress::report(const Report& report) {
  changed_ = 0;
  confidence_ = 0;
  for (const Report::Mixture& mixture : report.mixtures) {
    changed_ += mixture.changed / static_cast<double>(report.mixtures.size());
    confidence_ += mixture.confidence / static_cast<double>(report.mixtures.size());
  }
  checked_ = true;
}

void Progress::finish() {
  if (shown_) std::cerr << kClearLine << std::flush;
}

void Progress::draw(Clock::time_point now) {
  drawn_ = now;
  const double elapsed = std::chrono::duration<double>(now - phase_begin_).count();
  const double rate = elapsed > 0 ? static_cast<double>(done_in_phase_) / elapsed : 0;
  std::ostringstream line;
  line << std::fixed;
  if (pretraining_) {
    line << "pre-training " << settings_.pretrain + iteration_ + 1 << '/' << settings_.pretrain;
  } else {
    line << (settings_.method == Method::kmeans ? "k-means "
             : settings_.method == Method::dec  ? "DEC "
                                                : "EM ")
         << iteration_ + 1 << '/' << settings_.iterations;
  }
  if (checked_) {
    line << std::setprecision(2) << "  changed " << 100 * changed_ << " %  confidence "
         << std::setprecision(3) << confidence_;
  }
  if (rate > 0) {
    // EM iterations cost a little more than those before; the stopping rule may end them early.
    const auto left = static_cast<double>(settings_.iterations - iteration_ - 1);
    line << std::setprecision(1) << "  " << rate << " iterations/s  at most "
         << duration(left / rate) << " left";
  }
  std::cerr << kClearLine << before_ << line.str() << std::flush;
}

}  // namespace ganmm::tools
