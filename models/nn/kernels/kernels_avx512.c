#define TABLE kernels_avx512
#define TABLE_ISA ISA_AVX512
#include "models/nn/kernels/kernels.inc"
