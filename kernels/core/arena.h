// Memory by plan, reserve, run.
//
// Plan: whoever needs memory asks an Arena for a Buffer by name and element count; nothing is
// allocated. Reserve: one slab is allocated and the arena is frozen. Run: buffers give pointers;
// a further request throws. So a training step cannot allocate, and the plan can be printed and
// checked before anything is.
//
// Scratch is the same for temporary memory inside an op: the largest need is announced while
// planning (`require_bytes`), and a Frame hands out and takes back pieces while running.
#pragma once

#include "kernels/core/device.h"
#include "kernels/core/shape.h"

#include <memory>
#include <string>
#include <vector>

namespace ganmm {

inline constexpr Index kArenaAlignment = 256;  // bytes; cuBLAS and 512-bit vectors both like it

// One owning allocation on a device.
class Slab {
 public:
  Slab(Device device, Index bytes);
  ~Slab();
  Slab(Slab&& other) noexcept;
  Slab& operator=(Slab&& other) noexcept;

  std::byte* data() const { return data_; }
  Index bytes() const { return bytes_; }

 private:
  Device device_;
  std::byte* data_ = nullptr;
  Index bytes_ = 0;
};

class Arena;

// A piece of an arena. Copyable, owns nothing, must not outlive its arena.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  T* data() const;  // throws ShapeError before the arena is reserved
  Index count() const { return count_; }
  Index bytes() const { return count_ * static_cast<Index>(sizeof(T)); }

 private:
  friend class Arena;
  Buffer(const Arena* arena, Index offset, Index count)
      : arena_(arena), offset_(offset), count_(count) {}
  const Arena* arena_ = nullptr;
  Index offset_ = 0;
  Index count_ = 0;
};

class Arena {
 public:
  explicit Arena(Device device = {}) : device_(device) {}
  Arena(const Arena&) = delete;  // buffers point to their arena
  Arena& operator=(const Arena&) = delete;

  template <class T>
  Buffer<T> request(std::string name, Index count) {
    const Index bytes = checked_multiply(count, static_cast<Index>(sizeof(T)));
    return Buffer<T>(this, request_bytes(std::move(name), bytes), count);
  }

  void reserve();  // allocates the slab, zeroed, and freezes the arena
  bool reserved() const { return slab_ != nullptr; }
  Index bytes() const { return bytes_; }
  Device device() const { return device_; }

  struct Request {
    std::string name;
    Index bytes;
  };
  const std::vector<Request>& requests() const { return requests_; }

 private:
  template <class T>
  friend class Buffer;
  Index request_bytes(std::string name, Index bytes);
  std::byte* at(Index offset) const;

  Device device_;
  Index bytes_ = 0;
  std::vector<Request> requests_;
  std::unique_ptr<Slab> slab_;
};

template <class T>
T* Buffer<T>::data() const {
  if (arena_ == nullptr) return nullptr;
  return reinterpret_cast<T*>(arena_->at(offset_));
}

class Scratch {
 public:
  explicit Scratch(Device device) : device_(device) {}

  // Planning: make room for at least this much in one frame (all its pieces together).
  void require_bytes(Index bytes);
  void reserve();                     // allocates the largest announced need and freezes
  void replan() { frozen_ = false; }  // another plan begins; what is reserved stays and may grow
  Index bytes() const { return bytes_; }

  // A scope in which pieces are taken; they are given back when it ends.
  class Frame {
   public:
    explicit Frame(Scratch& scratch) : scratch_(scratch), mark_(scratch.used_) {}
    ~Frame() { scratch_.used_ = mark_; }
    Frame(const Frame&) = delete;
    Frame& operator=(const Frame&) = delete;

    template <class T>
    T* take(Index count) {
      return reinterpret_cast<T*>(
          scratch_.take(checked_multiply(count, static_cast<Index>(sizeof(T)))));
    }

   private:
    Scratch& scratch_;
    Index mark_;
  };

 private:
  std::byte* take(Index bytes);

  Device device_;
  Index bytes_ = 0;
  Index used_ = 0;
  std::unique_ptr<Slab> slab_;
  bool frozen_ = false;
};

// Bytes that `count` elements occupy in an arena or a scratch frame, alignment included.
template <class T>
Index aligned_bytes(Index count) {
  const Index bytes = checked_multiply(count, static_cast<Index>(sizeof(T)));
  return checked_add(bytes, kArenaAlignment - 1) / kArenaAlignment * kArenaAlignment;
}

}  // namespace ganmm
