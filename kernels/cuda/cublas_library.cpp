#include "kernels/cuda/cublas_library.h"

#include "kernels/cuda/dynamic_library.h"

namespace ganmm::kernels::cuda {
namespace {

CublasLibrary load() {
  // The version whose headers this was built with.
  const std::string name = message("libcublas.so.", CUBLAS_VER_MAJOR);
  DynamicLibrary file(name.c_str(),
                      "; install cuBLAS of this CUDA Toolkit, put the folder that has it on "
                      "LD_LIBRARY_PATH, or choose the CPU backend");
  CublasLibrary library;
#define GANMM_FIND(function) file.find(library.function, #function);
  GANMM_FOR_EACH_CUBLAS_FUNCTION(GANMM_FIND)
#undef GANMM_FIND
  library.missing = file.missing();
  return library;
}

}  // namespace

const CublasLibrary& find_cublas() {
  static const CublasLibrary library = load();
  return library;
}

const CublasLibrary& cublas() {
  const CublasLibrary& library = find_cublas();
  require<UnsupportedError>(library.missing.empty(), "cuBLAS: ", library.missing);
  return library;
}

}  // namespace ganmm::kernels::cuda
