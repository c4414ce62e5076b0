# The hand-written part of the CUDA backend: sources that see nothing of CUDA but kernel.h and
# launch.h. tests/host_device/ compiles the same list for the host.
set(GANMM_CUDA_KERNELS
  activation.cu
  bias_activation.cu
  conv.cpp
  conv_direct.cu
  conv_im2col.cu
  conv_implicit.cu
  conv_implicit_bf16.cu
  conv_implicit_fp32.cu
  conv_implicit_tf32.cu
  count.cu
  distance.cu
  draw.cu
  elementwise.cu
  em_step.cu
  gaussian.cu
  loss.cu
  mlp_step.cu
  norm.cu
  optim.cu
  partition.cu
  penalty.cu
  random.cu
  reduce.cu
  select.cu
  transposed_copy.cu)
