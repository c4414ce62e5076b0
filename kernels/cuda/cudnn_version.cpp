#include "kernels/cuda/cudnn_version.h"

#include <cudnn.h>

namespace ganmm::kernels::cuda {

// The version of the library that was loaded, not of the header: they may differ.
std::string cudnn_version() {
  const std::size_t version = cudnnGetVersion();  // 91900 since cuDNN 9
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

}  // namespace ganmm::kernels::cuda
