#include "io/npy.h"

#include <bit>
#include <charconv>

namespace ganmm::io {
namespace {

static_assert(std::endian::native == std::endian::little, "arrays are written as they lie");

constexpr std::string_view kMagic = "\x93NUMPY";

// Plain arrays need some 100 bytes; NumPy itself refuses to evaluate more than 10,000.
constexpr std::size_t kLongestHeader = 65536;

// The header is a Python dict literal with three known keys; nothing else of Python is understood.
class DictParser {
 public:
  DictParser(std::string_view text, const std::string& path) : text_(text), path_(path) {}

  ArrayHeader parse() {
    expect('{');
    while (!accept('}')) {
      const std::string_view key = quoted();
      expect(':');
      if (key == "descr") {
        parse_type();
      } else if (key == "fortran_order") {
        fortran_ = parse_bool();
      } else if (key == "shape") {
        parse_shape();
      } else {
        fail("keys descr, fortran_order and shape, found '" + printable(key) + "'");
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    if (!has_type_ || !has_shape_) fail("both 'descr' and 'shape'");
    require<InputError>(!fortran_ || header_.extents.size() < 2, "read ", path_,
                        ": expected C order, found an array in Fortran order; save it with ",
                        "numpy.ascontiguousarray(array)");
    return header_;
  }

 private:
  [[noreturn]] void fail(const std::string& expected) const {
    throw InputError(message("read ", path_, ": malformed NumPy header, expected ", expected,
                             " at character ", position_, " of it"));
  }

  void skip_spaces() {
    while (position_ < text_.size() && (text_[position_] == ' ' || text_[position_] == '\n')) {
      ++position_;
    }
  }

  bool accept(char wanted) {
    skip_spaces();
    if (position_ == text_.size() || text_[position_] != wanted) return false;
    ++position_;
    return true;
  }

  void expect(char wanted) {
    if (!accept(wanted)) fail(std::string("'") + wanted + "'");
  }

  std::string_view quoted() {
    skip_spaces();
    const char quote = position_ < text_.size() ? text_[position_] : ' ';
    if (quote != '\'' && quote != '"') fail("a quoted text");
    const std::size_t end = text_.find(quote, position_ + 1);
    if (end == std::string_view::npos) fail("a closing quote");
    const std::string_view inside = text_.substr(position_ + 1, end - position_ - 1);
    position_ = end + 1;
    return inside;
  }

  void parse_type() {
    require<InputError>(!accept('['), "read ", path_, ": expected one type for all values, found ",
                        "a structured array; save its fields as columns of a plain array");
    const std::string_view name = quoted();
    const std::string_view kind = name.substr(std::min<std::size_t>(1, name.size()));
    require<InputError>(name.empty() || name[0] != '>', "read ", path_,
                        ": expected little endian values, found '", printable(name),
                        "' (big endian); save the array with .astype('<", printable(kind), "')");
    if (name == "<f4") {
      header_.type = ElementType::f4;
    } else if (name == "<f8") {
      header_.type = ElementType::f8;
    } else if (name == "|u1" || name == "<u1") {
      header_.type = ElementType::u1;
    } else if (name == "<i4") {
      header_.type = ElementType::i4;
    } else if (name == "<i8") {
      header_.type = ElementType::i8;
    } else {
      throw InputError(message("read ", path_, ": expected values of type f4, f8, u1, i4 or i8, ",
                               "found '", printable(name),
                               "'; save the array with .astype('float32')"));
    }
    has_type_ = true;
  }

  bool parse_bool() {
    skip_spaces();
    for (const std::string_view word : {"True", "False"}) {
      if (text_.substr(position_, word.size()) == word) {
        position_ += word.size();
        return word == "True";
      }
    }
    fail("True or False");
  }

  void parse_shape() {
    expect('(');
    while (!accept(')')) {
      skip_spaces();
      Index extent = 0;
      const char* begin = text_.data() + position_;
      const auto [end, status] = std::from_chars(begin, text_.data() + text_.size(), extent);
      if (status != std::errc() || extent < 0) fail("an extent from 0 to 2^63 - 1");
      position_ += static_cast<std::size_t>(end - begin);
      header_.extents.push_back(extent);
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    require<InputError>(!header_.extents.empty() && header_.extents.size() <= 4, "read ", path_,
                        ": expected 1 to 4 axes, found shape ", to_string(header_.extents));
    has_shape_ = true;
  }

  std::string_view text_;
  const std::string& path_;
  std::size_t position_ = 0;
  ArrayHeader header_{};
  bool has_type_ = false;
  bool has_shape_ = false;
  bool fortran_ = false;
};

void write_header(std::ostream& out, const char* type, const Shape& shape) {
  std::string header = message("{'descr': '", type, "', 'fortran_order': False, 'shape': (");
  for (int axis = 0; axis < shape.rank(); ++axis) header += std::to_string(shape[axis]) + ", ";
  if (shape.rank() > 1) header.resize(header.size() - 2);
  header += "), }";
  // The payload starts at a multiple of 64, behind magic, version, length and a line end.
  constexpr std::size_t kPrefix = 10;
  while ((kPrefix + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';

  out << kMagic << '\x01' << '\0' << static_cast<char>(header.size() & 0xff)
      << static_cast<char>(header.size() >> 8) << header;
}

void write_array(const std::string& path, const char* type, const Shape& shape,
                 const void* values) {
  AtomicFile file(path);
  write_header(file.stream(), type, shape);
  file.stream().write(static_cast<const char*>(values),
                      static_cast<std::streamsize>(checked_multiply(shape.count(), 4)));
  file.commit();
}

}  // namespace

bool is_npy(ByteSource& source) { return source.peek(kMagic.size()) == kMagic; }

ArrayHeader read_npy_header(ByteSource& source) {
  std::uint8_t prefix[8];
  source.read(prefix, sizeof prefix);
  const int version = prefix[6];
  require<InputError>(version >= 1 && version <= 3, "read ", source.path(),
                      ": expected NumPy format version 1 to 3, found ", version);
  std::uint8_t length[4] = {0, 0, 0, 0};
  source.read(length, version == 1 ? 2 : 4);
  const std::size_t bytes = length[0] | std::size_t{length[1]} << 8 | std::size_t{length[2]} << 16 |
                            std::size_t{length[3]} << 24;
  require<InputError>(bytes <= kLongestHeader, "read ", source.path(),
                      ": expected a NumPy header of at most ", kLongestHeader, " bytes, found ",
                      bytes, "; the file is damaged or no plain array");
  std::string text(bytes, ' ');
  source.read(text.data(), bytes);
  return DictParser(text, source.path()).parse();
}

NpyWriter::NpyWriter(const std::string& path, const Shape& shape)
    : file_(path), expected_(shape.count()) {
  write_header(file_.stream(), "<f4", shape);
}

void NpyWriter::write(std::span<const float> values) {
  file_.stream().write(reinterpret_cast<const char*>(values.data()),
                       static_cast<std::streamsize>(values.size_bytes()));
  written_ += static_cast<Index>(values.size());
}

void NpyWriter::commit() {
  require<ShapeError>(written_ == expected_, "write an array: expected ", expected_,
                      " values, found ", written_);
  file_.commit();
}

void write_npy(const std::string& path, const Shape& shape, const float* values) {
  write_array(path, "<f4", shape, values);
}

void write_npy(const std::string& path, const Shape& shape, const std::int32_t* values) {
  write_array(path, "<i4", shape, values);
}

}  // namespace ganmm::io
