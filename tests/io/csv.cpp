#include "io/csv.h"

#include "io/dataset.h"
#include "tests/io/files.h"

using namespace ganmm;
using namespace ganmm::io;
using namespace ganmm::io::test;

namespace {

Dataset load(const std::string& text, const std::string& label_column = "") {
  const TempFolder folder;
  return load_dataset(folder.write("data.csv", text), {label_column, ""});
}

std::string refusal(const std::string& text, const std::string& label_column = "") {
  const std::string error = error_of<InputError>([&] { load(text, label_column); });
  check_contains(error, "data.csv");
  return error;
}

using Floats = std::vector<float>;
using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("csv: every delimiter, line end and a missing last line end give the same table") {
  for (const char* text :
       {"1,2,3\n4,5,6\n", "1;2;3\n4;5;6\n", "1\t2\t3\n4\t5\t6\n", "1 2 3\n4 5 6\n",
        "  1   2  3 \n4 \t 5 6\n", "1,2,3\r\n4,5,6\r\n", "1, 2, 3\n4 ,5, 6",
        "1,2,3\n4,5,6\n\n \n\r\n", "\xef\xbb\xbf\x31,2,3\n4,5,6\n", "\"1\",2,\"3\"\n4,5,6\n",
        "+1,2.0,3e0\n4,5,.6e1\n"}) {
    INFO(text);
    const Dataset data = load(text);
    CHECK(data.rows == 2);
    CHECK(data.item == Shape{3});
    CHECK(data.values == Floats{1, 2, 3, 4, 5, 6});
    CHECK(data.columns.empty());
    CHECK(data.labels.empty());
  }
}

TEST_CASE("csv: one column and one row are tables") {
  CHECK(load("1\n2\n3\n").values == Floats{1, 2, 3});
  CHECK(load("1,2\n").values == Floats{1, 2});
  CHECK(load("x\n7\n").columns == Names{"x"});
  CHECK(load("7").values == Floats{7});
}

TEST_CASE("csv: a header names the features, quoted or not") {
  const Dataset data = load("a,\"b, \"\"c\"\"\" , d e\n1,2,3\n");
  CHECK(data.columns == Names{"a", "b, \"c\"", "d e"});
  CHECK(data.values == Floats{1, 2, 3});
  CHECK(load("a b c\n1 2 3\n").columns == Names{"a", "b", "c"});
  CHECK(load(",x\n1,2\n").columns == Names{"", "x"});
}

TEST_CASE("csv: a label column is found by name, as the last one or by number") {
  const std::string with_header = "x,class,y\n1,b,2\n3,a,4\n5,b,6\n";
  const Dataset named = load(with_header, "class");
  CHECK(named.values == Floats{1, 2, 3, 4, 5, 6});
  CHECK(named.columns == Names{"x", "y"});
  CHECK(named.labels == std::vector<std::int32_t>{1, 0, 1});
  CHECK(named.label_names == Names{"a", "b"});

  const Dataset last = load("1,2,10\n3,4,9\n", "last");
  CHECK(last.values == Floats{1, 2, 3, 4});
  CHECK(last.labels == std::vector<std::int32_t>{1, 0});
  CHECK(last.label_names == Names{"9", "10"});

  CHECK(load("1,2,setosa\n3,4,virginica\n", "last").rows == 2);
  CHECK(load("setosa,1,2\nvirginica,3,4\n", "1").values == Floats{1, 2, 3, 4});
  CHECK(load("x,y,last\n1,2,3\n", "last").columns == Names{"x", "y"});
}

TEST_CASE("csv: a header of numbers is told by the name above the labels") {
  CHECK(load("0,1,label\n5,6,2\n7,8,3\n", "last").values == Floats{5, 6, 7, 8});
  CHECK(load("0,1,label\n5,6,2\n7,8,3\n", "label").columns == Names{"0", "1"});
  check_contains(refusal("5,6,a\n7,8,1\n9,9,b\n", "last"), "cannot tell a header from a row");
}

TEST_CASE("csv: a label column that does not exist lists those that do") {
  auto error = refusal("x,y,z\n1,2,3\n", "class");
  check_contains(error, "no label column 'class'");
  check_contains(error, "x, y, z");
  std::string wide = "c0";
  std::string row = "0";
  for (int i = 1; i < 100; ++i) {
    wide += ",c" + std::to_string(i);
    row += ",0";
  }
  error = refusal(wide + "\n" + row + "\n", "class");
  check_contains(error, "c7, ..., c99 (100 in all)");
  check_contains(refusal("1,2\n3,4\n", "class"), "a number from 1 to 2");
  check_contains(refusal("1,2\n3,4\n", "3"), "a number from 1 to 2");
  check_contains(refusal("1,2\n3,4\n", "0"), "a number from 1 to 2");
  check_contains(refusal("x,x\n1,2\n", "x"), "found several");
  check_contains(refusal("class\na\nb\n", "class"), "a feature beside the label column");
}

TEST_CASE("csv: a ragged row names its line and both counts") {
  check_contains(refusal("a,b,c\n1,2,3\n4,5\n"), "line 3: expected 3 cells as in line 1, found 2");
  check_contains(refusal("1,2,3\n4,5,6\n7,8,9,10\n"), "line 3: expected 3 cells");
  check_contains(refusal("1,2\n3,4,5\n"), "line 2: expected 2 cells as in line 1, found 3");
  check_contains(refusal("1,2\n3,4\n5\n", "last"),
                 "line 3: expected 2 cells as in line 1, found 1");
  check_contains(refusal("1 2\n3 4 5\n"), "line 2: expected 2 cells as in line 1, found 3");
}

TEST_CASE("csv: text among numbers names line, column and text") {
  const auto error = refusal("a,size,c\n1,2,3\n4,abc,6\n");
  check_contains(error, "line 3, column 2 'size': expected a number, found 'abc'");
  check_contains(refusal("a,b,class\n1,x,3\n", "a"), "line 2, column 2 'b'");
  check_contains(refusal("1,2\n3,4x\n"), "line 2, column 2: expected a number, found '4x'");
  check_contains(refusal("1,2\n3,0x10\n"), "found '0x10'");
  check_contains(refusal("1,2\n3,--4\n"), "found '--4'");
  check_contains(refusal("1\n\"\x01\x02\"\n"), "found '\?\?'");
  check_contains(refusal("1\n" + std::string(500, 'z') + "\n"), "zzz...'");
}

TEST_CASE("csv: missing values are refused, in the first row too") {
  check_contains(refusal("1,2\n,4\n"), "line 2, column 1: expected a value, found a missing one");
  check_contains(refusal("1,?\n3,4\n"), "line 1, column 2");
  check_contains(refusal("a,b\n1,NA\n"), "line 2, column 2 'b'");
  check_contains(refusal("a,b\n1,\n", "b"), "line 2, column 2 (the labels)");
}

TEST_CASE("csv: NaN, Inf and numbers beyond float are refused, tiny ones become 0") {
  for (const char* text : {"nan", "NaN", "inf", "-inf", "Infinity", "1e39", "-1e400", "1e99999"}) {
    const auto error = refusal(std::string("x,y\n1,2\n3,") + text + "\n");
    check_contains(error, message("line 3, column 2 'y': expected a finite number within float, ",
                                  "found '", text, "'"));
  }
  CHECK(load("1e-50,-1e-400,1e-40\n").values == Floats{0, -0.0F, 1e-40F});
  CHECK(load("3.4028234e38\n").values == Floats{3.4028234e38F});
}

TEST_CASE("csv: files without rows are refused") {
  check_contains(refusal(""), "found an empty file");
  check_contains(refusal("\n\n"), "blank lines alone");
  check_contains(refusal("a,b\n"), "expected rows below the header, found none");
  check_contains(refusal("a,b"), "expected rows below the header, found none");
  check_contains(refusal("\xef\xbb\xbf"), "blank lines alone");
}

TEST_CASE("csv: a blank line between rows and an open quote name their line") {
  check_contains(refusal("1,2\n\n3,4\n"), "line 2: expected a row, found a blank line");
  check_contains(refusal("\n1,2\n"), "line 1: expected a row, found a blank line");
  check_contains(refusal("a,\"b\n1,2\n"), "line 1: expected closed quotes");
  check_contains(refusal("1,2\n\"3\" x,4\n"), "line 2: expected closed quotes");
}

TEST_CASE("csv: binary content is refused as no text") {
  check_contains(refusal(std::string("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16)), "zero byte at byte 8");
  check_contains(refusal(std::string("1\0,\0", 4)), "zero byte at byte 1");
}

TEST_CASE("csv: a line without end is refused before it fills the memory") {
  check_contains(refusal(std::string(std::size_t{35} << 20, '1')), "line 1 is longer than");
}

TEST_CASE("csv: a table larger than the read block keeps every value") {
  std::string text = "a,b,label\n";
  Floats expected;
  for (int i = 0; i < 150'000; ++i) {
    text += std::to_string(i) + "," + std::to_string(i) + ".5," + std::to_string(i % 7) + "\n";
    expected.push_back(static_cast<float>(i));
    expected.push_back(static_cast<float>(i) + 0.5F);
  }
  const Dataset data = load(text, "last");
  CHECK(data.rows == 150'000);
  CHECK(data.values == expected);
  CHECK(data.labels[149'999] == 149'999 % 7);
  check_contains(refusal(text + "1,x,2\n"), "line 150002, column 2 'b'");
  if (has_gzip()) CHECK(load(gzip_stored(text), "label").values == expected);
}
