#include "io/atomic_file.h"

#include "kernels/core/error.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace ganmm::io {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kMode = 0666;  // narrowed by the user's umask

// Unlike any other name that this or another process uses in the folder.
std::string unused_name(const fs::path& folder, const std::string& stem) {
  static std::atomic<unsigned> counter{0};
  return (folder / message(".", stem, ".", ::getpid(), ".", counter++, ".tmp")).string();
}

}  // namespace

AtomicFile::AtomicFile(const std::string& path) : path_(path) {
  std::error_code ignored;
  const auto status = fs::status(path, ignored);
  // A rename would put a file in place of a device or a pipe such as /dev/stdout.
  require<IoError>(!fs::exists(status) || fs::is_regular_file(status), "write ", path,
                   ": expected a file or nothing by that name, found a folder or a device; choose ",
                   "another name");
  temporary_ = unused_name(fs::path(path).parent_path(), fs::path(path).filename().string());
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kMode);
  if (descriptor_ < 0) {
    const std::string reason = std::strerror(errno);
    temporary_.clear();
    throw IoError(message("write ", path_, ": cannot create a file in its folder (", reason,
                          "); check that the folder exists and is writable"));
  }
  stream_.open(temporary_, std::ios::binary);
}

AtomicFile::~AtomicFile() {
  stream_.close();
  close_descriptor();
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::commit() {
  stream_.flush();
  if (!stream_) fail("write");
  if (::fsync(descriptor_) != 0) fail("flush to the disk");
  stream_.close();
  if (!stream_) fail("close");
  close_descriptor();
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail("rename");
  temporary_.clear();

  // The rename itself lasts once the folder is on the disk. Some file systems cannot flush folders;
  // the file is in place all the same.
  const fs::path parent = fs::path(path_).parent_path();
  const int folder = ::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_CLOEXEC);
  if (folder >= 0) {
    ::fsync(folder);
    ::close(folder);
  }
}

void AtomicFile::fail(const char* step) const {
  throw IoError(message("write ", path_, ": the system refused to ", step, " (",
                        std::strerror(errno), "); the old file, if any, is unchanged"));
}

void AtomicFile::close_descriptor() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
}

void write_file(const std::string& path, const std::string& bytes) {
  AtomicFile file(path);
  file.stream() << bytes;
  file.commit();
}

void require_writable_folder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  require<ConfigError>(!error, "output folder ", path, ": cannot create it (", error.message(),
                       "); choose another folder");
  const std::string probe = unused_name(path, "probe");
  const int descriptor = ::open(probe.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kMode);
  require<ConfigError>(descriptor >= 0, "output folder ", path, ": cannot create a file in it (",
                       std::strerror(errno), "); check that it is a folder you may write to");
  ::close(descriptor);
  ::unlink(probe.c_str());
}

}  // namespace ganmm::io
