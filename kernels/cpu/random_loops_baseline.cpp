#define GANMM_ISA baseline
#include "kernels/cpu/random_loops.inc"
