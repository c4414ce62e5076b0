#include "io/array_file.h"

#include <bit>
#include <cmath>
#include <limits>

namespace ganmm::io {
namespace {

static_assert(std::endian::native == std::endian::little, "array files are read as they lie");

// Small enough to stay in cache between reading and converting.
constexpr std::size_t kBlockElements = std::size_t{1} << 16;

template <class Out, class In>
Out convert(In value) {
  return static_cast<Out>(value);
}

// A double beyond float must not be cast to it; infinity is refused afterwards.
template <>
float convert<float, double>(double value) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  if (std::abs(value) <= kLargest || std::isnan(value)) return static_cast<float>(value);
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  return value > 0 ? kInfinity : -kInfinity;
}

template <class In, class Out>
std::vector<Out> read_payload(ByteSource& source, Index count) {
  const auto total = static_cast<std::size_t>(count);
  source.require_remaining(count * static_cast<Index>(sizeof(In)), "the payload");
  std::vector<Out> values;
  if (source.remaining()) values.reserve(total);
  std::vector<In> block(std::min(total, kBlockElements));
  while (values.size() < total) {
    const std::size_t start = values.size();
    const std::size_t size = std::min(total - start, block.size());
    source.read(block.data(), size * sizeof(In));
    grow_towards(values, size, total);
    for (std::size_t i = 0; i < size; ++i) values[start + i] = convert<Out>(block[i]);
  }
  source.require_end();
  return values;
}

void require_finite(const std::vector<float>& values, const ArrayHeader& header,
                    const std::string& path) {
  const Index rows = header.extents.front();
  const auto width = rows == 0 ? 1 : values.size() / static_cast<std::size_t>(rows);
  for (std::size_t i = 0; i < values.size(); ++i) {
    require<InputError>(std::isfinite(values[i]), "read ", path, ": row ", i / width + 1,
                        ", column ", i % width + 1,
                        " (counted from 1): expected a finite number within float, found ",
                        values[i], "; remove or fill in such rows");
  }
}

}  // namespace

Index element_count(const ArrayHeader& header, const std::string& path) {
  Index count = 1;
  Index bytes = 0;
  bool overflow = false;
  for (const Index extent : header.extents) {
    overflow = overflow || __builtin_mul_overflow(count, extent, &count);
  }
  overflow = overflow || __builtin_mul_overflow(count, Index{8}, &bytes);
  require<InputError>(!overflow, "read ", path, ": shape ", to_string(header.extents),
                      ": expected a size that fits 63 bits; the header is wrong");
  return count;
}

std::string to_string(const std::vector<Index>& extents) {
  std::string text = "(";
  for (std::size_t i = 0; i < extents.size(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(extents[i]);
  }
  return text + ")";
}

std::vector<float> read_floats(ByteSource& source, const ArrayHeader& header) {
  const Index count = element_count(header, source.path());
  std::vector<float> values;
  switch (header.type) {
  case ElementType::u1: return read_payload<std::uint8_t, float>(source, count);
  case ElementType::i4: return read_payload<std::int32_t, float>(source, count);
  case ElementType::i8: return read_payload<std::int64_t, float>(source, count);
  case ElementType::f4: values = read_payload<float, float>(source, count); break;
  case ElementType::f8: values = read_payload<double, float>(source, count); break;
  }
  require_finite(values, header, source.path());
  return values;
}

std::vector<std::int64_t> read_integers(ByteSource& source, const ArrayHeader& header) {
  require<InputError>(header.extents.size() == 1, "read ", source.path(),
                      ": expected a 1-D array with one integer per row, found shape ",
                      to_string(header.extents));
  const Index count = element_count(header, source.path());
  switch (header.type) {
  case ElementType::u1: return read_payload<std::uint8_t, std::int64_t>(source, count);
  case ElementType::i4: return read_payload<std::int32_t, std::int64_t>(source, count);
  case ElementType::i8: return read_payload<std::int64_t, std::int64_t>(source, count);
  case ElementType::f4:
  case ElementType::f8: break;
  }
  throw InputError(message("read ", source.path(), ": expected integers (i4, i8 or u1), found ",
                           "floating point; save the array with .astype('int32')"));
}

}  // namespace ganmm::io
