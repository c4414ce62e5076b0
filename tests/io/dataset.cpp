#include "io/dataset.h"

#include "io/byte_source.h"
#include "tests/io/files.h"

using namespace ganmm;
using namespace ganmm::io;
using namespace ganmm::io::test;

using Numbers = std::vector<std::int32_t>;

TEST_CASE("dataset: the bundled table loads with names and labels") {
  const std::string path = std::string(GANMM_TEST_DATA) + "/image-segmentation.csv";
  const Dataset data = load_dataset(path, {"label", ""});
  CHECK(data.source == path);
  CHECK(data.rows == 2310);
  CHECK(data.item == Shape{19});
  REQUIRE(data.columns.size() == 19);
  CHECK(data.columns[2] == "region-pixel-count");
  CHECK(data.label_names == std::vector<std::string>{"0", "1", "2", "3", "4", "5", "6"});
  std::array<int, 7> sizes{};
  for (const std::int32_t label : data.labels) ++sizes[static_cast<std::size_t>(label)];
  CHECK(sizes == std::array<int, 7>{330, 330, 330, 330, 330, 330, 330});
  double hue = 0;
  for (std::size_t row = 0; row < 2310; ++row) hue += data.values[row * 19 + 18];
  CHECK(hue / 2310 == doctest::Approx(-1.362897).epsilon(1e-6));
}

TEST_CASE("dataset: labels come from a file of their own in every format") {
  const TempFolder folder;
  const auto data = folder.write("data.csv", "1,2\n3,4\n5,6\n");
  const std::string files[] = {
      "7\n3\n7\n",
      "label\n7\n3\n7\n",
      npy("<i4", "(3,)", bytes_of<std::int32_t>({7, 3, 7})),
      npy("<i8", "(3,)", bytes_of<std::int64_t>({7, 3, 7})),
      npy("|u1", "(3,)", bytes_of<std::uint8_t>({7, 3, 7})),
      idx({3}, bytes_of<std::uint8_t>({7, 3, 7})),
  };
  for (const auto& file : files) {
    const auto labels = folder.write("labels", file);
    const Dataset loaded = load_dataset(data, {"", labels});
    CHECK(loaded.labels == Numbers{1, 0, 1});
    CHECK(loaded.label_names == std::vector<std::string>{"3", "7"});
    CHECK(load_assignments(labels) == Numbers{7, 3, 7});
    if (has_gzip()) {
      CHECK(load_labels(folder.write("labels.gz", gzip_stored(file))) == Numbers{1, 0, 1});
    }
  }
  CHECK(load_dataset(data, {"", folder.write("labels", "sky\ngrass\nsky\n")}).labels ==
        Numbers{1, 0, 1});
}

TEST_CASE("dataset: a label count other than the rows is refused with both counts") {
  const TempFolder folder;
  const auto data = folder.write("data.csv", "1,2\n3,4\n5,6\n");
  const auto labels = folder.write("labels.csv", "1\n2\n");
  const auto error = error_of<InputError>([&] { load_dataset(data, {"", labels}); });
  check_contains(error, "labels.csv: expected 3 labels");
  check_contains(error, "found 2");
}

TEST_CASE("dataset: label options that exclude each other are refused") {
  const TempFolder folder;
  const auto table = folder.write("data.csv", "1,2\n3,4\n");
  const auto array = folder.write("data.npy", npy("|u1", "(2, 1)", "ab"));
  const auto labels = folder.write("labels.csv", "1\n2\n");
  CHECK_THROWS_AS(load_dataset(table, {"last", labels}), ConfigError);
  check_contains(error_of<ConfigError>([&] {
                   load_dataset(array, {"last", ""});
                 }),
                 "needs a CSV file");
}

TEST_CASE("dataset: missing files are refused by name") {
  const TempFolder folder;
  const auto missing = folder.file("missing.csv");
  check_contains(error_of<InputError>([&] { load_dataset(missing, {}); }), missing);
  check_contains(error_of<InputError>([&] { load_labels(missing); }), missing);
  check_contains(error_of<InputError>([&] { load_assignments(missing); }), missing);
}

TEST_CASE("labels: files that are no list of labels are refused") {
  const TempFolder folder;
  const auto refusal = [&](const std::string& bytes) {
    const auto path = folder.write("labels", bytes);
    return error_of<InputError>([&] { load_labels(path); });
  };
  check_contains(refusal("1,2\n3,4\n"), "expected one column of labels, found 2");
  check_contains(refusal(npy("<f4", "(1,)", bytes_of(1.0F))), "found floating point");
  check_contains(refusal(npy("<i4", "(1, 1)", bytes_of(1))), "1-D array");
  check_contains(refusal(npy("<i4", "(0,)", "")), "found none");
  check_contains(refusal(idx({2, 2}, "abcd")), "1-D array");
  check_contains(refusal(idx({5}, "abcd")), "needs 5 bytes");
  check_contains(refusal(""), "empty file");
}

TEST_CASE("assignments: numbers stay as they are, others are refused by row") {
  const TempFolder folder;
  CHECK(load_assignments(folder.write("a", "5\n0\n5\n")) == Numbers{5, 0, 5});
  const auto refusal = [&](const std::string& bytes) {
    const auto path = folder.write("a", bytes);
    return error_of<InputError>([&] { load_assignments(path); });
  };
  check_contains(refusal("1\n-2\n"), "row 2 (counted from 1): expected a cluster number");
  check_contains(refusal("1\n2\nx\n"), "row 3");
  check_contains(refusal("1\n1.5\n"), "found '1.5'");
  check_contains(refusal("2147483648\n"), "found '2147483648'");
  check_contains(refusal(npy("<i8", "(1,)", bytes_of(std::int64_t{1} << 40))),
                 "found '1099511627776'");
}
