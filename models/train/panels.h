/*
 * panels: the matrix product of a transformed convolution, on the engine's
 * kernels (models/nn/kernels/kernels.h).
 *
 *     struct panels p = panels_plan(k, n);
 *     float *b = malloc(p.size * sizeof *b);
 *     panels_pack(&p, matrix, 0, k, b);
 *     panels_multiply(&p, a, rows, b, c);
 *
 * The right-hand matrix B (k, n) is packed into panels of columns, which a
 * product then reads from front to back. Weights are packed once a step and
 * serve every slice of the batch, where a BLAS packs at every call. Matrices
 * are row-major and without gaps.
 */
#ifndef CONVOY_TRAIN_PANELS_H
#define CONVOY_TRAIN_PANELS_H

#include <stddef.h>

struct panels {
    const struct kernels *kernels;
    int k, n;
    size_t size; /* floats of B packed */
};

struct panels panels_plan(int k, int n);

/* Rows from..to of b (k, n). */
void panels_pack(const struct panels *p, const float *b, int from, int to,
                 float *packed);
/* Rows from..to of b (n, k), which become columns. */
void panels_pack_transposed(const struct panels *p, const float *b, int from,
                            int to, float *packed);

/* c (rows, n) = a (rows, k) * B */
void panels_multiply(const struct panels *p, const float *a, int rows,
                     const float *packed, float *c);

#endif
