/*
 * Operators that pick numbers by index, or put them there. An index outside of
 * the axis is an error while planning where the indices are known by then; one
 * that appears while running gives zeros, and puts nothing.
 */
#include "models/nn/number.h"
#include "models/nn/op.h"
#include "models/nn/strided.h"

#include <string.h>

#define TYPES_INDEX (TYPE_BIT(NN_INT64) | TYPE_BIT(NN_INT32))

/* Index i, counted from the front; -1 where it is outside. */
static int64_t index_at(const struct tensor *indices, size_t i, int64_t dim) {
    int64_t index;
    number_ints(&index,
                (const char *)indices->data + i * type_size(indices->type),
                indices->type, 1, 1);
    index += index < 0 ? dim : 0;
    return index < 0 || index >= dim ? -1 : index;
}

static int check_indices(const struct op_call *call, int axis,
                         struct err *err) {
    const struct tensor *x = call->inputs[0], *indices = call->inputs[1];
    if (op_types(call, 1, TYPES_INDEX, err) < 0)
        return -1;
    for (size_t i = 0; indices->data && i < tensor_count(indices); i++)
        if (index_at(indices, i, x->dims[axis]) < 0)
            return err_set(err,
                           "%s has an index outside of axis %d, which is "
                           "%lld long",
                           call->node->op_type, axis, (long long)x->dims[axis]);
    return 0;
}

static int infer_gather(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0], *indices = call->inputs[1];
    int64_t dims[2 * NN_MAX_RANK];
    int axis, rank = 0;

    if (op_axis(node_int(call->node, "axis", 0), x->rank, &axis, err) < 0 ||
        check_indices(call, axis, err) < 0)
        return -1;
    for (int i = 0; i < axis; i++)
        dims[rank++] = x->dims[i];
    for (int i = 0; i < indices->rank; i++)
        dims[rank++] = indices->dims[i];
    for (int i = axis + 1; i < x->rank; i++)
        dims[rank++] = x->dims[i];
    return op_output(call, 0, x->type, rank, dims, err);
}

static void run_gather(struct op_call *call) {
    const struct tensor *x = call->inputs[0], *indices = call->inputs[1];
    char *out = call->outputs[0].data;
    int axis;

    op_axis(node_int(call->node, "axis", 0), x->rank, &axis, NULL);
    const int64_t dim = x->dims[axis];
    const size_t outer = dims_count(x->dims, axis),
                 count = tensor_count(indices),
                 bytes = dims_count(x->dims + axis + 1, x->rank - axis - 1) *
                         type_size(x->type);
    for (size_t o = 0; o < outer; o++)
        for (size_t i = 0; i < count; i++, out += bytes) {
            const int64_t index = index_at(indices, i, dim);
            if (index < 0)
                memset(out, 0, bytes);
            else
                memcpy(out,
                       (const char *)x->data +
                           (o * (size_t)dim + (size_t)index) * bytes,
                       bytes);
        }
}

/* ---- index by number ----------------------------------------------------- */

/* Each index stands where its number does, but along the axis. */
static bool indices_fit(const struct tensor *indices, const struct tensor *x,
                        int axis) {
    bool fits = indices->rank == x->rank;
    for (int i = 0; fits && i < x->rank; i++)
        fits = i == axis || indices->dims[i] <= x->dims[i];
    return fits;
}

/* A walk over the indices, in their order. */
struct walk {
    const struct tensor *x, *indices;
    int axis;
    size_t done;
    int64_t at[NN_MAX_RANK];
    ptrdiff_t strides[NN_MAX_RANK];
};

static struct walk walk_of(const struct op_call *call) {
    struct walk w = {.x = call->inputs[0], .indices = call->inputs[1]};
    op_axis(node_int(call->node, "axis", 0), w.x->rank, &w.axis, NULL);
    strided_of_tensor(w.strides, w.x);
    return w;
}

/* Where in x, in numbers, the next index leads; -1: outside. */
static ptrdiff_t walk_next(struct walk *w) {
    const int64_t index = index_at(w->indices, w->done++, w->x->dims[w->axis]);
    ptrdiff_t offset = index * w->strides[w->axis];
    for (int k = 0; k < w->x->rank; k++)
        offset += k == w->axis ? 0 : w->at[k] * w->strides[k];
    dims_step(w->at, w->indices->dims, w->x->rank);
    return index < 0 ? -1 : offset;
}

static int infer_gather_elements(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0], *indices = call->inputs[1];
    int axis;

    if (op_axis(node_int(call->node, "axis", 0), x->rank, &axis, err) < 0 ||
        check_indices(call, axis, err) < 0)
        return -1;
    if (!indices_fit(indices, x, axis))
        return err_set(err, "GatherElements' indices have a larger shape than "
                            "its input");
    return op_output(call, 0, x->type, x->rank, indices->dims, err);
}

static void run_gather_elements(struct op_call *call) {
    const struct tensor *x = call->inputs[0], *indices = call->inputs[1];
    const size_t size = type_size(x->type);
    char *out = call->outputs[0].data;
    struct walk walk = walk_of(call);

    for (size_t i = 0; i < tensor_count(indices); i++, out += size) {
        const ptrdiff_t at = walk_next(&walk);
        if (at < 0)
            memset(out, 0, size);
        else
            memcpy(out, (const char *)x->data + at * (ptrdiff_t)size, size);
    }
}

/* ---- index by several axes ----------------------------------------------- */

/* Indices (..., depth), each of which picks the block of x that is left when
 * the `depth` axes behind the first `batch` are fixed. */
struct blocks {
    int batch, depth;
    size_t batches, picks; /* of them in each of the batches */
    size_t count;          /* numbers in a block */
};

static int blocks_of(const struct op_call *call, struct blocks *b,
                     struct err *err) {
    const struct tensor *x = call->inputs[0], *indices = call->inputs[1];
    const char *name = call->node->op_type;
    const int64_t batch = node_int(call->node, "batch_dims", 0);
    const int last = indices->rank - 1;

    if (op_types(call, 1, TYPES_INDEX, err) < 0)
        return -1;
    if (last < 0 || batch < 0 || batch > last || batch > x->rank ||
        indices->dims[last] < 1 || indices->dims[last] > x->rank - batch ||
        memcmp(x->dims, indices->dims, (size_t)batch * sizeof *x->dims) != 0) {
        char text[2][128];
        return err_set(err, "%s of %s by indices %s does not fit", name,
                       tensor_text(x, text[0], sizeof text[0]),
                       tensor_text(indices, text[1], sizeof text[1]));
    }
    b->batch = (int)batch;
    b->depth = (int)indices->dims[last];
    b->batches = dims_count(x->dims, b->batch);
    b->picks = dims_count(indices->dims + batch, last - b->batch);
    const int fixed = b->batch + b->depth;
    b->count = dims_count(x->dims + fixed, x->rank - fixed);
    return 0;
}

/* Where in its batch, in numbers, the block of that pick begins; -1: outside.
 */
static int64_t block_at(const struct op_call *call, const struct blocks *b,
                        size_t pick) {
    const struct tensor *x = call->inputs[0];
    int64_t at = 0;
    for (int k = 0; k < b->depth; k++) {
        const int64_t dim = x->dims[b->batch + k];
        const int64_t index =
            index_at(call->inputs[1], pick * (size_t)b->depth + (size_t)k, dim);
        if (index < 0)
            return -1;
        at = at * dim + index;
    }
    return at * (int64_t)b->count;
}

static int check_blocks(const struct op_call *call, const struct blocks *b,
                        struct err *err) {
    const size_t picks =
        call->inputs[1]->data && b->count > 0 ? b->batches * b->picks : 0;
    for (size_t i = 0; i < picks; i++)
        if (block_at(call, b, i) < 0)
            return err_set(err, "%s has an index outside of its input",
                           call->node->op_type);
    return 0;
}

static int infer_gather_nd(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0], *indices = call->inputs[1];
    int64_t dims[2 * NN_MAX_RANK];
    struct blocks b;
    int rank = 0;

    if (blocks_of(call, &b, err) < 0 || check_blocks(call, &b, err) < 0)
        return -1;
    for (int i = 0; i < indices->rank - 1; i++)
        dims[rank++] = indices->dims[i];
    for (int i = b.batch + b.depth; i < x->rank; i++)
        dims[rank++] = x->dims[i];
    return op_output(call, 0, x->type, rank, dims, err);
}

static void run_gather_nd(struct op_call *call) {
    const struct tensor *x = call->inputs[0];
    const size_t size = type_size(x->type);
    char *out = call->outputs[0].data;
    struct blocks b;

    blocks_of(call, &b, NULL);
    const size_t bytes = b.count * size;
    const size_t all = dims_count(x->dims + b.batch, x->rank - b.batch) * size;
    for (size_t i = 0; i < b.batches * b.picks; i++, out += bytes) {
        const int64_t at = block_at(call, &b, i);
        if (at < 0)
            memset(out, 0, bytes);
        else
            memcpy(out,
                   (const char *)x->data + i / b.picks * all +
                       (size_t)at * size,
                   bytes);
    }
}

/* ---- putting ------------------------------------------------------------- */

enum reduction { REPLACE, ADD, MULTIPLY, REDUCTIONS };

static enum reduction reduction_of(const struct op_call *call) {
    static const char *const names[] = {"none", "add", "mul"};
    const char *name = node_string(call->node, "reduction", "none");
    int i = REPLACE;
    while (i < REDUCTIONS && strcmp(name, names[i]) != 0)
        i++;
    return (enum reduction)i;
}

/* What all of them ask for; the output is the input, but for what is put. */
static int infer_scatter(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0], *updates = call->inputs[2];
    if (reduction_of(call) == REDUCTIONS)
        return err_set(err, "%s's reduction is \"%s\"", call->node->op_type,
                       node_string(call->node, "reduction", ""));
    if (updates->type != x->type)
        return err_set(err, "%s of %s into %s is not supported",
                       call->node->op_type, type_name(updates->type),
                       type_name(x->type));
    return op_output(call, 0, x->type, x->rank, x->dims, err);
}

static void put_floats(char *to, const char *from, enum nn_type type,
                       enum reduction how) {
    double a, b;
    number_doubles(&a, to, type, 1, 1);
    number_doubles(&b, from, type, 1, 1);
    a = how == ADD ? a + b : a * b;
    number_put_doubles(to, type, &a, 1);
}

static void put_integers(char *to, const char *from, enum nn_type type,
                         enum reduction how) {
    int64_t a, b;
    number_ints(&a, to, type, 1, 1);
    number_ints(&b, from, type, 1, 1);
    a = (int64_t)(how == ADD ? (uint64_t)a + (uint64_t)b
                             : (uint64_t)a * (uint64_t)b);
    number_put_ints(to, type, &a, 1);
}

static void put(char *to, const char *from, enum nn_type type, size_t count,
                enum reduction how) {
    const size_t size = type_size(type);
    if (how == REPLACE) {
        memcpy(to, from, count * size);
        return;
    }
    for (size_t i = 0; i < count; i++)
        (type_in(type, TYPES_FLOAT) ? put_floats : put_integers)(
            to + i * size, from + i * size, type, how);
}

static int infer_scatter_nd(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0], *indices = call->inputs[1];
    const struct tensor *updates = call->inputs[2];
    struct blocks b;

    if (blocks_of(call, &b, err) < 0 || check_blocks(call, &b, err) < 0)
        return -1;
    const int outer = indices->rank - 1;
    bool fits = updates->rank == outer + x->rank - b.depth;
    for (int i = 0; fits && i < updates->rank; i++)
        fits = updates->dims[i] ==
               (i < outer ? indices->dims[i] : x->dims[b.depth + i - outer]);
    if (!fits)
        return err_set(err, "ScatterND's updates have another shape than what "
                            "its indices pick");
    return infer_scatter(call, err);
}

static void run_scatter_nd(struct op_call *call) {
    const struct tensor *x = call->inputs[0];
    const char *from = call->inputs[2]->data;
    const enum reduction how = reduction_of(call);
    const size_t size = type_size(x->type);
    char *out = call->outputs[0].data;
    struct blocks b;

    blocks_of(call, &b, NULL);
    memcpy(out, x->data, tensor_bytes(x));
    for (size_t i = 0; i < b.picks; i++, from += b.count * size) {
        const int64_t at = block_at(call, &b, i);
        if (at >= 0)
            put(out + (size_t)at * size, from, x->type, b.count, how);
    }
}

static int infer_scatter_elements(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0], *indices = call->inputs[1];
    int axis;

    if (op_axis(node_int(call->node, "axis", 0), x->rank, &axis, err) < 0 ||
        check_indices(call, axis, err) < 0)
        return -1;
    if (!indices_fit(indices, x, axis) ||
        !tensor_same_shape(indices, call->inputs[2]))
        return err_set(err,
                       "%s's indices have a larger shape than its input, or "
                       "another one than its updates",
                       call->node->op_type);
    return infer_scatter(call, err);
}

static void run_scatter_elements(struct op_call *call) {
    const struct tensor *x = call->inputs[0], *indices = call->inputs[1];
    const char *from = call->inputs[2]->data;
    const enum reduction how = reduction_of(call);
    const size_t size = type_size(x->type);
    char *out = call->outputs[0].data;
    struct walk walk = walk_of(call);

    memcpy(out, x->data, tensor_bytes(x));
    for (size_t i = 0; i < tensor_count(indices); i++, from += size) {
        const ptrdiff_t at = walk_next(&walk);
        if (at >= 0)
            put(out + at * (ptrdiff_t)size, from, x->type, 1, how);
    }
}

/* ---- OneHot -------------------------------------------------------------- */

/* Inputs: indices, depth, and the values of off and on. */
static int one_hot_of(const struct op_call *call, int *axis, int64_t *depth,
                      struct err *err) {
    const struct tensor *d = call->inputs[1], *values = call->inputs[2];
    if (op_types(call, 0, TYPES_NUMBER, err) < 0 ||
        op_types(call, 1, TYPES_NUMBER, err) < 0)
        return -1;
    if (!d->data || tensor_count(d) != 1)
        return err_set(err, "OneHot's depth is not one number that is known");
    const double given = number_at(d, 0);
    if (!(given >= 1 && given <= INT32_MAX))
        return err_set(err, "OneHot of depth %g is out of range", given);
    if (values->rank != 1 || values->dims[0] != 2)
        return err_set(err, "OneHot's values are not two numbers");
    *depth = (int64_t)given;
    return op_axis(node_int(call->node, "axis", -1), call->inputs[0]->rank + 1,
                   axis, err);
}

static int infer_one_hot(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    int64_t dims[NN_MAX_RANK + 1], depth;
    int axis;
    if (one_hot_of(call, &axis, &depth, err) < 0)
        return -1;
    for (int i = 0; i <= x->rank; i++)
        dims[i] = i == axis ? depth : x->dims[i - (i > axis)];
    return op_output(call, 0, call->inputs[2]->type, x->rank + 1, dims, err);
}

static void run_one_hot(struct op_call *call) {
    const struct tensor *x = call->inputs[0], *values = call->inputs[2];
    const size_t size = type_size(values->type);
    const char *off = values->data, *on = off + size;
    char *out = call->outputs[0].data;
    int64_t depth;
    int axis;

    one_hot_of(call, &axis, &depth, NULL);
    const size_t outer = dims_count(x->dims, axis),
                 inner = dims_count(x->dims + axis, x->rank - axis);
    for (size_t o = 0; o < outer; o++)
        for (int64_t d = 0; d < depth; d++)
            for (size_t i = 0; i < inner; i++, out += size) {
                const double index = number_at(x, o * inner + i);
                const bool hot =
                    index == (double)d || index == (double)(d - depth);
                memcpy(out, hot ? on : off, size);
            }
}

static const struct op_attribute axis_only[] = {{"axis", ATTRIBUTE_INT}, {0}};
static const struct op_attribute axis_reduction[] = {
    {"axis", ATTRIBUTE_INT}, {"reduction", ATTRIBUTE_STRING}, {0}};
static const struct op_attribute batch_dims[] = {{"batch_dims", ATTRIBUTE_INT},
                                                 {0}};

const struct op ops_gather[] = {
    {"Gather", 1, 2, 2, 1, 0, infer_gather, run_gather, NULL, axis_only, NULL},
    {"GatherElements", 11, 2, 2, 1, 0, infer_gather_elements,
     run_gather_elements, NULL, axis_only, NULL},
    {"GatherND", 11, 2, 2, 1, 0, infer_gather_nd, run_gather_nd, NULL,
     batch_dims, NULL},
    {"OneHot", 9, 3, 3, 1, 0, infer_one_hot, run_one_hot, NULL, axis_only,
     NULL},
    {"Scatter", 9, 3, 3, 1, 0, infer_scatter_elements, run_scatter_elements,
     NULL, axis_only, NULL},
    {"ScatterElements", 11, 3, 3, 1, 0, infer_scatter_elements,
     run_scatter_elements, NULL, axis_only, NULL},
    {"ScatterElements", 16, 3, 3, 1, 0, infer_scatter_elements,
     run_scatter_elements, NULL, axis_reduction, NULL},
    {"ScatterND", 11, 3, 3, 1, 0, infer_scatter_nd, run_scatter_nd, NULL, NULL,
     NULL},
    {"ScatterND", 16, 3, 3, 1, 0, infer_scatter_nd, run_scatter_nd, NULL,
     axis_reduction + 1, NULL},
    {0}};
