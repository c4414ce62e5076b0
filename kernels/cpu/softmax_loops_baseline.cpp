#define GANMM_ISA baseline
#include "kernels/cpu/softmax_loops.inc"
