#include "io/byte_source.h"

#include "tests/io/files.h"

using namespace ganmm;
using namespace ganmm::io;
using namespace ganmm::io::test;

namespace {

std::string read_all(const std::string& path) {
  ByteSource source(path);
  std::string content;
  std::array<char, 1000> block;
  while (const std::size_t got = source.read_some(block.data(), block.size())) {
    content.append(block.data(), got);
  }
  return content;
}

// 100,000 times 'a', compressed by gzip itself.
std::string gzip_compressed() {
  constexpr unsigned char kBytes[] = {
      0x1f, 0x8b, 0x8,  0x0,  0x0,  0x0,  0x0,  0x0,  0x2,  0x3,  0xed, 0xc1, 0x31, 0x1, 0x0,
      0x0,  0x0,  0xc2, 0xa0, 0xac, 0xeb, 0x5f, 0xc2, 0x1a, 0x1e, 0x40, 0x1,  0x0,  0x0, 0x0,
      0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0, 0x0,
      0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0, 0x0,
      0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0, 0x0,
      0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0, 0x0,
      0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0, 0x0,
      0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0,  0x0, 0x0,
      0x0,  0x0,  0x0,  0xaf, 0x6,  0x87, 0xfa, 0xe2, 0x1b, 0xa0, 0x86, 0x1,  0x0};
  return {reinterpret_cast<const char*>(kBytes), sizeof kBytes};
}

}  // namespace

TEST_CASE("byte source: a plain file reads as it lies, with offset and remainder") {
  const TempFolder folder;
  ByteSource source(folder.write("plain", "abcdefgh"));
  CHECK(source.peek(2) == "ab");
  CHECK(source.peek(100) == "abcdefgh");
  CHECK(source.offset() == 0);
  char three[3];
  source.read(three, 3);
  CHECK(std::string(three, 3) == "abc");
  CHECK(source.offset() == 3);
  CHECK(source.remaining() == 5);
  CHECK(source.peek(2) == "de");
}

TEST_CASE("byte source: content larger than every internal block stays intact") {
  const TempFolder folder;
  std::string content;
  for (int i = 0; i < 300'000; ++i) content += std::to_string(i);
  CHECK(read_all(folder.write("plain", content)) == content);
  std::string whole(content.size(), ' ');
  ByteSource source(folder.file("plain"));
  source.read(whole.data(), whole.size());
  CHECK(whole == content);
  CHECK_NOTHROW(source.require_end());
  if (has_gzip()) CHECK(read_all(folder.write("stored.gz", gzip_stored(content))) == content);
}

TEST_CASE("byte source: a short read names the file and the byte") {
  const TempFolder folder;
  ByteSource source(folder.write("short.bin", "abcde"));
  char bytes[8];
  source.read(bytes, 2);
  const auto error = error_of<InputError>([&] { source.read(bytes, 8); });
  check_contains(error, "short.bin");
  check_contains(error, "expected 8 bytes at byte 2, found 3");
}

TEST_CASE("byte source: a claimed size is checked against what can follow") {
  const TempFolder folder;
  ByteSource source(folder.write("tiny", "abcde"));
  CHECK_NOTHROW(source.require_remaining(5, "x"));
  check_contains(error_of<InputError>([&] { source.require_remaining(6, "the payload"); }),
                 "the payload needs 6 bytes from byte 0 on, found 5");
  CHECK_THROWS_AS(source.require_remaining(INT64_MAX, "x"), InputError);
  CHECK_THROWS_AS(source.require_remaining(-1, "x"), InputError);
}

TEST_CASE("byte source: content behind the expected end is refused with its size") {
  const TempFolder folder;
  ByteSource source(folder.write("long", "abcde"));
  char bytes[2];
  source.read(bytes, 2);
  check_contains(error_of<InputError>([&] { source.require_end(); }),
                 "the end at byte 2, found 3 bytes more");
}

TEST_CASE("byte source: a missing file and a folder are refused by name") {
  const TempFolder folder;
  check_contains(error_of<InputError>([&] { ByteSource(folder.file("none")); }), "No such file");
  check_contains(error_of<InputError>([&] { ByteSource(folder.file("")); }), "found a folder");
}

TEST_CASE("byte source: without zlib a gzip file is refused by the library's name") {
  if (has_gzip()) return;
  const TempFolder folder;
  const auto path = folder.write("x", gzip_stored("abc"));
  check_contains(error_of<UnsupportedError>([&] { ByteSource source(path); }), "zlib");
}

TEST_CASE("byte source: gzip is told by content and its members are joined") {
  if (!has_gzip()) return;
  const TempFolder folder;
  CHECK(read_all(folder.write("no_suffix", gzip_stored("abc"))) == "abc");
  CHECK(read_all(folder.write("two", gzip_stored("abc") + gzip_stored("def"))) == "abcdef");
  CHECK(read_all(folder.write("empty", gzip_stored("") + gzip_stored("x"))) == "x");
  CHECK(read_all(folder.write("packed", gzip_compressed())) == std::string(100'000, 'a'));
  ByteSource source(folder.file("two"));
  CHECK_FALSE(source.remaining().has_value());
}

TEST_CASE("byte source: a gzip stream cut anywhere says so") {
  if (!has_gzip()) return;
  const TempFolder folder;
  const std::string packed = gzip_compressed();
  for (std::size_t size = 2; size < packed.size(); ++size) {
    const auto path = folder.write("cut.gz", packed.substr(0, size));
    const auto error = error_of<InputError>([&] { read_all(path); });
    check_contains(error, message("gzip stream ends early at compressed byte ", size));
  }
}

TEST_CASE("byte source: a damaged gzip stream and trailing bytes are refused") {
  if (!has_gzip()) return;
  const TempFolder folder;
  std::string damaged = gzip_stored("abcdef");
  damaged[17] ^= 1;  // content no longer fits the checksum
  auto path = folder.write("damaged.gz", damaged);
  check_contains(error_of<InputError>([&] { read_all(path); }), "gzip stream is corrupt");
  path = folder.write("trailing.gz", gzip_stored("abc") + "zzz");
  check_contains(error_of<InputError>([&] { read_all(path); }), "found other bytes");
  ByteSource source(path);
  char content[3];
  source.read(content, 3);
  CHECK_THROWS_AS(source.require_end(), InputError);
}

TEST_CASE("byte source: a gzip file cannot claim more than deflate can hold") {
  if (!has_gzip()) return;
  const TempFolder folder;
  ByteSource source(folder.write("packed", gzip_compressed()));
  CHECK_NOTHROW(source.require_remaining(100'000, "x"));
  check_contains(error_of<InputError>([&] { source.require_remaining(1'000'000'000, "x"); }),
                 "found at most");
}
