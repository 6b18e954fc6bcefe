/*
 * TopK: the k largest or smallest numbers along an axis, and where they were.
 * Of equal ones, the first comes first.
 */
#include "models/nn/number.h"
#include "models/nn/op.h"

#include <string.h>

struct best {
    double number;
    int64_t at;
};

struct top {
    int axis;
    int64_t k;
    bool largest;
};

/* k is an attribute until opset 9, then input 1. */
static int top_of(const struct op_call *call, struct top *t, struct err *err) {
    const struct tensor *x = call->inputs[0];
    int count = 1;

    if (op_axis(node_int(call->node, "axis", -1), x->rank, &t->axis, err) < 0)
        return -1;
    t->largest = node_int(call->node, "largest", 1) != 0;
    t->k = node_int(call->node, "k", -1);
    if (op_has(call, 1) && op_known_ints(call, 1, &t->k, &count, 1, err) < 0)
        return -1;
    if (count != 1 || t->k < 0 || t->k > x->dims[t->axis])
        return err_set(err, "TopK of %lld along axis %d, which is %lld long",
                       (long long)t->k, t->axis, (long long)x->dims[t->axis]);
    return 0;
}

static int infer(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    int64_t dims[NN_MAX_RANK];
    struct top t;

    if (op_types(call, 0, TYPES_NUMBER, err) < 0 || top_of(call, &t, err) < 0)
        return -1;
    memcpy(dims, x->dims, sizeof dims);
    dims[t.axis] = t.k;
    if (op_output(call, 0, x->type, x->rank, dims, err) < 0)
        return -1;
    return call->output_count < 2
               ? 0
               : op_output(call, 1, NN_INT64, x->rank, dims, err);
}

static size_t scratch(const struct op_call *call) {
    struct top t;
    return top_of(call, &t, NULL) < 0 ? 0 : (size_t)t.k * sizeof(struct best);
}

/* Takes a number into the `count` best of at most k, in their order. */
static int64_t insert(struct best *best, int64_t count, const struct top *t,
                      double number, int64_t at) {
    int64_t i = count < t->k ? count : t->k;
    while (i > 0 && (t->largest ? number > best[i - 1].number
                                : number < best[i - 1].number)) {
        if (i < t->k)
            best[i] = best[i - 1];
        i--;
    }
    if (i == t->k)
        return count;
    best[i] = (struct best){number, at};
    return count < t->k ? count + 1 : count;
}

static void run(struct op_call *call) {
    const struct tensor *x = call->inputs[0];
    struct tensor *y = &call->outputs[0];
    int64_t *places = call->output_count > 1 ? call->outputs[1].data : NULL;
    struct best *best = call->scratch;
    const size_t size = type_size(x->type);
    struct top t;

    top_of(call, &t, NULL);
    const size_t length = (size_t)x->dims[t.axis], k = (size_t)t.k;
    const size_t outer = dims_count(x->dims, t.axis);
    const size_t inner = dims_count(x->dims + t.axis + 1, x->rank - t.axis - 1);
    for (size_t line = 0; line < outer * inner; line++) {
        const size_t o = line / inner, i = line % inner;
        int64_t count = 0;
        for (size_t at = 0; at < length; at++)
            count = insert(best, count, &t,
                           number_at(x, (o * length + at) * inner + i),
                           (int64_t)at);
        for (size_t rank = 0; rank < k; rank++) {
            const size_t to = (o * k + rank) * inner + i;
            const size_t from =
                (o * length + (size_t)best[rank].at) * inner + i;
            memcpy((char *)y->data + to * size,
                   (const char *)x->data + from * size, size);
            if (places)
                places[to] = best[rank].at;
        }
    }
}

static const struct op_attribute axis_k[] = {
    {"axis", ATTRIBUTE_INT}, {"k", ATTRIBUTE_INT}, {0}};
static const struct op_attribute axis_order[] = {{"axis", ATTRIBUTE_INT},
                                                 {"largest", ATTRIBUTE_INT},
                                                 {"sorted", ATTRIBUTE_INT},
                                                 {0}};

const struct op ops_topk[] = {
    {"TopK", 1, 1, 1, 2, 0, infer, run, scratch, axis_k, NULL},
    {"TopK", 10, 2, 2, 2, 0, infer, run, scratch, axis_order, NULL},
    {0}};
