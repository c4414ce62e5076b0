#include "io/safetensors.h"

#include "io/atomic_file.h"
#include "io/byte_source.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <set>
#include <utility>

#ifndef GANMM_HAVE_JSON
#define GANMM_HAVE_JSON 0
#endif
#if GANMM_HAVE_JSON
#include <nlohmann/json.hpp>
#endif

namespace ganmm::io {
namespace {

static_assert(std::endian::native == std::endian::little, "tensors are stored as they lie");

constexpr const char* kMetadata = "__metadata__";

Index shape_count(const std::vector<Index>& shape) {
  Index count = 1;
  for (const Index extent : shape) count = checked_multiply(count, extent);
  return count;
}

}  // namespace

bool TensorFile::contains(const std::string& name) const {
  return std::any_of(tensors_.begin(), tensors_.end(),
                     [&](const Tensor& tensor) { return tensor.name == name; });
}

const Tensor& TensorFile::tensor(const std::string& name) const {
  const auto found = std::find_if(tensors_.begin(), tensors_.end(),
                                  [&](const Tensor& tensor) { return tensor.name == name; });
  require<InputError>(found != tensors_.end(), "read ", path_, ": no tensor '", printable(name),
                      "' among the ", tensors_.size(), " of the file; it is another kind of model");
  return *found;
}

const Tensor& TensorFile::typed(const std::string& name, const std::string& dtype) const {
  const Tensor& found = tensor(name);
  require<InputError>(found.dtype == dtype, "read ", path_, ": tensor '", printable(name),
                      "': expected type ", dtype, ", found ", found.dtype);
  return found;
}

void TensorFile::copy_out(const std::string& name, void* values) const {
  const Tensor& found = tensor(name);
  if (!found.data.empty()) std::memcpy(values, found.data.data(), found.data.size());
}

void TensorFile::require_count(const std::string& name, const std::vector<Index>& shape,
                               Index count) {
  require<ShapeError>(shape_count(shape) == count, "add tensor '", name, "': expected ",
                      shape_count(shape), " values for its shape, found ", count);
}

void TensorFile::add_bytes(const std::string& name, const char* dtype,
                           const std::vector<Index>& shape, std::size_t element_bytes,
                           const void* values) {
  require<ConfigError>(name != kMetadata && !contains(name), "add tensor '", name,
                       "': expected a new name, found one that is taken or reserved");
  const Index bytes = checked_multiply(shape_count(shape), static_cast<Index>(element_bytes));
  Tensor tensor{name, dtype, shape, std::vector<std::byte>(static_cast<std::size_t>(bytes))};
  if (bytes > 0) std::memcpy(tensor.data.data(), values, tensor.data.size());
  tensors_.push_back(std::move(tensor));
}

bool has_model_files() { return GANMM_HAVE_JSON != 0; }

#if GANMM_HAVE_JSON

namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kLongestHeader = 100'000'000;  // as the reference reader

Index dtype_bytes(const std::string& dtype) {
  if (dtype == "F64") return 8;
  return dtype == "F32" || dtype == "I32" ? 4 : 0;
}

struct Entry {
  Tensor tensor;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

class HeaderReader {
 public:
  explicit HeaderReader(const std::string& path) : path_(path) {}

  std::map<std::string, std::string> metadata;

  // Sorted by offset.
  std::vector<Entry> parse(const std::string& text) {
    std::vector<Entry> entries;
    const Json header = parse_json(text);
    require_header(header.is_object(), "an object");
    for (const auto& [name, value] : header.items()) {
      require_header(value.is_object(), "an object for '" + printable(name) + "'");
      if (name == kMetadata) {
        read_metadata(value);
      } else {
        entries.push_back(read_entry(name, value));
      }
    }
    std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
      return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
    });
    return entries;
  }

 private:
  void require_header(bool condition, const std::string& expected) const {
    require<InputError>(condition, "read ", path_, ": malformed safetensors header, expected ",
                        expected, "; the file is damaged or no model file");
  }

  // The library keeps the last of two equal keys and nests without limit; the format has neither.
  Json parse_json(const std::string& text) const {
    constexpr int kDeepest = 3;
    std::set<std::string> names;
    const auto check = [&](int depth, Json::parse_event_t event, Json& parsed) {
      require_header(depth <= kDeepest, "no deeper nesting than tensor, shape and number");
      if (event == Json::parse_event_t::key && depth == 1) {
        const auto name = parsed.get<std::string>();
        require_header(names.insert(name).second, "'" + printable(name) + "' once");
      }
      return true;
    };
    try {
      return Json::parse(text, check);
    } catch (const Json::exception& error) {
      throw InputError(message("read ", path_, ": malformed safetensors header (",
                               one_line(error.what()), "); the file is damaged or no model file"));
    }
  }

  static std::string one_line(std::string text) {
    std::replace_if(
        text.begin(), text.end(), [](char c) { return c >= 0 && c < 0x20; }, '?');
    return text.substr(0, 160);
  }

  void read_metadata(const Json& value) {
    for (const auto& [key, text] : value.items()) {
      require_header(text.is_string(), "text for metadata '" + printable(key) + "'");
      metadata[key] = text.get<std::string>();
    }
  }

  Entry read_entry(const std::string& name, const Json& value) const {
    const std::string place = " in tensor '" + printable(name) + "'";
    const auto dtype = value.find("dtype");
    const auto shape = value.find("shape");
    const auto offsets = value.find("data_offsets");
    require_header(dtype != value.end() && dtype->is_string(), "'dtype'" + place);
    require_header(shape != value.end() && shape->is_array(), "'shape'" + place);
    require_header(offsets != value.end() && offsets->is_array() && offsets->size() == 2,
                   "two 'data_offsets'" + place);
    Entry entry;
    entry.tensor.name = name;
    entry.tensor.dtype = dtype->get<std::string>();
    Index bytes = dtype_bytes(entry.tensor.dtype);
    require<InputError>(bytes > 0, "read ", path_, ": tensor '", printable(name),
                        "': expected type F32, F64 or I32, found ", printable(entry.tensor.dtype));
    bool overflow = false;
    for (const Json& extent : *shape) {
      require_header(extent.is_number_unsigned(), "extents >= 0" + place);
      const auto size = extent.get<std::uint64_t>();
      overflow = overflow || size > INT64_MAX;
      overflow = overflow || __builtin_mul_overflow(bytes, static_cast<Index>(size), &bytes);
      entry.tensor.shape.push_back(static_cast<Index>(size));
    }
    require_header(!overflow, "a size that fits 63 bits" + place);
    for (const Json& offset : *offsets) {
      require_header(offset.is_number_unsigned(), "offsets >= 0" + place);
    }
    entry.begin = (*offsets)[0].get<std::uint64_t>();
    entry.end = (*offsets)[1].get<std::uint64_t>();
    require_header(entry.begin <= entry.end &&
                       entry.end - entry.begin == static_cast<std::uint64_t>(bytes),
                   message("data_offsets ", bytes, " bytes apart, as type and shape say, found ",
                           entry.begin, " to ", entry.end, place));
    return entry;
  }

  const std::string& path_;
};

}  // namespace

void TensorFile::write(const std::string& path) const {
  // Wider types first keeps every tensor aligned to its type.
  std::vector<const Tensor*> order;
  for (const Tensor& tensor : tensors_) order.push_back(&tensor);
  std::stable_sort(order.begin(), order.end(), [](const Tensor* a, const Tensor* b) {
    return dtype_bytes(a->dtype) > dtype_bytes(b->dtype);
  });

  Json header = Json::object();
  if (!metadata.empty()) header[kMetadata] = metadata;
  std::size_t offset = 0;
  for (const Tensor* tensor : order) {
    const std::size_t end = offset + tensor->data.size();
    header[tensor->name] = {
        {"dtype", tensor->dtype}, {"shape", tensor->shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  // Names and paths in the metadata need not be UTF-8; JSON must be.
  std::string text = header.dump(-1, ' ', false, Json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = text.size();
  require<ConfigError>(length <= kLongestHeader, "write ", path, ": expected a header of at most ",
                       kLongestHeader, " bytes, found ", length, "; shorten the metadata");

  AtomicFile file(path);
  char length_bytes[sizeof length];
  std::memcpy(length_bytes, &length, sizeof length);
  file.stream().write(length_bytes, sizeof length_bytes) << text;
  for (const Tensor* tensor : order) {
    file.stream().write(reinterpret_cast<const char*>(tensor->data.data()),
                        static_cast<std::streamsize>(tensor->data.size()));
  }
  file.commit();
}

TensorFile TensorFile::read(const std::string& path) {
  ByteSource source(path);
  std::uint64_t length = 0;
  source.read(&length, sizeof length);
  require<InputError>(length <= kLongestHeader, "read ", path, ": expected a header of at most ",
                      kLongestHeader, " bytes at byte 0, found ", length, "; no model file");
  source.require_remaining(static_cast<Index>(length), "the safetensors header");
  std::string text(length, ' ');
  source.read(text.data(), text.size());

  TensorFile file;
  file.path_ = path;
  HeaderReader reader(path);
  std::uint64_t expected = 0;
  for (Entry& entry : reader.parse(text)) {
    require<InputError>(entry.begin == expected, "read ", path, ": tensor '",
                        printable(entry.tensor.name), "': expected its values at offset ", expected,
                        ", found ", entry.begin, "; tensors overlap or leave a hole");
    const std::uint64_t bytes = entry.end - entry.begin;
    source.require_remaining(static_cast<Index>(bytes), "a tensor");
    constexpr std::size_t kBlock = std::size_t{1} << 24;
    for (std::size_t done = 0; done < bytes; done = entry.tensor.data.size()) {
      const std::size_t size = std::min<std::size_t>(bytes - done, kBlock);
      grow_towards(entry.tensor.data, size, bytes);
      source.read(entry.tensor.data.data() + done, size);
    }
    expected = entry.end;
    file.tensors_.push_back(std::move(entry.tensor));
  }
  source.require_end();
  file.metadata = std::move(reader.metadata);
  return file;
}

#else

void TensorFile::write(const std::string& path) const {
  throw UnsupportedError(message("write ", path, ": this build lacks nlohmann-json, which model ",
                                 "files need; install it and build again"));
}

TensorFile TensorFile::read(const std::string& path) {
  throw UnsupportedError(message("read ", path, ": this build lacks nlohmann-json, which model ",
                                 "files need; install it and build again"));
}

#endif

}  // namespace ganmm::io
