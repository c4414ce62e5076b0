// Files that appear as a whole or not at all: after a crash there is the old file or the new one.
#pragma once

#include <fstream>
#include <string>

namespace ganmm::io {

// Writes to a temporary name in the same folder; commit() flushes to the disk and renames.
// Without commit() the destructor removes what was written and the old file stays.
// Throws IoError with the system's reason.
class AtomicFile {
 public:
  explicit AtomicFile(const std::string& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  std::ostream& stream() { return stream_; }
  void commit();

 private:
  [[noreturn]] void fail(const char* step) const;
  void close_descriptor();

  std::string path_;
  std::string temporary_;  // empty once renamed
  std::ofstream stream_;
  int descriptor_ = -1;  // of the same file, for fsync
};

// A whole file of these bytes.
void write_file(const std::string& path, const std::string& bytes);

// Creates the folder and its parents and proves that a file can be created in it, before hours of
// work depend on it. Throws ConfigError with the system's reason.
void require_writable_folder(const std::string& path);

}  // namespace ganmm::io
