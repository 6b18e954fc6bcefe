/*
 * gemm: single-precision matrix multiplication, and the only file that knows
 * BLAS (OpenBLAS). Row-major throughout.
 *
 *     gemm_init();                       once, before the first call
 *     gemm(false, false, m, n, k, 1.0f, a, k, b, n, 0.0f, c, n);
 *
 * A call runs on the calling thread alone; several threads may call at once.
 */
#ifndef CONVOY_NN_GEMM_H
#define CONVOY_NN_GEMM_H

#include <stdbool.h>

/* Turns OpenBLAS's own threads off. */
void gemm_init(void);

/* C (m, n) = alpha * op(A) (m, k) * op(B) (k, n) + beta * C.
 * op transposes where trans_* is set; ld* is the distance between rows as they
 * lie in memory. With beta 0, C is not read. */
void gemm(bool trans_a, bool trans_b, int m, int n, int k, float alpha,
          const float *a, int lda, const float *b, int ldb, float beta,
          float *c, int ldc);

#endif
