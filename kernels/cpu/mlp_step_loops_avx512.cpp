#define GANMM_ISA avx512
#include "kernels/cpu/mlp_step_loops.inc"
