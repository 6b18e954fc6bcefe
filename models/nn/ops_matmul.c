/*
 * Products of matrices, by gemm.h.
 */
#include "models/nn/gemm.h"
#include "models/nn/matmul.h"
#include "models/nn/number.h"
#include "models/nn/op.h"
#include "models/nn/strided.h"

#include <limits.h>
#include <string.h>

/* BLAS counts in int, and wants at least one column in every matrix. */
static bool countable(int64_t m, int64_t n, int64_t k) {
    return m <= INT_MAX && n <= INT_MAX && k <= INT_MAX;
}

/* ---- Gemm -----------------------------------------------------------------
 */

struct gemm_sizes {
    bool trans_a, trans_b;
    int64_t m, n, k;
};

static struct gemm_sizes gemm_sizes_of(const struct op_call *call) {
    const struct tensor *a = call->inputs[0], *b = call->inputs[1];
    const bool trans_a = node_int(call->node, "transA", 0) != 0;
    const bool trans_b = node_int(call->node, "transB", 0) != 0;
    return (struct gemm_sizes){trans_a, trans_b, a->dims[trans_a ? 1 : 0],
                               b->dims[trans_b ? 0 : 1],
                               a->dims[trans_a ? 0 : 1]};
}

static int infer_gemm(struct op_call *call, struct err *err) {
    const struct tensor *a = call->inputs[0], *b = call->inputs[1];
    char text_a[128], text_b[128];

    for (int i = 0; i < call->input_count; i++)
        if (op_has(call, i) && op_types(call, i, TYPE_BIT(NN_FLOAT32), err) < 0)
            return -1;
    if (a->rank != 2 || b->rank != 2)
        return err_set(err, "Gemm of ranks %d and %d", a->rank, b->rank);
    const struct gemm_sizes s = gemm_sizes_of(call);
    if (b->dims[s.trans_b ? 1 : 0] != s.k || !countable(s.m, s.n, s.k))
        return err_set(err, "Gemm of %s and %s does not fit",
                       tensor_text(a, text_a, sizeof text_a),
                       tensor_text(b, text_b, sizeof text_b));
    if (op_output(call, 0, NN_FLOAT32, 2, (const int64_t[]){s.m, s.n}, err) < 0)
        return -1;
    if (!op_has(call, 2))
        return 0;
    struct tensor shape = call->outputs[0];
    if (op_broadcast(&shape, call->inputs[2], &shape.rank, shape.dims, err) < 0)
        return -1;
    return tensor_same_shape(&shape, &call->outputs[0])
               ? 0
               : err_set(err, "Gemm's C has a larger shape than its result");
}

static void run_gemm(struct op_call *call) {
    const struct tensor *a = call->inputs[0], *b = call->inputs[1];
    const struct tensor *c = op_has(call, 2) ? call->inputs[2] : NULL;
    struct tensor *y = &call->outputs[0];
    const struct gemm_sizes s = gemm_sizes_of(call);
    const float alpha = node_float(call->node, "alpha", 1);
    const float beta = node_float(call->node, "beta", 1);
    struct strided walk;

    if (s.m == 0 || s.n == 0)
        return;
    if (c) {
        strided_shape(&walk, y);
        strided_broadcast(&walk, c);
        strided_copy(sizeof(float), walk.rank, walk.dims, y->data,
                     walk.strides[0], c->data, walk.strides[1]);
    } else {
        memset(y->data, 0, tensor_bytes(y));
    }
    gemm(s.trans_a, s.trans_b, (int)s.m, (int)s.n, (int)s.k, alpha, a->data,
         a->dims[1] ? (int)a->dims[1] : 1, b->data,
         b->dims[1] ? (int)b->dims[1] : 1, beta, y->data, (int)s.n);
}

/* ---- MatMul ---------------------------------------------------------------
 */

static int infer_matmul(struct op_call *call, struct err *err) {
    struct matmul mm;
    if (op_types(call, 0, TYPE_BIT(NN_FLOAT32), err) < 0 ||
        op_types(call, 1, TYPE_BIT(NN_FLOAT32), err) < 0 ||
        matmul_of(call, 0, 1, &mm, err) < 0)
        return -1;
    return matmul_output(call, 0, 1, &mm, NN_FLOAT32, err);
}

static void run_matmul(struct op_call *call) {
    const float *a = call->inputs[0]->data, *b = call->inputs[1]->data;
    float *y = call->outputs[0].data;
    struct matmul mm;

    matmul_of(call, 0, 1, &mm, NULL);
    memset(y, 0, tensor_bytes(&call->outputs[0]));
    if (tensor_count(&call->outputs[0]) == 0 || mm.k == 0)
        return;
    matmul_join_rows(&mm);
    do {
        gemm(false, false, (int)mm.m, (int)mm.n, (int)mm.k, 1, a + mm.a_at,
             (int)mm.k, b + mm.b_at, (int)mm.n, 0, y, (int)mm.n);
        y += mm.m * mm.n;
    } while (matmul_next(&mm));
}

static const struct op_attribute gemm_6[] = {
    {"alpha", ATTRIBUTE_FLOAT},   {"beta", ATTRIBUTE_FLOAT},
    {"transA", ATTRIBUTE_INT},    {"transB", ATTRIBUTE_INT},
    {"broadcast", ATTRIBUTE_INT}, {0}};
static const struct op_attribute gemm_7[] = {{"alpha", ATTRIBUTE_FLOAT},
                                             {"beta", ATTRIBUTE_FLOAT},
                                             {"transA", ATTRIBUTE_INT},
                                             {"transB", ATTRIBUTE_INT},
                                             {0}};

const struct op ops_matmul[] = {
    {"Gemm", 6, 3, 3, 1, 0, infer_gemm, run_gemm, NULL, gemm_6, NULL},
    {"Gemm", 7, 3, 3, 1, 0, infer_gemm, run_gemm, NULL, gemm_7, NULL},
    {"Gemm", 11, 2, 3, 1, 0, infer_gemm, run_gemm, NULL, gemm_7, NULL},
    {"MatMul", 1, 2, 2, 1, OP_IMAGES_APART, infer_matmul, run_matmul, NULL,
     NULL, NULL},
    {0}};
