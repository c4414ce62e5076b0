#include "io/png.h"

#include "io/atomic_file.h"

#include <algorithm>
#include <cmath>

#ifndef GANMM_HAVE_PNG
#define GANMM_HAVE_PNG 0
#endif
#if GANMM_HAVE_PNG
#include <png.h>
#endif

namespace ganmm::io {
namespace {

constexpr Index kGap = 2;
constexpr std::uint8_t kGapGrey = 128;
constexpr Index kLongestSide = 1'000'000;  // libpng's own limit

void write_png(const std::string& path, Index width, Index height, Index channels,
               const std::uint8_t* pixels) {
  require<ShapeError>(width > 0 && height > 0 && width <= kLongestSide && height <= kLongestSide,
                      "write ", path, ": expected sides from 1 to ", kLongestSide,
                      " pixels, found ", width, " x ", height);
#if GANMM_HAVE_PNG
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width);
  image.height = static_cast<png_uint_32>(height);
  image.format = channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  // libpng's simplified interface reports errors by return value, where the other one jumps over
  // destructors. Compressing into memory first leaves the file to AtomicFile.
  png_alloc_size_t bytes = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::vector<char> encoded(bytes);
  const bool done =
      png_image_write_to_memory(&image, encoded.data(), &bytes, 0, pixels, 0, nullptr) != 0;
  require<IoError>(done, "write ", path, ": libpng failed (", image.message, ")");
  AtomicFile file(path);
  file.stream().write(encoded.data(), static_cast<std::streamsize>(bytes));
  file.commit();
#else
  static_cast<void>(channels);
  static_cast<void>(pixels);
  throw UnsupportedError(message("write ", path, ": this build lacks libpng, which images need; ",
                                 "install it and build again"));
#endif
}

std::uint8_t to_byte(float value, float lo, float hi) {
  const float unit = (value - lo) / (hi - lo);
  if (!(unit > 0)) return 0;
  return static_cast<std::uint8_t>(std::lround(std::min(unit, 1.0F) * 255));
}

}  // namespace

bool has_png() { return GANMM_HAVE_PNG != 0; }

void write_png_grey(const std::string& path, Index width, Index height,
                    const std::uint8_t* pixels) {
  write_png(path, width, height, 1, pixels);
}

void write_png_rgb(const std::string& path, Index width, Index height, const std::uint8_t* pixels) {
  write_png(path, width, height, 3, pixels);
}

Picture make_sample_grid(const float* images, Index count, const Shape& item, Index columns,
                         float lo, float hi) {
  require<ShapeError>(count > 0 && columns > 0 && item.rank() == 3 && item.count() > 0,
                      "sample grid: expected images [H, W, C] in columns, found ", count, " of ",
                      to_string(item), " in ", columns);
  require<ConfigError>(lo < hi, "sample grid: expected lo < hi, found ", lo, " and ", hi);
  const Index high = item[0];
  const Index wide = item[1];
  const Index depth = item[2];
  columns = std::min(columns, count);
  const Index rows = (count + columns - 1) / columns;
  Picture picture;
  picture.width = checked_multiply(columns, wide + kGap) - kGap;
  picture.height = checked_multiply(rows, high + kGap) - kGap;
  picture.channels = depth == 3 ? 3 : 1;
  const Index size =
      checked_multiply(checked_multiply(picture.width, picture.height), picture.channels);
  picture.pixels.assign(static_cast<std::size_t>(size), kGapGrey);

  for (Index i = 0; i < count; ++i) {
    const Index top = i / columns * (high + kGap);
    const Index left = i % columns * (wide + kGap);
    const float* image = images + i * item.count();
    for (Index y = 0; y < high; ++y) {
      std::uint8_t* out =
          picture.pixels.data() + ((top + y) * picture.width + left) * picture.channels;
      for (Index x = 0; x < wide; ++x) {
        const float* pixel = image + (y * wide + x) * depth;
        for (Index c = 0; c < picture.channels; ++c) *out++ = to_byte(pixel[c], lo, hi);
      }
    }
  }
  return picture;
}

void write_sample_grid(const std::string& path, const float* images, Index count, const Shape& item,
                       Index columns, float lo, float hi) {
  const Picture picture = make_sample_grid(images, count, item, columns, lo, hi);
  write_png(path, picture.width, picture.height, picture.channels, picture.pixels.data());
}

}  // namespace ganmm::io
