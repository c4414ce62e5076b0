#include "kernels/warp.h"
#include "tests/reference/warp.h"
#include "tests/support/devices.h"
#include "tests/support/guard_buffer.h"
#include "tests/support/random_data.h"

namespace ganmm::kernels {
namespace {

using namespace ganmm::test;
using reference::at;

const RandomKey kKey{0x123456789abcdefu, Purpose::embedding_warp, 77, 5};
const std::vector<Shape> kItems{{1, 1, 1}, {1, 7, 2}, {5, 1, 1}, {6, 9, 3}, {28, 28, 1}};

}  // namespace

GANMM_DEVICE_CASE("warp: shifts, turns, slants and zooms follow the definition") {
  const std::vector<WarpSettings> settings{
      {.shift = 0.4},
      {.rotation = 90},
      {.slant = 0.8},
      {.zoom = 1},
      {.shift = 0.1, .rotation = 15, .slant = 0.2, .zoom = 0.1}};
  for (const Shape& item : kItems) {
    for (const WarpSettings& s : settings) {
      CAPTURE(to_string(item));
      CAPTURE(s.shift);
      constexpr Index groups = 2, batch = 3;
      const Values images = RandomData(1).reals<T>(groups * batch * item.count(), -1, 1);
      Values expected;
      for (Index g = 0; g < groups; ++g) {
        const auto first = images.begin() + g * batch * item.count();
        const Values own = reference::warp_images({first, first + batch * item.count()}, batch,
                                                  item, s, kKey, static_cast<std::uint32_t>(g));
        expected.insert(expected.end(), own.begin(), own.end());
      }
      for (const Layout layout : {Layout::packed, Layout::gaps}) {
        const Batch<T> x(ctx, groups, batch, item, images, layout);
        Batch<T> y(ctx, groups, batch, item, layout);
        warp_images<T>(ctx, y.view(), x.input(), s, kKey);
        // Coordinates are sums of some five numbers of at most a few sides, in single precision,
        // each with errors of functions of half a unit to two; a pixel apart values differ by 2.
        const auto side = static_cast<double>(std::max(item[0], item[1]));
        const double allowed = 2 * 2 * 40 * side * unit_roundoff<float>();
        check_within(y.get(), expected, Values(expected.size(), allowed));
      }
    }
  }
}

GANMM_DEVICE_CASE("warp: no amounts leave the images as they are, every image draws its own") {
  const Shape item{8, 6, 1};
  const Values image = RandomData(2).reals<T>(item.count(), 0, 1);
  Values images;
  for (int copy = 0; copy < 4; ++copy) images.insert(images.end(), image.begin(), image.end());
  const Batch<T> x(ctx, 2, 2, item, images);
  Batch<T> y(ctx, 2, 2, item);
  warp_images<T>(ctx, y.view(), x.input(), {}, kKey);
  CHECK(y.get() == images);
  warp_images<T>(ctx, y.view(), x.input(), {.shift = 0.3}, kKey);
  const Values warped = y.get();
  const auto part = [&](Index number) {
    const auto first = warped.begin() + number * item.count();
    return Values(first, first + item.count());
  };
  for (Index a = 0; a < 4; ++a) {
    for (Index b = 0; b < a; ++b) CHECK(part(a) != part(b));
  }
  // As a group of its own it draws what the key's next group does.
  Batch<T> alone(ctx, 1, 2, item);
  RandomKey next = kKey;
  ++next.first_group;
  warp_images<T>(ctx, alone.view(), x.input().slice(1, 1), {.shift = 0.3}, next);
  CHECK(alone.get() == Values(warped.begin() + 2 * item.count(), warped.end()));
}

GANMM_DEVICE_CASE("warp: more groups than a launch has blocks along an axis") {
  const Index groups = 70000;
  const Values images = RandomData(4).reals<T>(groups, 0, 1);
  const Batch<T> x(ctx, groups, 1, {1, 1, 1}, images);
  Batch<T> y(ctx, groups, 1, {1, 1, 1});
  warp_images<T>(ctx, y.view(), x.input(), {.shift = 0.3}, kKey);
  CHECK(y.get() == images);
}

TEST_CASE("warp: rows that are no images, and images of another size, are refused") {
  Context ctx;
  Batch<float> row(ctx, 1, 1, {12}), image(ctx, 1, 1, {3, 4, 1}), turned(ctx, 1, 1, {4, 3, 1});
  CHECK_THROWS_AS(warp_images<float>(ctx, row.view(), row.input(), {}, kKey), ShapeError);
  CHECK_THROWS_AS(warp_images<float>(ctx, turned.view(), image.input(), {}, kKey), ShapeError);
}

}  // namespace ganmm::kernels
