#define GANMM_ISA avx2
#include "kernels/cpu/softmax_loops.inc"
