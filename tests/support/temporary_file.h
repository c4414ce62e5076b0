// A file name that no other test has; what is written there goes with the object.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <string>

namespace ganmm::test {

struct TemporaryFile {
  static inline int made = 0;
  std::string path = (std::filesystem::temp_directory_path() /
                      ("ganmm-test-" + std::to_string(::getpid()) + "-" + std::to_string(made++)))
                         .string();
  ~TemporaryFile() { std::filesystem::remove(path); }
};

}  // namespace ganmm::test
