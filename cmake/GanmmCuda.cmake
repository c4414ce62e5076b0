# How the CUDA sources of the library are compiled.
include_guard()

# As a flag, since CMake 3.25 does not know cuda_std_20 for nvcc.
target_compile_options(ganmm PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:-std=c++20>)
set_target_properties(ganmm PROPERTIES
  CUDA_ARCHITECTURES "${CMAKE_CUDA_ARCHITECTURES}"
  CUDA_RUNTIME_LIBRARY Static
  CUDA_SEPARABLE_COMPILATION OFF)
# Source lines for profilers at no cost in speed; device debug code (-G) only in debug builds.
target_compile_options(ganmm PRIVATE
  "$<$<COMPILE_LANGUAGE:CUDA>:$<IF:$<CONFIG:Debug>,-G,-lineinfo>>")
if(CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 12.9)
  target_compile_options(ganmm PRIVATE "$<$<COMPILE_LANGUAGE:CUDA>:--compress-mode=size>")
endif()
