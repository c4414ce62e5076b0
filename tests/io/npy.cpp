#include "io/npy.h"

#include "io/dataset.h"
#include "tests/io/files.h"

#include <limits>

using namespace ganmm;
using namespace ganmm::io;
using namespace ganmm::io::test;

namespace {

Dataset load(const TempFolder& folder, const std::string& bytes) {
  return load_dataset(folder.write("data.npy", bytes), {});
}

std::string refusal(const TempFolder& folder, const std::string& bytes) {
  return error_of<InputError>([&] { load(folder, bytes); });
}

}  // namespace

TEST_CASE("npy: every accepted type gives the same values") {
  const TempFolder folder;
  const std::vector<float> expected = {1, 2, 3, 4, 5, 6};
  const std::string files[] = {
      npy("<f4", "(3, 2)", bytes_of<float>({1, 2, 3, 4, 5, 6})),
      npy("<f8", "(3, 2)", bytes_of<double>({1, 2, 3, 4, 5, 6})),
      npy("|u1", "(3, 2)", bytes_of<std::uint8_t>({1, 2, 3, 4, 5, 6})),
      npy("<i4", "(3, 2)", bytes_of<std::int32_t>({1, 2, 3, 4, 5, 6})),
      npy("<i8", "(3, 2)", bytes_of<std::int64_t>({1, 2, 3, 4, 5, 6})),
  };
  for (const auto& file : files) {
    const Dataset data = load(folder, file);
    CHECK(data.rows == 3);
    CHECK(data.item == Shape{2});
    CHECK(data.values == expected);
  }
}

TEST_CASE("npy: axes make a table, grey images or images with channels") {
  const TempFolder folder;
  const std::string payload = std::string(12, '\xff');
  CHECK(load(folder, npy("|u1", "(3, 4)", payload)).item == Shape{4});
  CHECK(load(folder, npy("|u1", "(2, 2, 3)", payload)).item == Shape{2, 3, 1});
  const Dataset colour = load(folder, npy("|u1", "(1, 2, 2, 3)", payload));
  CHECK(colour.item == Shape{2, 2, 3});
  CHECK(colour.values == std::vector<float>(12, 255.0F));
  check_contains(refusal(folder, npy("|u1", "(12,)", payload)), "found shape (12)");
  check_contains(refusal(folder, npy("|u1", "(1, 1, 1, 1, 12)", payload)), "1 to 4 axes");
  check_contains(refusal(folder, npy("|u1", "()", payload)), "1 to 4 axes");
}

TEST_CASE("npy: versions 2 and 3 read with their longer length field") {
  const TempFolder folder;
  const std::string dict = "{\"shape\": (1, 2), \"fortran_order\": False, \"descr\": \"<f4\"}";
  for (const char version : {'\x02', '\x03'}) {
    const std::string file = std::string("\x93NUMPY") + version + '\0' +
                             bytes_of(static_cast<std::uint32_t>(dict.size())) + dict +
                             bytes_of<float>({7, 8});
    CHECK(load(folder, file).values == std::vector<float>{7, 8});
  }
  std::string other = npy("<f4", "(1, 1)", bytes_of(1.0F));
  other[6] = 4;
  check_contains(refusal(folder, other), "version 1 to 3, found 4");
}

TEST_CASE("npy: arrays of other layouts and types are refused with what to do") {
  const TempFolder folder;
  const std::string payload(16, '\0');
  check_contains(refusal(folder, npy(">f4", "(2, 2)", payload)), ".astype('<f4')");
  check_contains(refusal(folder, npy("<f2", "(2, 2)", payload)), "found '<f2'");
  check_contains(refusal(folder, npy("|O", "(2, 2)", payload)), "found '|O'");
  check_contains(refusal(folder, npy("", "(2, 2)", payload)), "found ''");
  check_contains(refusal(folder, npy_of_header("{'descr': [('a', '<f4')], 'fortran_order': False, "
                                               "'shape': (2, 2), }",
                                               payload)),
                 "structured");
  check_contains(refusal(folder, npy_of_header("{'descr': '<f4', 'fortran_order': True, "
                                               "'shape': (2, 2), }",
                                               payload)),
                 "ascontiguousarray");
}

TEST_CASE("npy: malformed headers are refused") {
  const TempFolder folder;
  for (const char* dict :
       {"", "{", "{}", "{'descr': '<f4'}", "{'shape': (1, 1)}", "{'descr': '<f4', 'shape': (1, 1",
        "{'descr': '<f4', 'shape': (1, x)}", "{'descr': '<f4', 'shape': (-1, 1)}",
        "{'descr': '<f4', 'shape': 3}", "{'descr': '<f4, 'shape': (1, 1)}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (1, 1)}", "{'other': 1}",
        "{'descr': '<f4' 'shape': (1, 1)}",
        "{'descr': '<f4', 'shape': (99999999999999999999, 1)}"}) {
    INFO(dict);
    CHECK_FALSE(refusal(folder, npy_of_header(dict, bytes_of(1.0F))).empty());
  }
  std::string cut = npy("<f4", "(1, 1)", "");
  for (std::size_t size = 6; size < cut.size() - 1; ++size) {
    CHECK_FALSE(refusal(folder, cut.substr(0, size)).empty());
  }
}

TEST_CASE("npy: sizes that overflow or exceed the file are refused before any allocation") {
  const TempFolder folder;
  check_contains(refusal(folder, npy("<f4", "(4294967296, 4294967296)", "")), "fits 63 bits");
  check_contains(refusal(folder, npy("|u1", "(9223372036854775807, 1)", "")), "fits 63 bits");
  check_contains(refusal(folder, npy("<f4", "(1000000000000, 1000)", "x")),
                 "needs 4000000000000000 bytes");
  const std::string long_header = std::string("\x93NUMPY\x02\0", 8) + bytes_of(0xfffffff0U);
  check_contains(refusal(folder, long_header), "found 4294967280");
  if (has_gzip()) {
    check_contains(refusal(folder, gzip_stored(npy("<f4", "(1000000000000, 1000)", "x"))),
                   "found at most");
  }
}

TEST_CASE("npy: a payload of the wrong size and an empty array are refused") {
  const TempFolder folder;
  check_contains(refusal(folder, npy("<f4", "(2, 1)", bytes_of(1.0F))), "found 4");
  check_contains(refusal(folder, npy("<f4", "(1, 1)", bytes_of(1.0F) + "xy")),
                 "found 2 bytes more");
  check_contains(refusal(folder, npy("<f4", "(0, 5)", "")), "found shape (0, 5)");
  check_contains(refusal(folder, npy("<f4", "(5, 0)", "")), "found shape (5, 0)");
}

TEST_CASE("npy: NaN, Inf and doubles beyond float are refused by row and column") {
  const TempFolder folder;
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr double kInf = std::numeric_limits<double>::infinity();
  check_contains(refusal(folder, npy("<f4", "(2, 3)", bytes_of<float>({1, 2, 3, 4, kNan, 6}))),
                 "row 2, column 2");
  check_contains(refusal(folder, npy("<f8", "(1, 2)", bytes_of<double>({1, -kInf}))),
                 "row 1, column 2");
  check_contains(refusal(folder, npy("<f8", "(1, 2)", bytes_of<double>({1e300, 1}))),
                 "row 1, column 1");
  CHECK(load(folder, npy("<f8", "(1, 1)", bytes_of(1e-300))).values == std::vector<float>{0});
}

TEST_CASE("npy: what is written reads back, with an aligned payload") {
  const TempFolder folder;
  const std::vector<float> values = {1.5F, -2, 3e38F, 1e-40F, 0, 6};
  const auto path = folder.file("out.npy");
  write_npy(path, Shape{3, 2}, values.data());
  const Dataset data = load_dataset(path, {});
  CHECK(data.rows == 3);
  CHECK(data.values == values);
  CHECK((contents(path).size() - 6 * 4) % 64 == 0);
  check_contains(contents(path), "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }");

  const std::vector<std::int32_t> numbers = {3, 0, 2147483647};
  write_npy(path, Shape{3}, numbers.data());
  CHECK(load_assignments(path) == numbers);
  check_contains(contents(path), "'shape': (3, ), }");
}
