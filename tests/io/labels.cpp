#include "io/labels.h"

#include "tests/io/files.h"

using namespace ganmm::io;

namespace {

Labels collect(std::initializer_list<const char*> spelled) {
  LabelCollector collector;
  for (const char* label : spelled) collector.add(label);
  return collector.finish();
}

}  // namespace

TEST_CASE("labels: integers are numbered in numeric order, dense from 0") {
  const Labels labels = collect({"10", "2", "-1", "2", "10"});
  CHECK(labels.numbers == std::vector<std::int32_t>{2, 1, 0, 1, 2});
  CHECK(labels.names == std::vector<std::string>{"-1", "2", "10"});
}

TEST_CASE("labels: text is numbered in lexicographic order") {
  const Labels labels = collect({"sky", "grass", "10", "sky"});
  CHECK(labels.numbers == std::vector<std::int32_t>{2, 1, 0, 2});
  CHECK(labels.names == std::vector<std::string>{"10", "grass", "sky"});
}

TEST_CASE("labels: two spellings of one integer are one class") {
  const Labels labels = collect({"3.0", "1", "3", "1.0"});
  CHECK(labels.numbers == std::vector<std::int32_t>{1, 0, 1, 0});
  CHECK(labels.names == std::vector<std::string>{"1", "3.0"});
}

TEST_CASE("labels: integers are told from other text") {
  CHECK(parse_integer("42") == 42);
  CHECK(parse_integer("+42") == 42);
  CHECK(parse_integer("-7.0") == -7);
  CHECK(parse_integer("1e3") == 1000);
  CHECK(parse_integer("9223372036854775807") == INT64_MAX);
  for (const char* text : {"", "+", "+-1", "1.5", "a", "1a", "nan", "inf", "1e300", " 1"}) {
    INFO(text);
    CHECK_FALSE(parse_integer(text).has_value());
  }
}

TEST_CASE("labels: none collected are none given") {
  CHECK(collect({}).numbers.empty());
  CHECK(collect({}).names.empty());
}
