# Installation: library, headers under a versioned include root, and the CMake package.
include_guard()
include(CMakePackageConfigHelpers)

set(ganmm_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/ganmm)

install(TARGETS ganmm EXPORT ganmmTargets)
if(TARGET ganmm_cli)
  # Find a shared ganmm beside it, and CUDA libraries where they were found for the build.
  set_target_properties(ganmm_cli PROPERTIES
    INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR};${cuDNN_folder}"
    INSTALL_RPATH_USE_LINK_PATH ON)
  install(TARGETS ganmm_cli)
endif()
# The folders of the backends hold no interface.
install(DIRECTORY kernels nn ganmm io
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/ganmm-${PROJECT_VERSION_MAJOR}
  FILES_MATCHING PATTERN "*.h"
  PATTERN kernels/cpu EXCLUDE PATTERN kernels/cuda EXCLUDE
  PATTERN kernels/no_cuda EXCLUDE PATTERN kernels/dispatch EXCLUDE)

install(EXPORT ganmmTargets NAMESPACE ganmm:: DESTINATION ${ganmm_package_dir})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/ganmmConfig.cmake.in
  ${PROJECT_BINARY_DIR}/ganmmConfig.cmake INSTALL_DESTINATION ${ganmm_package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/ganmmConfigVersion.cmake
  COMPATIBILITY SameMajorVersion)
install(FILES
  ${PROJECT_BINARY_DIR}/ganmmConfig.cmake
  ${PROJECT_BINARY_DIR}/ganmmConfigVersion.cmake
  ${PROJECT_SOURCE_DIR}/cmake/FindoneDNN.cmake
  DESTINATION ${ganmm_package_dir})
