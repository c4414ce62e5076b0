#include "kernels/core/context.h"

#include <cstring>

namespace ganmm {

Context::Context(Device device, MathMode math) : device_(device), math_(math), scratch_(device) {
  if (device.kind == DeviceKind::cpu) {
    require<UnsupportedError>(math == MathMode::fp32, "math mode ", to_string(math),
                              " on the CPU: expected fp32, the only one this backend has; "
                              "choose --math fp32 or --backend cuda");
  } else {
    state_ = kernels::cuda::make_state(device, math);
    stream_.state_ = state_.get();
  }
}

void Context::copy_to_device(void* target, const void* source, std::size_t bytes) {
  if (bytes == 0) return;
  if (on_cpu()) {
    std::memcpy(target, source, bytes);
  } else {
    kernels::cuda::copy_to_device(*state_, target, source, bytes);
  }
}

void Context::copy_to_host(void* target, const void* source, std::size_t bytes) {
  if (bytes == 0) return;
  if (on_cpu()) {
    std::memcpy(target, source, bytes);
  } else {
    kernels::cuda::copy_to_host(*state_, target, source, bytes);
  }
}

void Context::copy(void* target, const void* source, std::size_t bytes) {
  if (bytes == 0) return;
  if (on_cpu()) {
    std::memcpy(target, source, bytes);
  } else {
    kernels::cuda::copy_on_device(*state_, target, source, bytes);
  }
}

void Context::clear(void* target, std::size_t bytes) {
  if (bytes == 0) return;
  if (on_cpu()) {
    std::memset(target, 0, bytes);
  } else {
    kernels::cuda::clear(*state_, target, bytes);
  }
}

}  // namespace ganmm
