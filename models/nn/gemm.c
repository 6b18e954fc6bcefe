#include "models/nn/gemm.h"

#include <cblas.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The best kernels that every processor with the instruction set runs. */
static const char *core_for_this_processor(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw"))
        return "SkylakeX";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return "Haswell";
#endif
    return NULL;
}

void gemm_choose_core(char **argv) {
    const char *better = core_for_this_processor();
    if (!better || getenv("OPENBLAS_CORETYPE") ||
        strcmp(gemm_core(), "Prescott") != 0)
        return;
    if (setenv("OPENBLAS_CORETYPE", better, 1) == 0)
        execv("/proc/self/exe", argv);
    /* Not executed: slower, but right. */
}

const char *gemm_core(void) {
    return openblas_get_corename();
}

void gemm_init(void) {
    openblas_set_num_threads(1);
}

void gemm(bool trans_a, bool trans_b, int m, int n, int k, float alpha,
          const float *a, int lda, const float *b, int ldb, float beta,
          float *c, int ldc) {
    cblas_sgemm(CblasRowMajor, trans_a ? CblasTrans : CblasNoTrans,
                trans_b ? CblasTrans : CblasNoTrans, m, n, k, alpha, a, lda, b,
                ldb, beta, c, ldc);
}
