#include "kernels/core/arena.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

namespace ganmm {
namespace {

bool aligned(const void* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer) % kArenaAlignment == 0;
}

}  // namespace

TEST_CASE("arena: planning allocates nothing and counts aligned bytes") {
  Arena arena;
  const auto first = arena.request<float>("first", 1);
  const auto second = arena.request<double>("second", 33);
  CHECK_FALSE(arena.reserved());
  CHECK(arena.bytes() == 256 + 512);
  CHECK(arena.bytes() == aligned_bytes<float>(1) + aligned_bytes<double>(33));
  CHECK(first.count() == 1);
  CHECK(second.bytes() == 33 * 8);
  REQUIRE(arena.requests().size() == 2);
  CHECK(arena.requests()[1].name == "second");
  CHECK(arena.requests()[1].bytes == 33 * 8);
  CHECK_THROWS_AS(first.data(), ShapeError);
}

TEST_CASE("arena: buffers are aligned, disjoint, cleared and within the slab") {
  Arena arena;
  const auto a = arena.request<float>("a", 65);
  const auto b = arena.request<std::int32_t>("b", 0);
  const auto c = arena.request<double>("c", 100);
  arena.reserve();
  CHECK(aligned(a.data()));
  CHECK(aligned(b.data()));
  CHECK(aligned(c.data()));
  CHECK(std::count(a.data(), a.data() + 65, 0.0f) == 65);
  CHECK(std::count(c.data(), c.data() + 100, 0.0) == 100);
  std::fill(a.data(), a.data() + 65, 1.0f);
  CHECK(std::count(c.data(), c.data() + 100, 0.0) == 100);
  std::fill(c.data(), c.data() + 100, 2.0);
  CHECK(std::count(a.data(), a.data() + 65, 1.0f) == 65);
  const auto* begin = reinterpret_cast<const std::byte*>(a.data());
  CHECK(reinterpret_cast<const std::byte*>(c.data() + 100) - begin <= arena.bytes());
}

TEST_CASE("arena: a request or a second reservation after reserving throws") {
  Arena arena;
  const auto early = arena.request<float>("early", 4);
  arena.reserve();
  CHECK_THROWS_AS(arena.request<float>("late", 4), ShapeError);
  CHECK_THROWS_AS(arena.reserve(), ShapeError);
  CHECK(arena.requests().size() == 1);
  CHECK(early.data() != nullptr);
}

TEST_CASE("arena: an arena without requests reserves, a default buffer is null") {
  Arena arena;
  CHECK_NOTHROW(arena.reserve());
  CHECK(arena.reserved());
  CHECK(Buffer<float>().data() == nullptr);
}

TEST_CASE("arena: sizes that overflow are refused while planning") {
  Arena arena;
  constexpr Index kMost = std::numeric_limits<Index>::max();
  CHECK_THROWS_AS(arena.request<double>("huge", kMost / 4), ShapeError);
  CHECK_THROWS_AS(arena.request<double>("negative", -1), ShapeError);
  CHECK_THROWS_AS(arena.request<std::byte>("unaligned", kMost - 100), ShapeError);
  arena.request<std::byte>("half", kMost / 2);
  CHECK_THROWS_AS(arena.request<std::byte>("other half", kMost / 2), ShapeError);
  CHECK(arena.requests().size() == 1);
  CHECK(arena.bytes() == aligned_bytes<std::byte>(kMost / 2));
}

TEST_CASE("arena: a slab moves its memory") {
  Slab slab({}, 1024);
  std::byte* data = slab.data();
  CHECK(aligned(data));
  Slab other(std::move(slab));
  CHECK(other.data() == data);
  CHECK(other.bytes() == 1024);
  Slab third({}, 256);
  third = std::move(other);
  CHECK(third.data() == data);
}

TEST_CASE("scratch: the largest announced need is what a frame can take") {
  Scratch scratch({});
  scratch.require_bytes(512);
  scratch.require_bytes(1024);
  scratch.require_bytes(256);
  CHECK(scratch.bytes() == 1024);
  scratch.reserve();
  Scratch::Frame frame(scratch);
  float* first = frame.take<float>(128);
  float* second = frame.take<float>(100);
  CHECK(aligned(first));
  CHECK(aligned(second));
  CHECK(second == first + 128);
  second[99] = 1.0f;
  CHECK_THROWS_AS(frame.take<float>(1), ShapeError);
}

TEST_CASE("scratch: pieces return when their frame ends, also of nested frames") {
  Scratch scratch({});
  scratch.require_bytes(3 * 256);
  scratch.reserve();
  Scratch::Frame outer(scratch);
  std::byte* held = outer.take<std::byte>(256);
  std::byte* inner_piece = nullptr;
  {
    Scratch::Frame inner(scratch);
    inner_piece = inner.take<std::byte>(512);
    CHECK(inner_piece == held + 256);
    CHECK_THROWS_AS(inner.take<std::byte>(1), ShapeError);
  }
  {
    Scratch::Frame again(scratch);
    CHECK(again.take<std::byte>(512) == inner_piece);
  }
  CHECK(outer.take<std::byte>(512) == inner_piece);
}

TEST_CASE("scratch: taking what was never announced or reserved throws") {
  Scratch planned({});
  planned.require_bytes(256);
  {
    Scratch::Frame frame(planned);
    CHECK_THROWS_AS(frame.take<float>(1), ShapeError);
  }
  planned.reserve();
  CHECK_THROWS_AS(planned.require_bytes(512), ShapeError);
  Scratch nothing({});
  nothing.reserve();
  Scratch::Frame frame(nothing);
  CHECK_THROWS_AS(frame.take<float>(1), ShapeError);
}

}  // namespace ganmm
