# ganmm_find_cuda(<out>): finds nvcc, chooses the architectures and enables the CUDA language.
# <out> is empty on success, otherwise it says what is missing.
include_guard()
include(CheckLanguage)

# A macro, because the language must be enabled in the scope of the root CMakeLists.txt.
macro(ganmm_find_cuda out)
  if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
    file(GLOB ganmm_toolkits LIST_DIRECTORIES true /usr/local/cuda-*)
    list(SORT ganmm_toolkits COMPARE NATURAL ORDER DESCENDING)
    find_program(GANMM_NVCC nvcc
      HINTS ENV CUDA_HOME ENV CUDA_PATH
      PATHS /usr/local/cuda /opt/cuda ${ganmm_toolkits}
      PATH_SUFFIXES bin
      DOC "nvcc, where it is not on the PATH")
    if(GANMM_NVCC)
      set(ENV{CUDACXX} ${GANMM_NVCC})
    endif()
  endif()
  check_language(CUDA)
  if(NOT CMAKE_CUDA_COMPILER)
    if(GANMM_NVCC)
      set(${out} "${GANMM_NVCC} cannot compile with this host compiler")
    else()
      set(${out} "no nvcc on the PATH, in CUDA_HOME, CUDA_PATH, /usr/local/cuda* or /opt/cuda")
    endif()
  else()
    ganmm_choose_architectures()
    enable_language(CUDA)
    find_package(CUDAToolkit 12.4 QUIET)
    if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12.4)
      set(${out} "nvcc ${CMAKE_CUDA_COMPILER_VERSION} is older than 12.4")
    elseif(NOT CUDAToolkit_FOUND)
      set(${out} "the CUDA Toolkit of ${CMAKE_CUDA_COMPILER} was not found")
    elseif(NOT TARGET CUDA::cublas OR NOT TARGET CUDA::cublasLt)
      set(${out} "the CUDA Toolkit ${CUDAToolkit_VERSION} has no cuBLAS")
    endif()
  endif()
endmacro()

# Turing, Ampere and Hopper, as far as the toolkit knows them, with PTX of the last for what comes
# after. An explicit list, since `native` stops the configuration of a machine without a GPU and
# makes binaries that only run on the machine that built them.
macro(ganmm_choose_architectures)
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES AND NOT DEFINED ENV{CUDAARCHS})
    execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --list-gpu-arch
      OUTPUT_VARIABLE ganmm_known ERROR_QUIET)
    set(CMAKE_CUDA_ARCHITECTURES "")
    foreach(arch 75 80 90)
      if(ganmm_known MATCHES "compute_${arch}[^0-9]")
        list(APPEND CMAKE_CUDA_ARCHITECTURES ${arch}-real)
        set(ganmm_last ${arch})
      endif()
    endforeach()
    if(CMAKE_CUDA_ARCHITECTURES)
      list(APPEND CMAKE_CUDA_ARCHITECTURES ${ganmm_last}-virtual)
    else()
      set(CMAKE_CUDA_ARCHITECTURES all-major)
    endif()
  endif()
endmacro()
