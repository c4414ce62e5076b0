// PNG images: single ones and grids of samples.
//
// Throws ShapeError for sizes that are not positive, IoError when the system refuses the write, and
// UnsupportedError in a build without libpng. Files appear as a whole or not at all.
#pragma once

#include "kernels/core/shape.h"

#include <cstdint>
#include <string>
#include <vector>

namespace ganmm::io {

bool has_png();  // whether this build writes PNG

// pixels: height x width bytes, or height x width x 3.
void write_png_grey(const std::string& path, Index width, Index height, const std::uint8_t* pixels);
void write_png_rgb(const std::string& path, Index width, Index height, const std::uint8_t* pixels);

struct Picture {
  Index width = 0;
  Index height = 0;
  Index channels = 1;                // 1 or 3
  std::vector<std::uint8_t> pixels;  // height x width x channels
};

// Tiles `count` images [H, W, C] row by row, `columns` to a row (fewer when count is), 2 grey
// pixels between them; free places at the end stay grey. Three channels give colour, otherwise the
// first channel is shown. lo..hi maps to 0..255, values outside are clamped, NaN is black.
// Throws also ConfigError unless lo < hi.
Picture make_sample_grid(const float* images, Index count, const Shape& item, Index columns,
                         float lo, float hi);
void write_sample_grid(const std::string& path, const float* images, Index count, const Shape& item,
                       Index columns, float lo, float hi);

}  // namespace ganmm::io
