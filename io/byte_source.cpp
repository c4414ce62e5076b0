#include "io/byte_source.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <limits>
#include <utility>

#ifndef GANMM_HAVE_ZLIB
#define GANMM_HAVE_ZLIB 0
#endif
#if GANMM_HAVE_ZLIB
#include <zlib.h>
#endif

namespace ganmm::io {
namespace {

constexpr std::size_t kRawBlock = std::size_t{1} << 18;
constexpr std::uint8_t kGzipMagic[2] = {0x1f, 0x8b};

// A deflate match gives at most 258 bytes for two bits.
constexpr Index kDeflateLimit = 1032;

// The file as it lies on the disk, with a window of bytes that are read and not yet used.
class RawFile {
 public:
  explicit RawFile(const std::string& path) : path_(path) {
    std::error_code ignored;
    const auto status = std::filesystem::status(path, ignored);
    require<InputError>(!std::filesystem::is_directory(status), "read ", path,
                        ": expected a file, found a folder; name a file in it");
    file_ = std::fopen(path.c_str(), "rb");
    require<InputError>(file_ != nullptr, "read ", path, ": cannot open the file (",
                        std::strerror(errno), "); check the name and the permissions");
    if (std::filesystem::is_regular_file(status)) {
      const auto bytes = std::filesystem::file_size(path, ignored);
      if (!ignored) size_ = static_cast<Index>(bytes);
    }
    window_.resize(kRawBlock);
  }
  ~RawFile() { std::fclose(file_); }
  RawFile(const RawFile&) = delete;
  RawFile& operator=(const RawFile&) = delete;

  const std::string& path() const { return path_; }
  std::optional<Index> size() const { return size_; }
  Index offset() const { return offset_; }
  const std::uint8_t* data() const { return window_.data() + begin_; }
  std::size_t available() const { return end_ - begin_; }
  void consume(std::size_t count) {
    begin_ += count;
    offset_ += static_cast<Index>(count);
  }

  // Makes at least one byte available unless the file has ended.
  void fill() {
    if (available() > 0) return;
    begin_ = 0;
    end_ = read_block(window_.data(), window_.size());
  }

  // Past the window, for large plain reads.
  std::size_t read_directly(void* out, std::size_t count) {
    const std::size_t got = read_block(out, count);
    offset_ += static_cast<Index>(got);
    return got;
  }

 private:
  std::size_t read_block(void* out, std::size_t count) {
    const std::size_t got = std::fread(out, 1, count, file_);
    require<InputError>(got == count || std::ferror(file_) == 0, "read ", path_,
                        ": the system failed at byte ", offset_, " (", std::strerror(errno), ")");
    return got;
  }

  std::string path_;
  std::FILE* file_ = nullptr;
  std::optional<Index> size_;
  std::vector<std::uint8_t> window_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  Index offset_ = 0;  // first byte of the window
};

#if GANMM_HAVE_ZLIB

class Inflater {
 public:
  explicit Inflater(const std::string& path) {
    constexpr int kGzipOnly = 16;
    require<InputError>(inflateInit2(&stream_, MAX_WBITS + kGzipOnly) == Z_OK, "read ", path,
                        ": zlib cannot start, out of memory");
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // Like ByteSource::read_some. Members follow each other without a gap, as gzip defines.
  std::size_t read_some(RawFile& raw, void* out, std::size_t count) {
    const auto wanted = static_cast<uInt>(std::min<std::size_t>(count, kRawBlock));
    stream_.next_out = static_cast<Bytef*>(out);
    stream_.avail_out = wanted;
    while (stream_.avail_out == wanted && count > 0) {
      raw.fill();
      if (raw.available() == 0) {
        if (between_members_) return 0;
        throw InputError(message("read ", raw.path(),
                                 ": gzip stream ends early at compressed byte ", raw.offset(),
                                 "; the file is cut short, fetch it again"));
      }
      require<InputError>(!between_members_ || raw.data()[0] == kGzipMagic[0], "read ", raw.path(),
                          ": expected the end or another gzip member at compressed byte ",
                          raw.offset(), ", found other bytes; remove what follows the stream");
      step(raw);
    }
    return wanted - stream_.avail_out;
  }

 private:
  void step(RawFile& raw) {
    stream_.next_in = const_cast<Bytef*>(raw.data());  // zlib's interface predates const
    stream_.avail_in = static_cast<uInt>(raw.available());
    const int status = inflate(&stream_, Z_NO_FLUSH);
    raw.consume(raw.available() - stream_.avail_in);
    require<InputError>(status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR, "read ",
                        raw.path(), ": gzip stream is corrupt near compressed byte ", raw.offset(),
                        " (", stream_.msg != nullptr ? stream_.msg : "no detail",
                        "); fetch the file again");
    between_members_ = status == Z_STREAM_END;
    if (between_members_) inflateReset(&stream_);
  }

  z_stream stream_{};
  bool between_members_ = false;
};

#else

class Inflater {
 public:
  explicit Inflater(const std::string& path) {
    throw UnsupportedError(message("read ", path, ": the file is gzip-compressed and this build ",
                                   "lacks zlib; decompress it, or install zlib and build again"));
  }
  std::size_t read_some(RawFile&, void*, std::size_t) { return 0; }
};

#endif

}  // namespace

bool has_gzip() { return GANMM_HAVE_ZLIB != 0; }

class ByteSource::Impl {
 public:
  explicit Impl(const std::string& path) : raw_(path) {
    raw_.fill();
    if (raw_.available() >= 2 && std::memcmp(raw_.data(), kGzipMagic, 2) == 0) {
      inflater_.emplace(path);
    }
  }

  std::string_view peek(std::size_t count) {
    while (ahead_.size() < count) {
      const std::size_t old = ahead_.size();
      ahead_.resize(count);
      const std::size_t got = produce(ahead_.data() + old, count - old);
      ahead_.resize(old + got);
      if (got == 0) break;
    }
    return std::string_view(ahead_).substr(0, count);
  }

  std::size_t read_some(void* out, std::size_t count) {
    std::size_t got = std::min(count, ahead_.size());
    if (got > 0) {
      std::memcpy(out, ahead_.data(), got);
      ahead_.erase(0, got);
    } else {
      got = produce(out, count);
    }
    offset_ += static_cast<Index>(got);
    return got;
  }

  std::optional<Index> remaining() const {
    if (inflater_ || !raw_.size()) return std::nullopt;
    return std::max<Index>(0, *raw_.size() - offset_);
  }

  // The most content that can follow.
  Index bound() const {
    if (!raw_.size()) return std::numeric_limits<Index>::max();
    if (!inflater_) return *remaining();
    Index content = 0;
    const bool overflow = __builtin_mul_overflow(*raw_.size(), kDeflateLimit, &content);
    return overflow ? std::numeric_limits<Index>::max() : std::max<Index>(0, content - offset_);
  }

  double fraction_read() const {
    if (!raw_.size() || *raw_.size() == 0) return 0;
    return static_cast<double>(raw_.offset()) / static_cast<double>(*raw_.size());
  }

  const RawFile& raw() const { return raw_; }
  Index offset() const { return offset_; }

 private:
  std::size_t produce(void* out, std::size_t count) {
    if (inflater_) return inflater_->read_some(raw_, out, count);
    if (raw_.available() == 0) {
      if (count >= kRawBlock) return raw_.read_directly(out, count);
      raw_.fill();
    }
    const std::size_t got = std::min(count, raw_.available());
    if (got > 0) std::memcpy(out, raw_.data(), got);
    raw_.consume(got);
    return got;
  }

  RawFile raw_;
  std::optional<Inflater> inflater_;
  std::string ahead_;  // content that was peeked at
  Index offset_ = 0;
};

ByteSource::ByteSource(const std::string& path) : impl_(std::make_unique<Impl>(path)) {}
ByteSource::~ByteSource() = default;
ByteSource::ByteSource(ByteSource&& other) noexcept = default;
ByteSource& ByteSource::operator=(ByteSource&& other) noexcept = default;

const std::string& ByteSource::path() const { return impl_->raw().path(); }
Index ByteSource::offset() const { return impl_->offset(); }
std::string_view ByteSource::peek(std::size_t count) { return impl_->peek(count); }
std::optional<Index> ByteSource::remaining() const { return impl_->remaining(); }
double ByteSource::fraction_read() const { return impl_->fraction_read(); }

std::size_t ByteSource::read_some(void* out, std::size_t count) {
  return impl_->read_some(out, count);
}

void ByteSource::read(void* out, std::size_t count) {
  const Index start = offset();
  auto* bytes = static_cast<std::uint8_t*>(out);
  std::size_t done = 0;
  while (done < count) {
    const std::size_t got = read_some(bytes + done, count - done);
    require<InputError>(got > 0, "read ", path(), ": expected ", count, " bytes at byte ", start,
                        ", found ", done, " before the end; the file is cut short");
    done += got;
  }
}

void ByteSource::require_remaining(Index bytes, const std::string& what) const {
  const Index bound = impl_->bound();
  require<InputError>(bytes >= 0 && bytes <= bound, "read ", path(), ": ", what, " needs ", bytes,
                      " bytes from byte ", offset(), " on, found ", remaining() ? "" : "at most ",
                      bound, "; the file is cut short or its header is wrong");
}

void ByteSource::require_end() {
  if (peek(1).empty()) return;
  const auto extra = remaining();
  throw InputError(message("read ", path(), ": expected the end at byte ", offset(), ", found ",
                           extra ? std::to_string(*extra) + " bytes more" : "more bytes",
                           "; the header and the content do not fit each other"));
}

std::string printable(std::string_view text) {
  constexpr std::size_t kLongest = 40;
  std::string shown;
  for (const char c : text.substr(0, kLongest)) {
    const auto byte = static_cast<unsigned char>(c);
    shown += byte < 0x20 || byte == 0x7f ? '?' : c;
  }
  return text.size() > kLongest ? shown + "..." : shown;
}

}  // namespace ganmm::io
