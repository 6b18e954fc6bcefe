#include "models/nn/kernels/kernels.h"

#include <math.h>

extern const struct kernels kernels_generic, kernels_avx2, kernels_avx512;

const struct kernels *kernels_for(enum isa isa) {
#if defined(__x86_64__)
    if (isa == ISA_AVX512)
        return &kernels_avx512;
    if (isa == ISA_AVX2)
        return &kernels_avx2;
#endif
    (void)isa;
    return &kernels_generic;
}

const struct byte_gemm *byte_gemm_for(enum isa isa, bool bytes) {
#if defined(__x86_64__)
    extern const struct byte_gemm byte_gemm_vnni;
    if (bytes && isa == ISA_AVX512 && __builtin_cpu_supports("avx512vnni"))
        return &byte_gemm_vnni;
#endif
    (void)bytes;
    return kernels_for(isa)->byte_gemm;
}

static int round_up(int n, int unit) {
    return (n + unit - 1) / unit * unit;
}

size_t panels_size(const struct kernels *kernels, int k, int n) {
    size_t size = (size_t)k * (size_t)round_up(n, kernels->lanes);
    return (size + 15) / 16 * 16;
}

size_t panels_at(const struct kernels *kernels, int k, int n, int row,
                 int column) {
    int start = column / kernels->panel * kernels->panel;
    int width = round_up(n - start, kernels->lanes);
    if (width > kernels->panel)
        width = kernels->panel;
    return (size_t)start * (size_t)k + (size_t)row * (size_t)width +
           (size_t)(column - start);
}

bool activation_bounds(const struct activation *a, float *low, float *high) {
    *low = -INFINITY;
    *high = INFINITY;
    if (a->kind == ACTIVATION_RELU) {
        *low = 0.0f;
    } else if (a->kind == ACTIVATION_CLIP) {
        *low = a->alpha;
        *high = a->beta;
    } else {
        return a->kind == ACTIVATION_NONE;
    }
    return true;
}
