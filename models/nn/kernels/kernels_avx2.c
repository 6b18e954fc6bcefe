#define TABLE kernels_avx2
#define TABLE_ISA ISA_AVX2
#include "models/nn/kernels/kernels.inc"
