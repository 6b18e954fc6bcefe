/*
 * matmul: which matrices a MatMul of ONNX multiplies, whatever their numbers
 * are: those of the last two axes, once for every index of the axes before,
 * which broadcast. A vector on the left is a row, on the right a column.
 *
 *     struct matmul mm;
 *     if (matmul_of(call, 0, 1, &mm, &err) < 0 ||
 *         matmul_output(call, 0, 1, &mm, NN_FLOAT32, &err) < 0) ...
 *     do
 *         c[0..m*n] = (a + mm.a_at) (m, k) * (b + mm.b_at) (k, n)
 *     while (matmul_next(&mm));
 */
#ifndef CONVOY_NN_MATMUL_H
#define CONVOY_NN_MATMUL_H

#include "models/nn/op.h"

struct matmul {
    int64_t m, n, k;           /* each within int */
    ptrdiff_t a_at, b_at;      /* of the pair at hand, in numbers */
    struct tensor a, b, batch; /* private: the axes before the matrices */
    ptrdiff_t a_strides[NN_MAX_RANK], b_strides[NN_MAX_RANK];
    int64_t at[NN_MAX_RANK];
};

/* a, b: inputs of the call. */
int matmul_of(const struct op_call *call, int a, int b, struct matmul *mm,
              struct err *err);
/* Sets type and shape of output 0. */
int matmul_output(struct op_call *call, int a, int b, const struct matmul *mm,
                  enum nn_type type, struct err *err);
/* False after the last pair. */
bool matmul_next(struct matmul *mm);

/* Where there is one matrix on the right: all rows on the left are one. */
void matmul_join_rows(struct matmul *mm);

#endif
