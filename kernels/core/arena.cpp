#include "kernels/core/arena.h"

#include "kernels/core/backend.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace ganmm {

Slab::Slab(Device device, Index bytes) : device_(device), bytes_(bytes) {
  const auto size = static_cast<std::size_t>(bytes);
  void* memory = device.kind == DeviceKind::cpu ? kernels::cpu::allocate(size)
                                                : kernels::cuda::allocate(device, size);
  data_ = static_cast<std::byte*>(memory);
}

Slab::~Slab() {
  if (data_ == nullptr) return;
  if (device_.kind == DeviceKind::cpu) {
    kernels::cpu::release(data_);
  } else {
    kernels::cuda::release(device_, data_);
  }
}

Slab::Slab(Slab&& other) noexcept
    : device_(other.device_), data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)) {}

Slab& Slab::operator=(Slab&& other) noexcept {
  std::swap(device_, other.device_);
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

Index Arena::request_bytes(std::string name, Index bytes) {
  require<ShapeError>(!reserved(), "memory request '", name, "' of ", bytes,
                      " bytes after the arena was reserved: expected all requests while planning");
  const Index offset = bytes_;
  bytes_ = checked_add(bytes_, aligned_bytes<std::byte>(bytes));
  requests_.push_back({std::move(name), bytes});
  return offset;
}

void Arena::reserve() {
  require<ShapeError>(!reserved(), "arena reserved twice: expected one reservation after planning");
  try {
    // Asked first: an allocation that fails late would have pushed other work off the device.
    if (device_.kind == DeviceKind::cuda) {
      const auto free = static_cast<Index>(kernels::cuda::free_bytes(device_));
      require<OutOfMemoryError>(bytes_ <= free, "memory plan on ", to_string(device_), ": ", bytes_,
                                " bytes needed, ", free,
                                " free; use a smaller batch, pool or width, or fewer restarts");
    }
    slab_ = std::make_unique<Slab>(device_, std::max<Index>(bytes_, kArenaAlignment));
  } catch (const OutOfMemoryError& error) {
    auto largest = requests_;
    std::sort(largest.begin(), largest.end(),
              [](const Request& a, const Request& b) { return a.bytes > b.bytes; });
    std::string consumers;
    for (std::size_t i = 0; i < std::min<std::size_t>(3, largest.size()); ++i) {
      consumers +=
          message(i == 0 ? "" : ", ", largest[i].name, " ", largest[i].bytes >> 20, " MiB");
    }
    throw OutOfMemoryError(message(error.what(), "; largest requests: ", consumers));
  }
  if (device_.kind == DeviceKind::cpu) {
    std::memset(slab_->data(), 0, static_cast<std::size_t>(slab_->bytes()));
  } else {
    kernels::cuda::clear_now(device_, slab_->data(), static_cast<std::size_t>(slab_->bytes()));
  }
}

std::byte* Arena::at(Index offset) const {
  require<ShapeError>(reserved(), "arena buffer read before the arena was reserved");
  return slab_->data() + offset;
}

void Scratch::require_bytes(Index bytes) {
  require<ShapeError>(!frozen_, "scratch request of ", bytes,
                      " bytes after scratch was reserved: expected all requests while planning");
  bytes_ = std::max(bytes_, bytes);
}

void Scratch::reserve() {
  frozen_ = true;
  if (bytes_ > (slab_ == nullptr ? 0 : slab_->bytes())) {
    slab_ = std::make_unique<Slab>(device_, bytes_);
  }
}

std::byte* Scratch::take(Index bytes) {
  const Index used = checked_add(used_, aligned_bytes<std::byte>(bytes));
  require<ShapeError>(used <= bytes_ && slab_ != nullptr, "scratch memory: ", used,
                      " bytes needed, ", slab_ == nullptr ? 0 : bytes_,
                      " reserved; the op's workspace was not announced while planning");
  std::byte* piece = slab_->data() + used_;
  used_ = used;
  return piece;
}

}  // namespace ganmm
