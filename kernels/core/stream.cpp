#include "kernels/core/stream.h"

#include "kernels/core/context.h"

namespace ganmm {

void Event::record(Context& ctx) {
  if (ctx.on_cpu()) {
    event_.reset();
    time_ = std::chrono::steady_clock::now();
  } else {
    if (event_ == nullptr || !(device_ == ctx.device())) {
      event_ = kernels::cuda::make_event(ctx.backend());
    }
    kernels::cuda::record(*event_, ctx.backend());
  }
  device_ = ctx.device();
  recorded_ = true;
}

void Event::require_recorded(const char* attempt) const {
  require<ShapeError>(recorded_, attempt,
                      ": expected a recorded event, found one that marks "
                      "nothing; call record(context) first");
}

void Event::synchronize() const {
  require_recorded("waiting for an event");
  if (event_ != nullptr) event_->synchronize();
}

double Event::elapsed_ms_since(const Event& start) const {
  const char* attempt = "time between two events";
  require_recorded(attempt);
  start.require_recorded(attempt);
  require<ShapeError>(device_ == start.device_, attempt, ": expected both on one device, found ",
                      to_string(start.device_), " and ", to_string(device_),
                      "; record both on the same context");
  if (event_ != nullptr) return kernels::cuda::elapsed_ms(*start.event_, *event_);
  return std::chrono::duration<double, std::milli>(time_ - start.time_).count();
}

void Stream::synchronize() {
  if (state_ != nullptr) state_->synchronize();
}

void Stream::wait(const Event& event) {
  event.require_recorded("ordering work after an event");
  if (event.event_ == nullptr) return;  // done when it was recorded
  if (state_ == nullptr) {
    event.event_->synchronize();
  } else {
    kernels::cuda::wait(*state_, *event.event_);
  }
}

}  // namespace ganmm
