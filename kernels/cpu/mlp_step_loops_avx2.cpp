#define GANMM_ISA avx2
#include "kernels/cpu/mlp_step_loops.inc"
