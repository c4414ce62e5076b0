// Reads a file from front to back, plain or gzip-compressed (told by its first bytes 1f 8b, never
// by its name).
//
// Sizes that a file claims are checked against what can still follow before anything is
// allocated: a plain file against its length, a gzip file against the largest ratio that deflate
// can reach. Offsets count bytes of content, so in a gzip file they are offsets after inflation.
//
// Throws InputError with the file and the byte offset when the file is missing, a folder, short or
// corrupt; UnsupportedError when it is compressed and the build has no zlib.
#pragma once

#include "kernels/core/shape.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ganmm::io {

bool has_gzip();  // whether this build reads gzip files

class ByteSource {
 public:
  explicit ByteSource(const std::string& path);
  ~ByteSource();
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;
  ByteSource(ByteSource&& other) noexcept;
  ByteSource& operator=(ByteSource&& other) noexcept;

  const std::string& path() const;
  Index offset() const;

  // The next bytes without consuming them: `count`, or fewer when the content ends before.
  std::string_view peek(std::size_t count);

  // Between 1 and `count` bytes; 0 only at the end of the content.
  std::size_t read_some(void* out, std::size_t count);

  void read(void* out, std::size_t count);

  // Content bytes still to come: known for plain regular files alone.
  std::optional<Index> remaining() const;

  // Throws unless `bytes` more bytes can follow. `what` names their purpose in the message.
  void require_remaining(Index bytes, const std::string& what) const;

  // Throws when anything follows; in a gzip file this also verifies the checksum.
  void require_end();

  // Share of the file on disk that has been read, in (0, 1]; 0 when its length is unknown.
  double fraction_read() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// Grows `values` by `more` elements on the way to `total`, so that memory follows the content that
// really came and ends without slack.
template <class T>
void grow_towards(std::vector<T>& values, std::size_t more, std::size_t total) {
  const std::size_t needed = values.size() + more;
  if (needed > values.capacity()) {
    values.reserve(std::min(total, std::max(needed, 2 * values.capacity())));
  }
  values.resize(needed);
}

// Text of a file as it may stand in a one-line message: control characters replaced, cut short.
std::string printable(std::string_view text);

}  // namespace ganmm::io
