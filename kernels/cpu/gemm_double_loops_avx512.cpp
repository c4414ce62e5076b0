#define GANMM_DOUBLE
#define GANMM_ISA avx512
#include "kernels/cpu/gemm_loops.inc"
