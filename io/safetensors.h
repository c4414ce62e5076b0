// Model files in the safetensors format: an 8-byte little-endian length, a JSON header with type,
// shape and offsets of every tensor, then the values without gaps.
//
// Types: F32 (float), F64 (double), I32 (std::int32_t). Reading throws InputError with the file and
// the tensor for a malformed header and for offsets that overlap, leave holes or leave the file;
// writing is atomic and throws IoError. Builds without nlohmann-json throw UnsupportedError.
// Source: https://github.com/huggingface/safetensors, README, "Format".
#pragma once

#include "kernels/core/shape.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <type_traits>
#include <vector>

namespace ganmm::io {

bool has_model_files();  // whether this build reads and writes them

struct Tensor {
  std::string name;
  std::string dtype;  // "F32", "F64" or "I32"
  std::vector<Index> shape;
  std::vector<std::byte> data;  // row-major, little endian
};

template <class T>
constexpr const char* dtype_name() {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, double> ||
                std::is_same_v<T, std::int32_t>);
  if (std::is_same_v<T, float>) return "F32";
  return std::is_same_v<T, double> ? "F64" : "I32";
}

class TensorFile {
 public:
  std::map<std::string, std::string> metadata;

  // Copies the values. Throws ConfigError when the name is taken or reserved ("__metadata__"),
  // ShapeError when an extent is negative or `values` has not as many elements as the shape.
  template <class T>
  void add(const std::string& name, const std::vector<Index>& shape, const T* values) {
    add_bytes(name, dtype_name<T>(), shape, sizeof(T), values);
  }
  template <class T>
  void add(const std::string& name, const std::vector<Index>& shape, const std::vector<T>& values) {
    require_count(name, shape, static_cast<Index>(values.size()));
    add(name, shape, values.data());
  }

  bool contains(const std::string& name) const;
  const std::vector<Tensor>& tensors() const { return tensors_; }

  // Throws InputError when there is no such tensor.
  const Tensor& tensor(const std::string& name) const;

  // The values; throws InputError also when the type is another one.
  template <class T>
  std::vector<T> get(const std::string& name) const {
    std::vector<T> values(typed(name, dtype_name<T>()).data.size() / sizeof(T));
    copy_out(name, values.data());
    return values;
  }

  void write(const std::string& path) const;
  static TensorFile read(const std::string& path);

 private:
  void add_bytes(const std::string& name, const char* dtype, const std::vector<Index>& shape,
                 std::size_t element_bytes, const void* values);
  static void require_count(const std::string& name, const std::vector<Index>& shape, Index count);
  const Tensor& typed(const std::string& name, const std::string& dtype) const;
  void copy_out(const std::string& name, void* values) const;

  std::string path_ = "model";  // for messages
  std::vector<Tensor> tensors_;
};

}  // namespace ganmm::io
