#define GANMM_ISA avx2
#include "kernels/cpu/random_loops.inc"
