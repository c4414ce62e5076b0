// Warped images from the definition in kernels/warp.h, one pixel at a time, in double.
#pragma once

#include "kernels/warp.h"
#include "tests/reference/random.h"
#include "tests/reference/values.h"

#include <algorithm>
#include <cmath>

namespace ganmm::reference {

// images [B][H][W][C] of one group.
inline Values warp_images(const Values& images, Index batch, Shape item,
                          const kernels::WarpSettings& s, const RandomKey& key,
                          std::uint32_t group) {
  const Index height = item[0], width = item[1], channels = item[2];
  Values result;
  for (Index b = 0; b < batch; ++b) {
    const auto draw = [&](Index number) {
      const std::uint32_t own = word(key, group, static_cast<std::uint64_t>(8 * b + number));
      return 2 * static_cast<double>(own >> 8) / 16777216 - 1;
    };
    const double angle = s.rotation * std::acos(-1.0) / 180 * draw(2), slant = s.slant * draw(3);
    const double zoom_row = std::exp(s.zoom * draw(4)), zoom_col = std::exp(s.zoom * draw(5));
    const double half_row = static_cast<double>(height - 1) / 2;
    const double half_col = static_cast<double>(width - 1) / 2;
    const auto pixel = [&](Index row, Index col, Index channel) {
      return images[at(((b * height + row) * width + col) * channels + channel)];
    };
    for (Index e = 0; e < item.count(); ++e) {
      const double i = static_cast<double>(e / channels / width) - half_row;
      const double j = static_cast<double>(e / channels % width) - half_col;
      const double up = zoom_row * i, across = zoom_col * j;
      const double row = half_row + static_cast<double>(height) * s.shift * draw(0) +
                         std::cos(angle) * up + std::sin(angle) * across;
      const double col = half_col + static_cast<double>(width) * s.shift * draw(1) -
                         std::sin(angle) * up + std::cos(angle) * across + slant * up;
      const double y = std::clamp(row, 0.0, static_cast<double>(height - 1));
      const double x = std::clamp(col, 0.0, static_cast<double>(width - 1));
      // A weight for every pixel of the image: 1 at its place, 0 a pixel further.
      double value = 0;
      for (Index r = 0; r < height; ++r) {
        for (Index c = 0; c < width; ++c) {
          const double weight = std::max(0.0, 1 - std::abs(y - static_cast<double>(r))) *
                                std::max(0.0, 1 - std::abs(x - static_cast<double>(c)));
          if (weight > 0) value += weight * pixel(r, c, e % channels);
        }
      }
      result.push_back(value);
    }
  }
  return result;
}

}  // namespace ganmm::reference
