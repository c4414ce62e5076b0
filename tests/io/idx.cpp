#include "io/idx.h"

#include "io/dataset.h"
#include "tests/io/files.h"

using namespace ganmm;
using namespace ganmm::io;
using namespace ganmm::io::test;

namespace {

Dataset load(const TempFolder& folder, const std::string& bytes) {
  return load_dataset(folder.write("data-idx", bytes), {});
}

std::string refusal(const TempFolder& folder, const std::string& bytes) {
  return error_of<InputError>([&] { load(folder, bytes); });
}

}  // namespace

TEST_CASE("idx: axes make a table, grey images or images with channels") {
  const TempFolder folder;
  const std::string payload = bytes_of<std::uint8_t>({0, 1, 2, 3, 4, 255});
  const Dataset images = load(folder, idx({2, 1, 3}, payload));
  CHECK(images.rows == 2);
  CHECK(images.item == Shape{1, 3, 1});
  CHECK(images.values == std::vector<float>{0, 1, 2, 3, 4, 255});
  CHECK(images.labels.empty());
  CHECK(load(folder, idx({2, 3}, payload)).item == Shape{3});
  CHECK(load(folder, idx({1, 2, 1, 3}, payload)).item == Shape{2, 1, 3});
  if (has_gzip()) {
    CHECK(load(folder, gzip_stored(idx({2, 1, 3}, payload))).values == images.values);
  }
}

TEST_CASE("idx: labels of one axis are no data, and other types are refused") {
  const TempFolder folder;
  check_contains(refusal(folder, idx({6}, "abcdef")), "found shape (6)");
  std::string other = idx({2, 3}, "abcdef");
  other[2] = 0x0d;
  check_contains(refusal(folder, other), "found 13");
  other = idx({2, 3}, "abcdef");
  other[3] = 5;
  check_contains(refusal(folder, other), "found 5");
  other[3] = 0;
  check_contains(refusal(folder, other), "found 0");
}

TEST_CASE("idx: cut short, too long, empty or overflowing files are refused") {
  const TempFolder folder;
  const std::string whole = idx({2, 1, 3}, "abcdef");
  for (std::size_t size = 2; size < whole.size(); ++size) {
    CHECK_FALSE(refusal(folder, whole.substr(0, size)).empty());
    if (has_gzip()) CHECK_FALSE(refusal(folder, gzip_stored(whole.substr(0, size))).empty());
  }
  check_contains(refusal(folder, whole + "g"), "found 1 bytes more");
  if (has_gzip()) check_contains(refusal(folder, gzip_stored(whole + "g")), "more bytes");
  check_contains(refusal(folder, idx({0, 28, 28}, "")), "found shape (0, 28, 28)");
  const std::uint32_t huge = 0xffffffff;
  check_contains(refusal(folder, idx({huge, huge, huge, huge}, "x")), "fits 63 bits");
  check_contains(refusal(folder, idx({huge, 28, 28}, "x")), "needs 3367254359280 bytes");
}
