#include "models/nn/matmul.h"

#include "models/nn/strided.h"

#include <limits.h>

/* BLAS counts in int. */
static bool countable(const struct matmul *mm) {
    return mm->m <= INT_MAX && mm->n <= INT_MAX && mm->k <= INT_MAX;
}

/* Distances between the matrices of one operand along the axes of the batch. */
static void batch_strides(const struct tensor *t, const struct tensor *batch,
                          int64_t matrix, ptrdiff_t *strides) {
    const int missing = batch->rank - t->rank;
    ptrdiff_t own[NN_MAX_RANK];
    strided_of_dims(own, t->dims, t->rank);
    for (int i = 0; i < batch->rank; i++)
        strides[i] = i < missing || t->dims[i - missing] == 1
                         ? 0
                         : own[i - missing] * matrix;
}

int matmul_of(const struct op_call *call, int a, int b, struct matmul *mm,
              struct err *err) {
    const struct tensor *ta = call->inputs[a], *tb = call->inputs[b];
    const char *name = call->node->op_type;
    char text_a[128], text_b[128];

    *mm = (struct matmul){.a = *ta, .b = *tb};
    if (ta->rank == 0 || tb->rank == 0)
        return err_set(err, "%s of a scalar", name);
    if (ta->rank == 1) {
        mm->a.rank = 2;
        mm->a.dims[1] = ta->dims[0];
        mm->a.dims[0] = 1;
    }
    if (tb->rank == 1) {
        mm->b.rank = 2;
        mm->b.dims[1] = 1;
    }
    const int64_t *da = mm->a.dims + mm->a.rank - 2,
                  *db = mm->b.dims + mm->b.rank - 2;
    mm->m = da[0];
    mm->k = da[1];
    mm->n = db[1];
    if (db[0] != mm->k || !countable(mm))
        return err_set(err, "%s of %s and %s does not fit", name,
                       tensor_text(ta, text_a, sizeof text_a),
                       tensor_text(tb, text_b, sizeof text_b));
    mm->a.rank -= 2;
    mm->b.rank -= 2;
    if (op_broadcast(&mm->a, &mm->b, &mm->batch.rank, mm->batch.dims, err) < 0)
        return -1;
    batch_strides(&mm->a, &mm->batch, mm->m * mm->k, mm->a_strides);
    batch_strides(&mm->b, &mm->batch, mm->k * mm->n, mm->b_strides);
    return 0;
}

int matmul_output(struct op_call *call, int a, int b, const struct matmul *mm,
                  enum nn_type type, struct err *err) {
    struct tensor shape = mm->batch;
    if (shape.rank + 2 > NN_MAX_RANK)
        return err_set(err, "%s of rank %d", call->node->op_type,
                       shape.rank + 2);
    if (call->inputs[a]->rank > 1)
        shape.dims[shape.rank++] = mm->m;
    if (call->inputs[b]->rank > 1)
        shape.dims[shape.rank++] = mm->n;
    return op_output(call, 0, type, shape.rank, shape.dims, err);
}

bool matmul_next(struct matmul *mm) {
    const bool more = dims_step(mm->at, mm->batch.dims, mm->batch.rank);
    mm->a_at = mm->b_at = 0;
    for (int i = 0; i < mm->batch.rank; i++) {
        mm->a_at += mm->at[i] * mm->a_strides[i];
        mm->b_at += mm->at[i] * mm->b_strides[i];
    }
    return more;
}

void matmul_join_rows(struct matmul *mm) {
    const size_t matrices = dims_count(mm->a.dims, mm->a.rank);
    if (dims_count(mm->b.dims, mm->b.rank) != 1 || matrices < 1 ||
        (size_t)mm->m * matrices > INT_MAX)
        return;
    mm->m *= (int64_t)matrices;
    mm->batch.rank = mm->a.rank = mm->b.rank = 0;
}
