/*
 * gemm: single-precision matrix multiplication, and the only file that knows
 * BLAS (OpenBLAS). Row-major throughout.
 *
 *     int main(int argc, char **argv) {
 *         gemm_choose_core(argv);        first of all
 *         gemm_init();                   once, before the first call
 *         gemm(false, false, m, n, k, 1.0f, a, k, b, n, 0.0f, c, n);
 *
 * A call runs on the calling thread alone; several threads may call at once.
 */
#ifndef CONVOY_NN_GEMM_H
#define CONVOY_NN_GEMM_H

#include <stdbool.h>

/* OpenBLAS picks its kernels by the processor's model number while the program
 * is loaded, and takes its slowest ones for a model younger than itself (0.3.21
 * runs those of Prescott, 2004, on Xeons of 2023: a fifth of the speed). Where
 * that has happened on a processor that can do better, this sets
 * OPENBLAS_CORETYPE and executes the program anew; it returns where there is
 * nothing to mend. Call before anything was opened or started. A value that is
 * set by the user stays. */
void gemm_choose_core(char **argv);

/* The kernels in use, as OpenBLAS calls them: "SkylakeX". */
const char *gemm_core(void);

/* Turns OpenBLAS's own threads off. */
void gemm_init(void);

/* C (m, n) = alpha * op(A) (m, k) * op(B) (k, n) + beta * C.
 * op transposes where trans_* is set; ld* is the distance between rows as they
 * lie in memory. With beta 0, C is not read. */
void gemm(bool trans_a, bool trans_b, int m, int n, int k, float alpha,
          const float *a, int lda, const float *b, int ldb, float beta,
          float *c, int ldc);

#endif
