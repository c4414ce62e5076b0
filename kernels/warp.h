// Images seen a little differently: random small shifts, turns, slants and changes of size, for
// nets that should not care about them.
#pragma once

#include "kernels/core/context.h"
#include "kernels/core/rng.h"
#include "kernels/core/view.h"

#include <cmath>

namespace ganmm::kernels {

// Largest amounts, in either direction; each image draws its own, evenly.
struct WarpSettings {
  double shift = 0;     // along either side, in sides
  double rotation = 0;  // in degrees
  double slant = 0;     // horizontal shift per row
  double zoom = 0;      // logarithm of the change of size, along either side by itself
};

// y = x, warped. Pixel (i, j) of y is x at
//
//   (i', j') = (H s_0, W s_1) + R(angle) diag(e^z_0, e^z_1) (i, j) + (0, slant e^z_0 i),
//
// all coordinates from the centre of the image, R the rotation; between pixels bilinear, beyond the
// border as on it. s_0, s_1, angle and slant are words 0 to 3 of the image's quad 2 b of the key's
// numbers for its group, z_0 and z_1 the first two of quad 2 b + 1 (kernels/core/rng.h), each an
// even draw from [-1, 1) times its amount. Coordinates are in single precision, also of double.
// Shapes x, y [N][B][H][W][C]. No aliasing. Throws ShapeError.
template <class T>
void warp_images(Context& ctx, GroupView<T> y, GroupView<const T> x, const WarpSettings& settings,
                 const RandomKey& key);

// What the backends share: the map of one image and the value of one pixel.
struct WarpAmounts {
  float row_shift, col_shift, angle, slant, zoom;  // in pixels, radians, and as above
};

inline WarpAmounts warp_amounts(const WarpSettings& s, Shape item) {
  constexpr double radians = 3.14159265358979323846 / 180;
  return {static_cast<float>(s.shift * static_cast<double>(item[0])),
          static_cast<float>(s.shift * static_cast<double>(item[1])),
          static_cast<float>(s.rotation * radians), static_cast<float>(s.slant),
          static_cast<float>(s.zoom)};
}

struct WarpMap {
  float row_shift, col_shift;
  float row_row, row_col, col_row, col_col;  // of the source's row and column in i and j
};

GANMM_HOST_DEVICE static inline WarpMap warp_map(const WarpAmounts& a, const RandomKey& key,
                                                 std::uint32_t group, std::uint32_t image) {
  const Philox first = philox(key, group, 2 * image), second = philox(key, group, 2 * image + 1);
  const auto even = [](std::uint32_t word) { return 2 * uniform01(word) - 1; };
  const float angle = a.angle * even(first.word[2]), slant = a.slant * even(first.word[3]);
  const float rows = std::exp(a.zoom * even(second.word[0]));
  const float cols = std::exp(a.zoom * even(second.word[1]));
  const float cosine = std::cos(angle), sine = std::sin(angle);
  return {a.row_shift * even(first.word[0]),
          a.col_shift * even(first.word[1]),
          cosine * rows,
          sine * cols,
          (slant - sine) * rows,
          cosine * cols};
}

// Pixel (row, col), channel by its offset, of the warped image.
template <class T>
GANMM_HOST_DEVICE static inline T warped_pixel(const T* image, Index rows, Index cols,
                                               Index channels, const WarpMap& map, Index row,
                                               Index col) {
  const float centre_row = 0.5f * static_cast<float>(rows - 1);
  const float centre_col = 0.5f * static_cast<float>(cols - 1);
  const float i = static_cast<float>(row) - centre_row, j = static_cast<float>(col) - centre_col;
  const auto within = [](float at, Index extent) {
    const auto last = static_cast<float>(extent - 1);
    return at < 0 ? 0.0f : at > last ? last : at;
  };
  const float y = within(centre_row + map.row_shift + map.row_row * i + map.row_col * j, rows);
  const float x = within(centre_col + map.col_shift + map.col_row * i + map.col_col * j, cols);
  const auto top = static_cast<Index>(y), left = static_cast<Index>(x);
  const Index below = top + 1 < rows ? cols * channels : 0, right = left + 1 < cols ? channels : 0;
  const T down = static_cast<T>(y - static_cast<float>(top));
  const T across = static_cast<T>(x - static_cast<float>(left));
  const T* corner = image + (top * cols + left) * channels;
  const T upper = corner[0] + across * (corner[right] - corner[0]);
  const T lower = corner[below] + across * (corner[below + right] - corner[below]);
  return upper + down * (lower - upper);
}

}  // namespace ganmm::kernels
