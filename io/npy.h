// NumPy's .npy files, format versions 1 to 3: little endian, C order, f4, f8, u1, i4 and i8.
//
// Refused with InputError that says how to save the array instead: big endian, Fortran order,
// structured and object arrays, other types, more than four axes.
// Source: NumPy, numpy/lib/format.py (NEP 1).
#pragma once

#include "io/array_file.h"
#include "io/atomic_file.h"

#include <span>

namespace ganmm::io {

bool is_npy(ByteSource& source);

// Consumes the header; the payload follows.
ArrayHeader read_npy_header(ByteSource& source);

// A file of floats written bit by bit, row-major; it is there from commit() on. Throws IoError, and
// ShapeError when more or fewer values come than the shape has.
class NpyWriter {
 public:
  NpyWriter(const std::string& path, const Shape& shape);

  void write(std::span<const float> values);
  void commit();

 private:
  AtomicFile file_;
  Index expected_, written_ = 0;
};

// Row-major values of the shape. Throws IoError; the file is there as a whole or not at all.
void write_npy(const std::string& path, const Shape& shape, const float* values);
void write_npy(const std::string& path, const Shape& shape, const std::int32_t* values);

}  // namespace ganmm::io
