# Every build option and its resolution. A feature is AUTO (used when found), ON (a configure error
# when it is missing) or OFF. The outcome is GANMM_HAVE_<FEATURE> (0 or 1) in CMake and
# GANMM_FEATURE_DEFINITIONS / GANMM_FEATURE_TARGETS for the library; ganmm_print_summary() prints
# what was decided and why.
include_guard()

option(GANMM_LEAN "The library with nothing but a C++ compiler: every AUTO feature becomes OFF" OFF)
if(PROJECT_IS_TOP_LEVEL AND NOT GANMM_LEAN)
  set(ganmm_build_default ON)
else()
  set(ganmm_build_default OFF)
endif()
option(GANMM_BUILD_TOOLS "Build the command line program" ${ganmm_build_default})
option(GANMM_BUILD_TESTS "Build the tests" ${ganmm_build_default})
option(GANMM_BUILD_BENCH "Build the benchmarks" ${ganmm_build_default})
option(GANMM_WERROR "Turn the warnings of a developer build into errors" OFF)
option(GANMM_SYNC_LAUNCHES "Wait after each CUDA kernel, so that the failing one is named" OFF)
option(GANMM_NVTX "Name ops and phases for the profilers of the CUDA Toolkit" OFF)

set(ganmm_summary "")
set(GANMM_FEATURE_TARGETS "")

# Declares GANMM_<feature> and sets ganmm_want_<feature> to whether to look for it at all.
function(ganmm_feature feature help)
  set(GANMM_${feature} AUTO CACHE STRING "${help} (AUTO, ON or OFF)")
  set_property(CACHE GANMM_${feature} PROPERTY STRINGS AUTO ON OFF)
  set(value ${GANMM_${feature}})
  if(NOT value MATCHES "^(AUTO|ON|OFF)$")
    message(FATAL_ERROR "GANMM_${feature} is '${value}'; use AUTO, ON or OFF.")
  endif()
  if(value STREQUAL "OFF" OR (GANMM_LEAN AND value STREQUAL "AUTO"))
    set(ganmm_want_${feature} OFF PARENT_SCOPE)
  else()
    set(ganmm_want_${feature} ON PARENT_SCOPE)
  endif()
endfunction()

# Records the outcome: `missing` is empty when the feature was found, otherwise it says what is not
# there; `found` names what is used, `advice` what to install, further arguments are link targets.
function(ganmm_decide feature found missing advice)
  set(have 0)
  if(NOT ganmm_want_${feature})
    if(GANMM_${feature} STREQUAL "OFF")
      set(why "GANMM_${feature}=OFF")
    else()
      set(why "GANMM_LEAN=ON")
    endif()
  elseif(missing STREQUAL "")
    set(have 1)
    set(why "${found}")
    set(GANMM_FEATURE_TARGETS ${GANMM_FEATURE_TARGETS} ${ARGN} PARENT_SCOPE)
  elseif(GANMM_${feature} STREQUAL "ON")
    message(FATAL_ERROR "GANMM_${feature}=ON, but ${missing}.\n${advice}, "
      "or build without it: -DGANMM_${feature}=OFF")
  else()
    set(why "${missing}")
  endif()
  set(GANMM_HAVE_${feature} ${have} PARENT_SCOPE)
  set(ganmm_summary ${ganmm_summary} "${feature}|${have}|${why}" PARENT_SCOPE)
endfunction()

function(ganmm_print_summary)
  set(table "\n  feature   decision   why\n")
  foreach(row IN LISTS ganmm_summary)
    string(REPLACE "|" ";" row "${row}")
    list(GET row 0 feature)
    list(GET row 1 have)
    list(GET row 2 why)
    string(SUBSTRING "${feature}          " 0 10 feature)
    if(have)
      string(APPEND table "  ${feature}on         ${why}\n")
    else()
      string(APPEND table "  ${feature}off        ${why}\n")
    endif()
  endforeach()
  message(STATUS "ganmm ${PROJECT_VERSION}, ${CMAKE_BUILD_TYPE}:${table}")
endfunction()

# --- CUDA ------------------------------------------------------------------------------------
ganmm_feature(CUDA "CUDA backend")
set(missing "")
if(ganmm_want_CUDA)
  include(GanmmFindCuda)
  ganmm_find_cuda(missing)
endif()
list(JOIN CMAKE_CUDA_ARCHITECTURES " " architectures)
ganmm_decide(CUDA "toolkit ${CUDAToolkit_VERSION}, architectures ${architectures}"
  "${missing}" "Install the CUDA Toolkit 12.4 or newer and put nvcc on the PATH (or set CUDACXX)"
  CUDA::cudart_static ${CMAKE_DL_LIBS})
if(GANMM_HAVE_CUDA)
  # cuBLAS's headers are needed to build; contexts load the library itself.
  list(APPEND CMAKE_BUILD_RPATH ${CUDAToolkit_LIBRARY_DIR})
endif()

ganmm_feature(CUDNN "cuDNN convolutions of the CUDA backend")
set(missing "")
if(NOT GANMM_HAVE_CUDA)
  set(missing "the CUDA backend is off")
elseif(ganmm_want_CUDNN)
  find_package(cuDNN 9 MODULE)
  if(NOT cuDNN_FOUND)
    set(missing "cuDNN 9 or newer was not found")
  endif()
endif()
# Its headers are needed to build; programs load the library itself when they want it.
ganmm_decide(CUDNN "headers of cuDNN ${cuDNN_VERSION} in ${cuDNN_INCLUDE_DIR}" "${missing}"
  "Install cuDNN 9 for the CUDA Toolkit in use, or set cuDNN_ROOT to its folder"
  $<BUILD_INTERFACE:cuDNN::headers>)
if(GANMM_HAVE_CUDNN AND cuDNN_LIBRARY)
  get_filename_component(cuDNN_folder ${cuDNN_LIBRARY} DIRECTORY)
  list(APPEND CMAKE_BUILD_RPATH ${cuDNN_folder})  # where the programs built here find it
endif()

# --- CPU -------------------------------------------------------------------------------------
find_package(Threads REQUIRED)

ganmm_feature(ONEDNN "oneDNN convolutions of the CPU backend")
set(missing "")
if(ganmm_want_ONEDNN)
  find_package(oneDNN 2.6 MODULE QUIET)
  # OpenMP holds oneDNN to one thread per lane, which the same bits for all thread counts need.
  find_package(OpenMP QUIET COMPONENTS CXX)
  if(NOT oneDNN_FOUND)
    set(missing "oneDNN 2.6 or newer was not found")
  elseif(NOT OpenMP_CXX_FOUND)
    set(missing "it needs OpenMP, which the C++ compiler does not have")
  endif()
endif()
ganmm_decide(ONEDNN "oneDNN ${oneDNN_VERSION}" "${missing}"
  "Install oneDNN (apt-get install libdnnl-dev) and a compiler with OpenMP"
  oneDNN::dnnl OpenMP::OpenMP_CXX)

# --- files -----------------------------------------------------------------------------------
ganmm_feature(ZLIB "gzip-compressed input")
set(missing "")
if(ganmm_want_ZLIB)
  find_package(ZLIB QUIET)
  if(NOT ZLIB_FOUND)
    set(missing "zlib was not found")
  endif()
endif()
ganmm_decide(ZLIB "zlib ${ZLIB_VERSION_STRING}" "${missing}"
  "Install zlib (apt-get install zlib1g-dev)" ZLIB::ZLIB)

ganmm_feature(PNG "sample images")
set(missing "")
if(ganmm_want_PNG)
  find_package(PNG QUIET)
  if(NOT PNG_FOUND)
    set(missing "libpng was not found")
  endif()
endif()
ganmm_decide(PNG "libpng ${PNG_VERSION_STRING}" "${missing}"
  "Install libpng (apt-get install libpng-dev)" PNG::PNG)

# Headers only: needed to build, not to link, hence $<BUILD_INTERFACE>.
ganmm_feature(JSON "metrics.json and model files")
set(missing "")
if(ganmm_want_JSON)
  find_package(nlohmann_json 3.9 CONFIG QUIET)
  if(NOT nlohmann_json_FOUND)
    set(missing "nlohmann-json was not found")
  endif()
endif()
ganmm_decide(JSON "nlohmann-json ${nlohmann_json_VERSION}" "${missing}"
  "Install nlohmann-json (apt-get install nlohmann-json3-dev)"
  $<BUILD_INTERFACE:nlohmann_json::nlohmann_json>)

# --- programs --------------------------------------------------------------------------------
if(GANMM_BUILD_TOOLS)
  find_package(CLI11 2.1 CONFIG QUIET)
  if(NOT CLI11_FOUND)
    message(FATAL_ERROR "The command line program needs CLI11, which was not found.\n"
      "Install it (apt-get install libcli11-dev), "
      "or build without the program: -DGANMM_BUILD_TOOLS=OFF")
  endif()
endif()
if(GANMM_BUILD_TESTS)
  find_package(doctest 2.4 CONFIG QUIET)
  if(NOT doctest_FOUND)
    message(FATAL_ERROR "The tests need doctest, which was not found.\n"
      "Install it (apt-get install doctest-dev), or build without tests: -DGANMM_BUILD_TESTS=OFF")
  endif()
endif()

set(GANMM_FEATURE_DEFINITIONS
  GANMM_HAVE_CUDNN=${GANMM_HAVE_CUDNN}
  GANMM_HAVE_ONEDNN=${GANMM_HAVE_ONEDNN}
  GANMM_HAVE_ZLIB=${GANMM_HAVE_ZLIB}
  GANMM_HAVE_PNG=${GANMM_HAVE_PNG}
  GANMM_HAVE_JSON=${GANMM_HAVE_JSON}
  GANMM_SYNC_LAUNCHES=$<BOOL:${GANMM_SYNC_LAUNCHES}>
  GANMM_NVTX=$<AND:$<BOOL:${GANMM_NVTX}>,$<BOOL:${GANMM_HAVE_CUDA}>>)
