# Finds the headers of cuDNN: imported target cuDNN::headers, variables cuDNN_VERSION,
# cuDNN_INCLUDE_DIR. Looks in cuDNN_ROOT and CUDNN_PATH, in the CUDA Toolkit and in the folders of
# the distribution, and prints the list when it finds nothing. The library itself is loaded at run
# time (kernels/cuda/cudnn_library.h); cuDNN_LIBRARY is where it lies on this machine, if it does.
set(cuDNN_SEARCHED
  ${cuDNN_ROOT} $ENV{cuDNN_ROOT} $ENV{CUDNN_PATH}
  ${CUDAToolkit_LIBRARY_ROOT} ${CUDAToolkit_TARGET_DIR} ${CUDAToolkit_BIN_DIR}/..
  /usr/local /usr)

find_path(cuDNN_INCLUDE_DIR cudnn_version.h
  HINTS ${cuDNN_SEARCHED} PATH_SUFFIXES include)
find_library(cuDNN_LIBRARY cudnn
  HINTS ${cuDNN_SEARCHED} PATH_SUFFIXES lib64 lib lib/x64 lib/${CMAKE_LIBRARY_ARCHITECTURE})

unset(cuDNN_VERSION)
if(cuDNN_INCLUDE_DIR)
  file(STRINGS ${cuDNN_INCLUDE_DIR}/cudnn_version.h cuDNN_lines
    REGEX "^#define CUDNN_(MAJOR|MINOR|PATCHLEVEL)[ \t]+[0-9]+")
  foreach(part MAJOR MINOR PATCHLEVEL)
    if(cuDNN_lines MATCHES "CUDNN_${part}[ \t]+([0-9]+)")
      list(APPEND cuDNN_VERSION ${CMAKE_MATCH_1})
    endif()
  endforeach()
  list(JOIN cuDNN_VERSION "." cuDNN_VERSION)
endif()

include(FindPackageHandleStandardArgs)
list(JOIN cuDNN_SEARCHED ", " cuDNN_searched_text)
find_package_handle_standard_args(cuDNN
  REQUIRED_VARS cuDNN_INCLUDE_DIR
  VERSION_VAR cuDNN_VERSION
  REASON_FAILURE_MESSAGE "looked in ${cuDNN_searched_text} and the system's folders")

if(cuDNN_FOUND AND NOT TARGET cuDNN::headers)
  add_library(cuDNN::headers INTERFACE IMPORTED)
  set_target_properties(cuDNN::headers PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES ${cuDNN_INCLUDE_DIR})
endif()
mark_as_advanced(cuDNN_INCLUDE_DIR cuDNN_LIBRARY)
