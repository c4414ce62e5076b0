// How the CUDA backend computes convolutions. The paths differ in speed and memory, not in meaning.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ganmm {

enum class ConvPath {
  automatic,  // the rule of kernels/cuda/conv.cpp
  im2col,     // windows unfolded into memory, then a matrix product: every shape
  direct,     // own loops over shared memory: images of few channels
  implicit,   // a matrix product that unfolds its windows on the way to the tensor cores
  library,    // cuDNN
};

inline constexpr ConvPath kConvPaths[] = {ConvPath::automatic, ConvPath::im2col, ConvPath::direct,
                                          ConvPath::implicit, ConvPath::library};

inline std::string to_string(ConvPath path) {
  switch (path) {
  case ConvPath::automatic: return "automatic";
  case ConvPath::im2col: return "im2col";
  case ConvPath::direct: return "direct";
  case ConvPath::implicit: return "implicit";
  case ConvPath::library: return "library";
  }
  return "unknown";
}

// The path of that name, or nothing.
inline std::optional<ConvPath> parse_conv_path(std::string_view name) {
  for (const ConvPath path : kConvPaths) {
    if (name == to_string(path)) return path;
  }
  return std::nullopt;
}

}  // namespace ganmm
