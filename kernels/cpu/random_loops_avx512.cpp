#define GANMM_ISA avx512
#include "kernels/cpu/random_loops.inc"
