#define GANMM_DOUBLE
#define GANMM_ISA avx2
#include "kernels/cpu/gemm_loops.inc"
