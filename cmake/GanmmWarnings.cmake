# Warnings for people who work on ganmm itself. A project that adds ganmm as a subfolder, or that
# uses the installed library, sees none of these flags.
include_guard()

function(ganmm_warnings target)
  if(NOT PROJECT_IS_TOP_LEVEL)
    return()
  endif()
  set(host -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 14)
    list(APPEND host -Wno-restrict)  # false alarm for "text" + std::string, GCC bug 105651
  endif()
  # -Wold-style-cast and -Wpedantic would blame the stubs that nvcc generates.
  list(JOIN host "," forwarded)
  target_compile_options(${target} PRIVATE
    "$<$<COMPILE_LANGUAGE:CXX>:${host};-Wpedantic;-Wold-style-cast>"
    "$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=${forwarded};-Werror=cross-execution-space-call;-Xptxas=--warn-on-spills>")
  if(GANMM_WERROR)
    target_compile_options(${target} PRIVATE
      "$<$<COMPILE_LANGUAGE:CXX>:-Werror>"
      "$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Werror;-Werror=all-warnings>")
  endif()
endfunction()
