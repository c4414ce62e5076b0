# The hand-written part of the CUDA backend: sources that see nothing of CUDA but kernel.h and
# launch.h. tests/host_device/ compiles the same list for the host.
set(GANMM_CUDA_KERNELS
  activation.cu
  bias_activation.cu
  optim.cu
  pending.cpp)
