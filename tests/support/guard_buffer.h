// Tensors for tests, on the device of a Context, that notice misuse.
//
// Around every tensor and in every gap between rows and groups lie sentinels that must keep their
// bits. Outputs start full of sentinels as well. A sentinel of a floating type is a NaN with its
// own payload: whatever is computed from memory that nobody wrote is NaN and fails its comparison.
// Inputs must keep their bits. Under the address sanitizer the guards may not even be read.
#pragma once

#include "kernels/core/context.h"
#include "kernels/core/view.h"
#include "tests/support/tolerances.h"

#include <cstdint>
#include <type_traits>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace ganmm::test {

// Different for every position of every buffer, so that a gap copied onto a gap is noticed.
template <class T>
T sentinel(std::uint32_t buffer, Index position) {
  const std::uint32_t tag = (buffer * 40503u + static_cast<std::uint32_t>(position)) & 0x3fffffu;
  T value;
  if constexpr (std::is_same_v<T, float>) {
    const std::uint32_t bits = 0x7fc00000u | tag;
    std::memcpy(&value, &bits, sizeof value);
  } else if constexpr (std::is_same_v<T, double>) {
    const std::uint64_t bits = 0x7ff8000000000000u | tag;
    std::memcpy(&value, &bits, sizeof value);
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    value.bits = static_cast<std::uint16_t>(0x7fc0u | (tag & 0x3fu));
  } else {
    static_assert(std::is_same_v<T, std::int32_t>);
    value = std::numeric_limits<std::int32_t>::min() + static_cast<std::int32_t>(tag);
  }
  return value;
}

template <class T>
class GuardBuffer {
 public:
  GuardBuffer(Context& ctx, Index count)
      : ctx_(ctx), count_(count), image_(static_cast<std::size_t>(count + 2 * kGuard)),
        slab_(ctx.device(), (count + 2 * kGuard) * static_cast<Index>(sizeof(T))) {
    static std::uint32_t buffers = 0;
    const std::uint32_t id = ++buffers;
    for (std::size_t i = 0; i < image_.size(); ++i)
      image_[i] = sentinel<T>(id, static_cast<Index>(i));
    upload();
  }
  // An input: `values` may not be changed by anyone.
  GuardBuffer(Context& ctx, const std::vector<T>& values)
      : GuardBuffer(ctx, static_cast<Index>(values.size())) {
    set(values);
    freeze();
  }
  ~GuardBuffer() {
    const std::vector<T> now = memory();
    for (Index i = 0; i < count_ + 2 * kGuard; ++i) {
      const bool guard = i < kGuard || i >= kGuard + count_;
      if ((guard || constant_) && changed(now, i)) {
        CHECK_MESSAGE(false,
                      (guard ? "write outside a tensor, element " : "write to input element "),
                      i - kGuard, " of ", count_);
        break;
      }
    }
    protect(false);
  }
  GuardBuffer(const GuardBuffer&) = delete;
  GuardBuffer& operator=(const GuardBuffer&) = delete;

  T* data() const { return reinterpret_cast<T*>(slab_.data()) + kGuard; }
  Index count() const { return count_; }
  void freeze() { constant_ = true; }

  // The host's copy of element i: what was last uploaded or downloaded.
  T& host(Index i) { return image_[static_cast<std::size_t>(kGuard + i)]; }
  void set(const std::vector<T>& values) {
    require<ShapeError>(static_cast<Index>(values.size()) == count_, "test data: expected ", count_,
                        " values, found ", values.size());
    std::copy(values.begin(), values.end(), image_.begin() + kGuard);
    upload();
  }
  std::vector<T> get() const {
    const std::vector<T> now = memory();
    return {now.begin() + kGuard, now.begin() + kGuard + count_};
  }
  void upload() {
    protect(false);
    ctx_.copy_to_device(slab_.data(), image_.data(), image_.size() * sizeof(T));
    ctx_.synchronize();
    protect(true);
  }
  // Whether element i still has the bits that were last uploaded.
  bool kept(const std::vector<T>& now, Index i) const {
    return std::memcmp(&now[static_cast<std::size_t>(i)],
                       &image_[static_cast<std::size_t>(kGuard + i)], sizeof(T)) == 0;
  }

 private:
  // 256 bytes or more on each side: the alignment of an arena, and wider than any vector store.
  static constexpr Index kGuard = 64;

  std::vector<T> memory() const {
    std::vector<T> now(image_.size());
    protect(false);
    ctx_.copy_to_host(now.data(), slab_.data(), now.size() * sizeof(T));
    protect(true);
    return now;
  }
  bool changed(const std::vector<T>& now, Index i) const {
    return std::memcmp(&now[static_cast<std::size_t>(i)], &image_[static_cast<std::size_t>(i)],
                       sizeof(T)) != 0;
  }
  void protect([[maybe_unused]] bool on) const {
#if defined(__SANITIZE_ADDRESS__)
    if (!ctx_.on_cpu()) return;
    constexpr auto guard_bytes = static_cast<std::size_t>(kGuard) * sizeof(T);
    if (on) {
      ASAN_POISON_MEMORY_REGION(slab_.data(), guard_bytes);
      ASAN_POISON_MEMORY_REGION(data() + count_, guard_bytes);
    } else {
      ASAN_UNPOISON_MEMORY_REGION(slab_.data(), image_.size() * sizeof(T));
    }
#endif
  }

  Context& ctx_;
  Index count_;
  bool constant_ = false;
  std::vector<T> image_;
  Slab slab_;
};

// How the rows of a tensor lie in memory.
enum class Layout {
  packed,
  group_gaps,  // rows contiguous, elements between groups that belong to nobody
  gaps,        // between rows too
  shared,      // group stride 0: inputs only
};

inline const std::vector<Layout> kOutputLayouts = {Layout::packed, Layout::gaps};
inline const std::vector<Layout> kInputLayouts = {Layout::packed, Layout::gaps, Layout::shared};

// [N][B][item...] in guarded memory. Values pass in and out as packed doubles.
template <class T>
class Batch {
 public:
  // An output, full of poison.
  Batch(Context& ctx, Index groups, Index batch, Shape item, Layout layout = Layout::packed)
      : groups_(groups), batch_(batch), item_(item),
        batch_stride_(item.count() + (layout == Layout::gaps ? 3 : 0)),
        group_stride_(layout == Layout::shared
                          ? 0
                          : batch * batch_stride_ + (layout == Layout::packed ? 0 : 5)),
        buffer_(ctx, (layout == Layout::shared ? 1 : groups) * batch * batch_stride_ +
                         (layout == Layout::shared || layout == Layout::packed ? 0 : 5 * groups)) {}
  // An input. With Layout::shared, `values` holds one group.
  Batch(Context& ctx, Index groups, Index batch, Shape item, const Values& values,
        Layout layout = Layout::packed)
      : Batch(ctx, groups, batch, item, layout) {
    set(values);
    buffer_.freeze();
  }

  GroupView<T> view() const {
    return {buffer_.data(), groups_, batch_, item_, group_stride_, batch_stride_};
  }
  GroupView<const T> input() const { return view(); }

  void set(const Values& values) {
    const Index stored = group_stride_ == 0 && groups_ > 0 ? 1 : groups_;
    const Index features = item_.count();
    require<ShapeError>(static_cast<Index>(values.size()) == stored * batch_ * features,
                        "test data: expected ", stored * batch_ * features, " values, found ",
                        values.size());
    for (Index i = 0; i < stored * batch_ * features; ++i) {
      buffer_.host(place(i)) = static_cast<T>(values[static_cast<std::size_t>(i)]);
    }
    buffer_.upload();
  }
  // Packed [N][B][item]; a shared group is repeated. Checks the gaps.
  Values get() const {
    const std::vector<T> now = buffer_.get();
    std::vector<bool> used(now.size(), false);
    const Index count = groups_ * batch_ * item_.count();
    Values values(static_cast<std::size_t>(count));
    for (Index i = 0; i < count; ++i) {
      const auto at = static_cast<std::size_t>(place(i));
      used[at] = true;
      values[static_cast<std::size_t>(i)] = static_cast<double>(now[at]);
    }
    for (std::size_t at = 0; at < now.size(); ++at) {
      if (used[at] || buffer_.kept(now, static_cast<Index>(at))) continue;
      CHECK_MESSAGE(false, "write into a gap between rows, element ", at);
      break;
    }
    return values;
  }
  std::vector<T> bits() const { return buffer_.get(); }

 private:
  Index place(Index i) const {
    const Index features = item_.count();
    const Index row = i / features;
    return row / batch_ * group_stride_ + row % batch_ * batch_stride_ + i % features;
  }

  Index groups_, batch_;
  Shape item_;
  Index batch_stride_, group_stride_;
  GuardBuffer<T> buffer_;
};

// [N][shape...] in guarded memory.
template <class T>
class Param {
 public:
  Param(Context& ctx, Index groups, Shape shape, Layout layout = Layout::packed)
      : shape_(shape), rows_(ctx, groups, 1, shape, layout) {}
  Param(Context& ctx, Index groups, Shape shape, const Values& values,
        Layout layout = Layout::packed)
      : shape_(shape), rows_(ctx, groups, 1, shape, values, layout) {}

  ParamView<T> view() const {
    const GroupView<T> rows = rows_.view();
    return {rows.data, rows.groups, shape_, rows.group_stride};
  }
  ParamView<const T> input() const { return view(); }
  void set(const Values& values) { rows_.set(values); }
  Values get() const { return rows_.get(); }
  std::vector<T> bits() const { return rows_.bits(); }

 private:
  Shape shape_;
  Batch<T> rows_;
};

// One group of values repeated for every group: what a shared input means.
inline Values repeated(const Values& group, Index groups) {
  Values values;
  for (Index g = 0; g < groups; ++g) values.insert(values.end(), group.begin(), group.end());
  return values;
}

}  // namespace ganmm::test
