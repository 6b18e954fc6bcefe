/*
 * strided: walks several tensors together, row by row, in the memory order of
 * the first.
 *
 *     struct strided s;
 *     strided_shape(&s, out);                  tensor 0
 *     strided_broadcast(&s, a);                tensor 1, as ONNX broadcasts
 *     for (strided_begin(&s); s.more; strided_next(&s))
 *         for (size_t i = 0; i < s.row; i++)
 *             out[s.offset[0] + i * s.step[0]] = a[s.offset[1] + i * s.step[1]]
 *
 * Axes that lie behind one another in every tensor are walked as one, so that
 * tensors of one shape and layout are a single row. Offsets and steps count
 * numbers, not bytes.
 *
 * strided_copy() is all that most operators which only move data need.
 */
#ifndef CONVOY_NN_STRIDED_H
#define CONVOY_NN_STRIDED_H

#include "models/nn/op.h"

#define STRIDED_TENSORS (OP_INPUTS_MAX + 1)
#define STRIDED_RANK (2 * NN_MAX_RANK) /* Tile: repeats beside every axis */

struct strided {
    bool more;
    size_t row;                        /* numbers in a row */
    ptrdiff_t step[STRIDED_TENSORS];   /* from number to number */
    ptrdiff_t offset[STRIDED_TENSORS]; /* of the row's first number */
    int rank, tensors;                 /* private from here on */
    int order[NN_MAX_RANK];            /* axis of the shape -> axis walked */
    int64_t dims[STRIDED_RANK], index[STRIDED_RANK];
    ptrdiff_t strides[STRIDED_TENSORS][STRIDED_RANK];
};

/* `out`, of any layout, becomes tensor 0. */
void strided_shape(struct strided *s, const struct tensor *out);
/* The next tensor; it broadcasts to the shape (not checked). */
void strided_broadcast(struct strided *s, const struct tensor *t);
void strided_begin(struct strided *s);
void strided_next(struct strided *s);

/* The next index of a block of dims in row-major order; false, and all zeros,
 * after the last. */
bool dims_step(int64_t *at, const int64_t *dims, int rank);

/* Distances between neighbours along each axis of dims, in numbers. */
void strided_of_dims(ptrdiff_t *strides, const int64_t *dims, int rank);
void strided_of_tensor(ptrdiff_t *strides, const struct tensor *t);

/* Copies a block of `dims` numbers of `size` bytes; strides in numbers. */
void strided_copy(size_t size, int rank, const int64_t *dims, void *out,
                  const ptrdiff_t *out_strides, const void *in,
                  const ptrdiff_t *in_strides);

#endif
