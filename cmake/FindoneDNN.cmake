# Finds oneDNN: imported target oneDNN::dnnl, variables oneDNN_VERSION, oneDNN_LIBRARY,
# oneDNN_INCLUDE_DIR. The package's own dnnl-config.cmake is not used: where oneDNN was built with
# an OpenCL runtime it refuses to work without OpenCL headers, which nobody here includes.
find_path(oneDNN_INCLUDE_DIR oneapi/dnnl/dnnl_version.h)
find_library(oneDNN_LIBRARY dnnl)

unset(oneDNN_VERSION)
if(oneDNN_INCLUDE_DIR)
  file(STRINGS ${oneDNN_INCLUDE_DIR}/oneapi/dnnl/dnnl_version.h oneDNN_lines
    REGEX "^#define DNNL_VERSION_(MAJOR|MINOR|PATCH)[ \t]+[0-9]+")
  foreach(part MAJOR MINOR PATCH)
    if(oneDNN_lines MATCHES "DNNL_VERSION_${part}[ \t]+([0-9]+)")
      list(APPEND oneDNN_VERSION ${CMAKE_MATCH_1})
    endif()
  endforeach()
  list(JOIN oneDNN_VERSION "." oneDNN_VERSION)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(oneDNN
  REQUIRED_VARS oneDNN_LIBRARY oneDNN_INCLUDE_DIR
  VERSION_VAR oneDNN_VERSION)

if(oneDNN_FOUND AND NOT TARGET oneDNN::dnnl)
  add_library(oneDNN::dnnl UNKNOWN IMPORTED)
  set_target_properties(oneDNN::dnnl PROPERTIES
    IMPORTED_LOCATION ${oneDNN_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${oneDNN_INCLUDE_DIR})
endif()
mark_as_advanced(oneDNN_INCLUDE_DIR oneDNN_LIBRARY)
