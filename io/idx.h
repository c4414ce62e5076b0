// IDX files of unsigned bytes, as MNIST is published: 00 00 08 and the number of axes, the extents
// as big-endian 32-bit integers, the values row by row.
// Source: http://yann.lecun.com/exdb/mnist/
#pragma once

#include "io/array_file.h"

namespace ganmm::io {

// Two zero bytes: no text and no NumPy file starts like that.
bool is_idx(ByteSource& source);

// Consumes the header; the payload follows. Throws InputError for other value types and for more
// than four axes.
ArrayHeader read_idx_header(ByteSource& source);

}  // namespace ganmm::io
