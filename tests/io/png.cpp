#include "io/png.h"

#include "tests/io/files.h"

#include <limits>

using namespace ganmm;
using namespace ganmm::io;
using namespace ganmm::io::test;

namespace {

using Bytes = std::vector<std::uint8_t>;

std::uint32_t big_endian(const std::string& bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<std::uint8_t>(bytes[at + i]);
  return value;
}

}  // namespace

TEST_CASE("png: grey and colour files carry size and colour type") {
  if (!has_png()) return;
  const TempFolder folder;
  const Bytes pixels(5 * 3 * 3, 200);
  write_png_grey(folder.file("grey.png"), 5, 3, pixels.data());
  write_png_rgb(folder.file("rgb.png"), 5, 3, pixels.data());
  const std::string grey = contents(folder.file("grey.png"));
  const std::string rgb = contents(folder.file("rgb.png"));
  for (const auto& file : {grey, rgb}) {
    REQUIRE(file.size() > 40);
    CHECK(file.substr(0, 8) == "\x89PNG\r\n\x1a\n");
    CHECK(big_endian(file, 16) == 5);
    CHECK(big_endian(file, 20) == 3);
    CHECK(file[24] == 8);  // bits per channel
  }
  CHECK(grey[25] == 0);
  CHECK(rgb[25] == 2);
  CHECK(folder.files() == 2);
}

TEST_CASE("png: without libpng the library is named") {
  if (has_png()) return;
  const Bytes pixels(1);
  check_contains(error_of<UnsupportedError>([&] { write_png_grey("x.png", 1, 1, pixels.data()); }),
                 "libpng");
}

TEST_CASE("png: sides of no size and folders that do not exist are refused") {
  const TempFolder folder;
  const Bytes pixels(4);
  CHECK_THROWS_AS(write_png_grey(folder.file("x.png"), 0, 4, pixels.data()), ShapeError);
  CHECK_THROWS_AS(write_png_grey(folder.file("x.png"), 4, -1, pixels.data()), ShapeError);
  CHECK_THROWS_AS(write_png_rgb(folder.file("x.png"), 2'000'000, 1, pixels.data()), ShapeError);
  if (has_png()) {
    CHECK_THROWS_AS(write_png_grey(folder.file("none/x.png"), 2, 2, pixels.data()), IoError);
  }
}

TEST_CASE("sample grid: images are tiled with grey gaps, row by row") {
  const std::vector<float> images = {0, 1, 2, 3, 4};  // five images of one pixel
  const Picture grid = make_sample_grid(images.data(), 5, Shape{1, 1, 1}, 3, 0, 4);
  CHECK(grid.width == 7);
  CHECK(grid.height == 4);
  CHECK(grid.channels == 1);
  Bytes expected(28, 128);
  expected[0] = 0;
  expected[3] = 64;
  expected[6] = 128;
  expected[21] = 191;
  expected[24] = 255;
  CHECK(grid.pixels == expected);
}

TEST_CASE("sample grid: pixels keep their place inside an image") {
  const std::vector<float> images = {0, 51, 102, 153, 204, 255};
  const Picture grid = make_sample_grid(images.data(), 1, Shape{2, 3, 1}, 8, 0, 255);
  CHECK(grid.width == 3);
  CHECK(grid.height == 2);
  CHECK(grid.pixels == Bytes{0, 51, 102, 153, 204, 255});
}

TEST_CASE("sample grid: three channels give colour, two show the first") {
  const std::vector<float> images = {0, 51, 102, 153, 204, 255};
  const Picture colour = make_sample_grid(images.data(), 1, Shape{1, 2, 3}, 1, 0, 255);
  CHECK(colour.channels == 3);
  CHECK(colour.pixels == Bytes{0, 51, 102, 153, 204, 255});
  const Picture first = make_sample_grid(images.data(), 1, Shape{1, 3, 2}, 1, 0, 255);
  CHECK(first.channels == 1);
  CHECK(first.pixels == Bytes{0, 102, 204});
}

TEST_CASE("sample grid: values outside the range are clamped and NaN is black") {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const std::vector<float> images = {-5, 5, -kInf, kInf, std::numeric_limits<float>::quiet_NaN()};
  const Picture grid = make_sample_grid(images.data(), 1, Shape{1, 5, 1}, 1, -1, 1);
  CHECK(grid.pixels == Bytes{0, 255, 0, 255, 0});
}

TEST_CASE("sample grid: wrong shapes and an empty range are refused") {
  const float pixel = 0;
  CHECK_THROWS_AS(make_sample_grid(&pixel, 0, Shape{1, 1, 1}, 1, 0, 1), ShapeError);
  CHECK_THROWS_AS(make_sample_grid(&pixel, 1, Shape{1, 1, 1}, 0, 0, 1), ShapeError);
  CHECK_THROWS_AS(make_sample_grid(&pixel, 1, Shape{1, 1}, 1, 0, 1), ShapeError);
  CHECK_THROWS_AS(make_sample_grid(&pixel, 1, Shape{1, 1, 1}, 1, 1, 1), ConfigError);
}

TEST_CASE("sample grid: the file has the grid's size") {
  if (!has_png()) return;
  const TempFolder folder;
  const std::vector<float> images(6 * 4 * 4, 0.5F);
  write_sample_grid(folder.file("grid.png"), images.data(), 6, Shape{4, 4, 1}, 3, 0, 1);
  const std::string file = contents(folder.file("grid.png"));
  CHECK(big_endian(file, 16) == 16);
  CHECK(big_endian(file, 20) == 10);
}
