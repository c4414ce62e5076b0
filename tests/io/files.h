// Input files for the tests of io/, written into a temporary folder of their own.
#pragma once

#include "kernels/core/error.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace ganmm::io::test {

class TempFolder {
 public:
  TempFolder() {
    static int counter = 0;
    path_ =
        std::filesystem::temp_directory_path() / message("ganmm_io_", ::getpid(), "_", counter++);
    std::filesystem::create_directories(path_);
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  std::string file(const std::string& name) const { return (path_ / name).string(); }

  std::string write(const std::string& name, const std::string& bytes) const {
    std::ofstream(file(name), std::ios::binary) << bytes;
    return file(name);
  }

  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
  }

 private:
  std::filesystem::path path_;
};

inline std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The message of the E that `action` throws: one line, never empty.
template <class E, class Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const E& error) {
    const std::string text = error.what();
    CHECK(text.find('\n') == std::string::npos);
    return text;
  } catch (const std::exception& error) {
    FAIL("another exception: ", error.what());
  }
  FAIL("nothing was thrown");
  return "";
}

inline void check_contains(const std::string& text, const std::string& part) {
  INFO("message: ", text);
  INFO("expected in it: ", part);
  CHECK(text.find(part) != std::string::npos);
}

template <class T>
std::string bytes_of(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

template <class T>
std::string bytes_of(std::initializer_list<T> values) {
  std::string bytes;
  for (const T value : values) bytes += bytes_of(value);
  return bytes;
}

// A gzip member of stored (uncompressed) blocks, so that the tests need no zlib of their own.
inline std::string gzip_stored(const std::string& content) {
  std::string out("\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
  std::size_t done = 0;
  do {
    const std::size_t size = std::min<std::size_t>(content.size() - done, 65535);
    out += done + size == content.size() ? '\x01' : '\0';
    out += bytes_of(static_cast<std::uint16_t>(size));
    out += bytes_of(static_cast<std::uint16_t>(~size));
    out += content.substr(done, size);
    done += size;
  } while (done < content.size());
  std::uint32_t crc = 0xffffffff;
  for (const char c : content) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
  }
  return out + bytes_of(~crc) + bytes_of(static_cast<std::uint32_t>(content.size()));
}

// A version 1 .npy file; `dict` is the whole header text.
inline std::string npy_of_header(const std::string& dict, const std::string& payload) {
  std::string header = dict + "\n";
  return std::string("\x93NUMPY\x01\0", 8) + bytes_of(static_cast<std::uint16_t>(header.size())) +
         header + payload;
}

inline std::string npy(const std::string& type, const std::string& shape,
                       const std::string& payload) {
  return npy_of_header(
      "{'descr': '" + type + "', 'fortran_order': False, 'shape': " + shape + ", }", payload);
}

inline std::string idx(std::initializer_list<std::uint32_t> extents, const std::string& payload) {
  std::string out("\0\0\x08", 3);
  out += static_cast<char>(extents.size());
  for (const std::uint32_t extent : extents) {
    for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(extent >> shift & 0xff);
  }
  return out + payload;
}

}  // namespace ganmm::io::test
