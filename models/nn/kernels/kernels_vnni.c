/* AVX-512 with VNNI: products of bytes alone. */
#include "models/nn/kernels/kernels.h"
#include "models/nn/kernels/simd.h"

#define TILE 14
#define PANEL 2

#include "models/nn/kernels/bytes_vector.inc"
#include "models/nn/kernels/byte_gemm.inc"

extern const struct byte_gemm byte_gemm_vnni;
const struct byte_gemm byte_gemm_vnni = {
    .name = "vnni",
    .lanes = LANES,
    .panel = PANEL * LANES,
    .tile = TILE,
    .run = byte_gemm,
    .rows = byte_rows,
};
