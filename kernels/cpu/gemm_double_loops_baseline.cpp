#define GANMM_DOUBLE
#define GANMM_ISA baseline
#include "kernels/cpu/gemm_loops.inc"
