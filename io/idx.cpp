#include "io/idx.h"

namespace ganmm::io {

bool is_idx(ByteSource& source) { return source.peek(2) == std::string_view("\0\0", 2); }

ArrayHeader read_idx_header(ByteSource& source) {
  std::uint8_t magic[4];
  source.read(magic, sizeof magic);
  constexpr int kUnsignedByte = 0x08;
  require<InputError>(magic[2] == kUnsignedByte, "read ", source.path(),
                      ": expected IDX type 8 (unsigned byte) at byte 2, found ", int{magic[2]},
                      "; save other types as .npy");
  require<InputError>(magic[3] >= 1 && magic[3] <= 4, "read ", source.path(),
                      ": expected 1 to 4 IDX axes at byte 3, found ", int{magic[3]});
  ArrayHeader header{ElementType::u1, {}};
  for (int axis = 0; axis < magic[3]; ++axis) {
    std::uint8_t extent[4];
    source.read(extent, sizeof extent);
    header.extents.push_back(Index{extent[0]} << 24 | Index{extent[1]} << 16 |
                             Index{extent[2]} << 8 | Index{extent[3]});
  }
  return header;
}

}  // namespace ganmm::io
