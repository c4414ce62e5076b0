// The one header that asks whether nvcc reads it, for the annotation of functions that kernels call
// as well.
#pragma once

#if defined(__CUDACC__)
#define GANMM_HOST_DEVICE __host__ __device__
#else
#define GANMM_HOST_DEVICE
#endif
