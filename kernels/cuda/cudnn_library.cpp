#include "kernels/cuda/cudnn_library.h"

#include "kernels/core/error.h"
#include "kernels/cuda/check.h"
#include "kernels/cuda/cudnn_version.h"
#include "kernels/cuda/dynamic_library.h"

#include <array>

namespace ganmm::kernels::cuda {

namespace {

constexpr const char* kAdvice = "; install cuDNN 9 for this CUDA Toolkit, or put the folder that "
                                "has it on LD_LIBRARY_PATH";

}  // namespace

CudnnLibrary load_cudnn(const char* name) {
  DynamicLibrary file(name, kAdvice);
  CudnnLibrary library;
#define GANMM_FIND(function) file.find(library.function, #function);
  GANMM_FOR_EACH_CUDNN_FUNCTION(GANMM_FIND)
#undef GANMM_FIND
  library.missing = file.missing();
  return library;
}

const CudnnLibrary& find_cudnn() {
  static const CudnnLibrary library = load_cudnn(kCudnnName);
  return library;
}

const CudnnLibrary& cudnn() {
  const CudnnLibrary& library = find_cudnn();
  require<UnsupportedError>(library.missing.empty(), "cuDNN: ", library.missing);
  return library;
}

// The version of the library that was loaded, not of the header: they may differ.
std::string cudnn_version() {
  if (!find_cudnn().missing.empty()) return {};
  const std::size_t version = find_cudnn().cudnnGetVersion();  // 91900 since cuDNN 9
  return message(version / 10000, ".", version / 100 % 100, ".", version % 100);
}

std::string cudnn_missing_reason(const char* name) {
  return name == kCudnnName ? find_cudnn().missing : load_cudnn(name).missing;
}

void throw_cudnn_error(cudnnStatus_t status, const char* call, const char* file, int line) {
  const CudnnLibrary& library = cudnn();
  const std::string attempt = message(call, " (", place(file, line), ")");
  if (status == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED) {
    throw_out_of_memory(0, attempt);
  }
  std::array<char, 512> detail{};
  library.cudnnGetLastErrorString(detail.data(), detail.size());
  std::string text = detail.data();
  for (char& letter : text) {
    if (letter == '\n') letter = ' ';
  }
  const std::string failure =
      message(attempt, " failed: ", library.cudnnGetErrorString(status), text.empty() ? "" : ", ",
              text, " (cuDNN ", cudnn_version(), ")");
  if (status == CUDNN_STATUS_SUBLIBRARY_LOADING_FAILED ||
      status == CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH ||
      status == CUDNN_STATUS_NOT_SUPPORTED_SUBLIBRARY_UNAVAILABLE) {
    throw CudnnError(message(failure, "; a part of cuDNN (libcudnn_*.so.9) is missing beside ",
                             kCudnnName, " or is of another version: install cuDNN completely"));
  }
  throw CudnnError(failure);
}

}  // namespace ganmm::kernels::cuda
