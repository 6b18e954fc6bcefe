#define TABLE kernels_generic
#define TABLE_ISA ISA_GENERIC
#include "models/nn/kernels/kernels.inc"
