#define GANMM_ISA baseline
#include "kernels/cpu/mlp_step_loops.inc"
