// Files of one dense array, what the NumPy and the IDX reader share: the header as they report it,
// and the payload behind it.
#pragma once

#include "io/byte_source.h"
#include "kernels/core/shape.h"

#include <vector>

namespace ganmm::io {

enum class ElementType { f4, f8, u1, i4, i8 };

struct ArrayHeader {
  ElementType type;
  std::vector<Index> extents;  // row-major; 1 to 4 of them, each >= 0
};

// Product of the extents. Throws InputError when that many of the widest values do not fit 63 bits
// of bytes.
Index element_count(const ArrayHeader& header, const std::string& path);

std::string to_string(const std::vector<Index>& extents);  // "(60000, 28, 28)"

// The payload behind the header as floats, one for one; 8-bit values stay 0..255. The source must
// end behind it. Throws InputError for NaN, Inf and values beyond float, with row and column.
std::vector<float> read_floats(ByteSource& source, const ArrayHeader& header);

// The same for a 1-D array of integers, for labels and assignments.
std::vector<std::int64_t> read_integers(ByteSource& source, const ArrayHeader& header);

}  // namespace ganmm::io
