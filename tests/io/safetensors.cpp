#include "io/safetensors.h"

#include "io/byte_source.h"
#include "tests/io/files.h"

using namespace ganmm;
using namespace ganmm::io;
using namespace ganmm::io::test;

namespace {

std::string file_of(const std::string& header, const std::string& payload) {
  return bytes_of(std::uint64_t{header.size()}) + header + payload;
}

std::string refusal(const TempFolder& folder, const std::string& bytes) {
  const auto path = folder.write("model.safetensors", bytes);
  const auto error = error_of<InputError>([&] { TensorFile::read(path); });
  check_contains(error, "model.safetensors");
  return error;
}

}  // namespace

TEST_CASE("safetensors: what is written reads back, types, shapes and metadata") {
  if (!has_model_files()) return;
  const TempFolder folder;
  const auto path = folder.file("model.safetensors");
  TensorFile out;
  out.metadata = {{"method", "ganmm"}, {"text", "line\n\"quoted\" \xc3\xa9"}};
  out.add<float>("weights", {2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6.5F});
  out.add<std::int32_t>("counts", {1}, std::vector<std::int32_t>{-7});
  out.add<double>("offset", {}, std::vector<double>{1e-300});
  out.add<float>("empty", {0, 5}, std::vector<float>{});
  out.write(path);

  const TensorFile in = TensorFile::read(path);
  CHECK(in.metadata == out.metadata);
  CHECK(in.tensors().size() == 4);
  CHECK(in.get<float>("weights") == std::vector<float>{1, 2, 3, 4, 5, 6.5F});
  CHECK(in.tensor("weights").shape == std::vector<Index>{2, 3});
  CHECK(in.get<std::int32_t>("counts") == std::vector<std::int32_t>{-7});
  CHECK(in.get<double>("offset") == std::vector<double>{1e-300});
  CHECK(in.tensor("offset").shape.empty());
  CHECK(in.get<float>("empty").empty());
  CHECK(in.contains("empty"));
  CHECK_FALSE(in.contains("none"));

  const std::string bytes = contents(path);
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  CHECK(length % 8 == 0);
  // The double comes first, so that it lies at a multiple of 8.
  check_contains(bytes, "\"offset\":{\"data_offsets\":[0,8]");
}

TEST_CASE("safetensors: a wrong name or type names file and tensor") {
  if (!has_model_files()) return;
  const TempFolder folder;
  const auto path = folder.file("model.safetensors");
  TensorFile out;
  out.add<float>("w", {1}, std::vector<float>{1});
  out.write(path);
  const TensorFile in = TensorFile::read(path);
  check_contains(error_of<InputError>([&] { in.get<double>("w"); }),
                 path + ": tensor 'w': expected type F64, found F32");
  check_contains(error_of<InputError>([&] { in.get<float>("v"); }), path + ": no tensor 'v'");
}

TEST_CASE("safetensors: names twice, reserved names and wrong counts are refused when added") {
  TensorFile file;
  const std::vector<float> values = {1, 2};
  file.add("w", {2}, values);
  CHECK_THROWS_AS(file.add("w", {2}, values), ConfigError);
  CHECK_THROWS_AS(file.add("__metadata__", {2}, values), ConfigError);
  CHECK_THROWS_AS(file.add("v", {3}, values), ShapeError);
  CHECK_THROWS_AS(file.add("v", {-1}, values), ShapeError);
  CHECK_THROWS_AS(file.add("v", {Index{1} << 40, Index{1} << 40}, values), ShapeError);
  CHECK(file.get<float>("w") == values);
}

TEST_CASE("safetensors: without nlohmann-json both directions name it") {
  if (has_model_files()) return;
  check_contains(error_of<UnsupportedError>([] { TensorFile::read("x"); }), "nlohmann-json");
  check_contains(error_of<UnsupportedError>([] { TensorFile().write("x"); }), "nlohmann-json");
}

TEST_CASE("safetensors: the smallest valid files read") {
  if (!has_model_files()) return;
  const TempFolder folder;
  CHECK(TensorFile::read(folder.write("a", file_of("{}", ""))).tensors().empty());
  const auto path = folder.write(
      "b", file_of(R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}   )", bytes_of(2.0F)));
  CHECK(TensorFile::read(path).get<float>("w") == std::vector<float>{2});
}

TEST_CASE("safetensors: a header cut short or of a size beyond the file or 100 MB is refused") {
  if (!has_model_files()) return;
  const TempFolder folder;
  const std::string whole =
      file_of(R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", bytes_of(2.0F));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK_FALSE(refusal(folder, whole.substr(0, size)).empty());
  }
  check_contains(refusal(folder, whole + "x"), "found 1 bytes more");
  check_contains(refusal(folder, bytes_of(std::uint64_t{99'999'999}) + "{}"),
                 "header needs 99999999 bytes");
  check_contains(refusal(folder, bytes_of(std::uint64_t{100'000'001}) + "{}"), "found 100000001");
  check_contains(refusal(folder, bytes_of(~std::uint64_t{0}) + "{}"), "at most 100000000");
}

TEST_CASE("safetensors: malformed headers are refused") {
  if (!has_model_files()) return;
  const TempFolder folder;
  for (const char* header :
       {"", "x", "[]", "{", "1", R"({"w":1})", R"({"w":{}})", R"({"__metadata__":{"a":1}})",
        R"({"__metadata__":[]})", R"({"w":{"dtype":"F32","shape":[1]}})",
        R"({"w":{"dtype":"F32","shape":1,"data_offsets":[0,4]}})",
        R"({"w":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})",
        R"({"w":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})",
        R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0]}})",
        R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,"4"]}})",
        R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})",
        R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}} x)",
        "{\"w\xff\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}"}) {
    INFO(header);
    CHECK_FALSE(refusal(folder, file_of(header, bytes_of(1.0F))).empty());
  }
  check_contains(refusal(folder, file_of(std::string(100'000, '['), "")), "no deeper nesting");
  check_contains(
      refusal(folder,
              file_of(R"({"w":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}})", "abcd")),
      "tensor 'w': expected type F32, F64 or I32, found BF16");
  check_contains(refusal(folder, file_of(R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                                         R"("w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                                         "abcd")),
                 "'w' once");
}

TEST_CASE("safetensors: offsets that do not fit the shape, the file or each other are refused") {
  if (!has_model_files()) return;
  const TempFolder folder;
  const auto two = [](const char* first, const char* second) {
    return file_of(std::string(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":)") + first +
                       R"(},"b":{"dtype":"F32","shape":[1],"data_offsets":)" + second + "}}",
                   "12345678");
  };
  CHECK_NOTHROW(TensorFile::read(folder.write("ok", two("[4,8]", "[0,4]"))));
  check_contains(refusal(folder, two("[0,4]", "[0,4]")), "overlap or leave a hole");
  check_contains(refusal(folder, two("[0,4]", "[2,6]")), "tensor 'b'");
  check_contains(refusal(folder, two("[0,4]", "[5,9]")), "overlap or leave a hole");
  check_contains(refusal(folder, two("[4,8]", "[8,12]")), "tensor 'a'");
  check_contains(refusal(folder, two("[0,4]", "[4,9]")), "4 bytes apart");
  check_contains(refusal(folder, two("[0,4]", "[18446744073709551612,18446744073709551615]")),
                 "tensor 'b'");

  const auto sized = [](const char* shape, const char* offsets) {
    return file_of(std::string(R"({"w":{"dtype":"F32","shape":)") + shape + R"(,"data_offsets":)" +
                       offsets + "}}",
                   "1234");
  };
  check_contains(refusal(folder, sized("[1000000000000]", "[0,4000000000000]")),
                 "needs 4000000000000 bytes");
  check_contains(refusal(folder, sized("[4294967296,4294967296]", "[0,0]")), "fits 63 bits");
  check_contains(refusal(folder, sized("[18446744073709551615]", "[0,4]")), "fits 63 bits");
}
