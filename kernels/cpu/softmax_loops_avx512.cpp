#define GANMM_ISA avx512
#include "kernels/cpu/softmax_loops.inc"
