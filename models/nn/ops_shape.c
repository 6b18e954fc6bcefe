/*
 * Operators on shapes: the same numbers under another shape, a shape as
 * numbers, and tensors made from numbers that are known while planning.
 */
#include "models/nn/number.h"
#include "models/nn/op.h"

#include <math.h>
#include <string.h>

#define RANGE_MAX                                                              \
    ((int64_t)1 << 24) /* far beyond what index arithmetic needs */

/* ---- views ----------------------------------------------------------------
 */

static void run_view(struct op_call *call) {
    const struct tensor *x = call->inputs[0];
    if (x->data != call->outputs[0].data)
        memcpy(call->outputs[0].data, x->data, tensor_bytes(x));
}

static int infer_identity(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    return op_output(call, 0, x->type, x->rank, x->dims, err);
}

static bool is_known_zero(const struct tensor *t) {
    return t->data && tensor_count(t) == 1 && number_at(t, 0) == 0;
}

/* Inference, or training that drops nothing, as some networks ask for. The mask
 * says that every number was kept. */
static int infer_dropout(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    if (op_has(call, 2) && !is_known_zero(call->inputs[2]) &&
        (!op_has(call, 1) || !is_known_zero(call->inputs[1])))
        return err_set(err, "the network was exported in training mode: call "
                            "model.eval() before exporting");
    if (infer_identity(call, err) < 0)
        return -1;
    if (call->output_count == 1)
        return 0;
    return op_output(call, 1, call->op->since < 10 ? x->type : NN_BOOL, x->rank,
                     x->dims, err);
}

static void run_dropout(struct op_call *call) {
    run_view(call);
    if (call->output_count == 1)
        return;
    const struct tensor *mask = &call->outputs[1];
    const size_t size = type_size(mask->type);
    for (size_t i = 0; i < tensor_count(mask); i++)
        number_put_ints((char *)mask->data + i * size, mask->type,
                        &(int64_t){1}, 1);
}

/* 0 keeps the input's dimension, -1 takes what is left. */
static int infer_reshape(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    const bool zero_is_zero = node_int(call->node, "allowzero", 0) != 0;
    int64_t dims[NN_MAX_RANK];
    int rank, open = -1;

    if (op_known_ints(call, 1, dims, &rank, NN_MAX_RANK, err) < 0)
        return -1;
    for (int i = 0; i < rank; i++) {
        if (dims[i] == 0 && !zero_is_zero) {
            if (i >= x->rank)
                return err_set(err,
                               "Reshape keeps dimension %d of a tensor of "
                               "rank %d",
                               i, x->rank);
            dims[i] = x->dims[i];
        } else if (dims[i] == -1) {
            if (open >= 0)
                return err_set(err, "Reshape leaves two dimensions open");
            open = i;
            dims[i] = 1;
        }
    }
    if (op_output(call, 0, x->type, rank, dims, err) < 0)
        return -1;
    const size_t count = tensor_count(x),
                 others = tensor_count(&call->outputs[0]);
    if (open >= 0 && others > 0 && count % others == 0)
        call->outputs[0].dims[open] = (int64_t)(count / others);
    if (tensor_count(&call->outputs[0]) != count) {
        char from[128], to[128];
        return err_set(err, "Reshape of %s to %s is not possible",
                       tensor_text(x, from, sizeof from),
                       tensor_text(&call->outputs[0], to, sizeof to));
    }
    return 0;
}

static int infer_flatten(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    const int64_t axis = node_int(call->node, "axis", 1);
    const int64_t at = axis < 0 ? axis + x->rank : axis;
    if (at < 0 || at > x->rank)
        return err_set(err, "Flatten's axis %lld is outside of rank %d",
                       (long long)axis, x->rank);
    const int64_t dims[] = {
        (int64_t)dims_count(x->dims, (int)at),
        (int64_t)dims_count(x->dims + at, x->rank - (int)at)};
    return op_output(call, 0, x->type, 2, dims, err);
}

static int infer_squeeze(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    int64_t dims[NN_MAX_RANK];
    bool marked[NN_MAX_RANK], given;
    int rank = 0;

    if (op_axes(call, x->rank, &given, marked, err) < 0)
        return -1;
    for (int i = 0; i < x->rank; i++) {
        if (given && marked[i] && x->dims[i] != 1)
            return err_set(err, "Squeeze of axis %d, which is %lld long", i,
                           (long long)x->dims[i]);
        if (given ? !marked[i] : x->dims[i] != 1)
            dims[rank++] = x->dims[i];
    }
    return op_output(call, 0, x->type, rank, dims, err);
}

static int infer_unsqueeze(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    int64_t dims[NN_MAX_RANK];
    bool marked[NN_MAX_RANK], given;
    const int64_t *axes;
    /* The axes count in the output, so their number is needed first. */
    const int added = op_has(call, 1) ? (int)tensor_count(call->inputs[1])
                                      : node_ints(call->node, "axes", &axes);
    const int rank = x->rank + added;

    if (added > NN_MAX_RANK || rank > NN_MAX_RANK)
        return err_set(err, "Unsqueeze to a rank over %d", NN_MAX_RANK);
    if (op_axes(call, rank, &given, marked, err) < 0)
        return -1;
    for (int i = 0, from = 0; i < rank; i++)
        dims[i] = marked[i] ? 1 : x->dims[from++];
    return op_output(call, 0, x->type, rank, dims, err);
}

/* ---- shapes as numbers ----------------------------------------------------
 */

static void shape_span(const struct op_call *call, int *start, int *end) {
    const int rank = call->inputs[0]->rank;
    int64_t span[] = {node_int(call->node, "start", 0),
                      node_int(call->node, "end", rank)};
    for (int i = 0; i < 2; i++) {
        span[i] += span[i] < 0 ? rank : 0;
        span[i] = span[i] < 0 ? 0 : span[i] > rank ? rank : span[i];
    }
    *start = (int)span[0];
    *end = (int)(span[1] > span[0] ? span[1] : span[0]);
}

static int infer_shape(struct op_call *call, struct err *err) {
    int start, end;
    shape_span(call, &start, &end);
    return op_output(call, 0, NN_INT64, 1, &(int64_t){end - start}, err);
}

static void run_shape(struct op_call *call) {
    int start, end;
    shape_span(call, &start, &end);
    memcpy(call->outputs[0].data, call->inputs[0]->dims + start,
           (size_t)(end - start) * sizeof(int64_t));
}

static int infer_size(struct op_call *call, struct err *err) {
    return op_output(call, 0, NN_INT64, 0, NULL, err);
}

static void run_size(struct op_call *call) {
    *(int64_t *)call->outputs[0].data = (int64_t)tensor_count(call->inputs[0]);
}

/* ---- constants ------------------------------------------------------------
 */

/* The one attribute of a Constant as a tensor, whichever form it has. */
static int constant_value(const struct op_call *call, struct tensor *t,
                          struct err *err) {
    if (call->node->attribute_count != 1)
        return err_set(err, "Constant has %d values instead of one",
                       call->node->attribute_count);
    const struct attribute *a = call->node->attributes;
    switch (a->kind) {
    case ATTRIBUTE_TENSOR:
        *t = a->t;
        return 0;
    case ATTRIBUTE_INT:
        *t = (struct tensor){.type = NN_INT64, .data = (void *)&a->i};
        return 0;
    case ATTRIBUTE_FLOAT:
        *t = (struct tensor){.type = NN_FLOAT32, .data = (void *)&a->f};
        return 0;
    case ATTRIBUTE_INTS:
        *t = (struct tensor){.type = NN_INT64,
                             .rank = 1,
                             .dims = {a->count},
                             .data = (void *)a->ints};
        return 0;
    case ATTRIBUTE_FLOATS:
        *t = (struct tensor){.type = NN_FLOAT32,
                             .rank = 1,
                             .dims = {a->count},
                             .data = (void *)a->floats};
        return 0;
    default:
        return err_set(err, "a Constant of this kind is not supported");
    }
}

static int infer_constant(struct op_call *call, struct err *err) {
    struct tensor t;
    if (constant_value(call, &t, err) < 0)
        return -1;
    return op_output(call, 0, t.type, t.rank, t.dims, err);
}

static void run_constant(struct op_call *call) {
    struct tensor t;
    if (constant_value(call, &t, NULL) == 0 && tensor_count(&t) > 0)
        memcpy(call->outputs[0].data, t.data, tensor_bytes(&t));
}

static int infer_constant_of_shape(struct op_call *call, struct err *err) {
    const struct attribute *value = node_attribute(call->node, "value");
    int64_t dims[NN_MAX_RANK];
    int rank;
    if (op_known_ints(call, 0, dims, &rank, NN_MAX_RANK, err) < 0)
        return -1;
    if (value && tensor_count(&value->t) != 1)
        return err_set(err, "ConstantOfShape's value is not one number");
    return op_output(call, 0, value ? value->t.type : NN_FLOAT32, rank, dims,
                     err);
}

static void run_constant_of_shape(struct op_call *call) {
    const struct attribute *value = node_attribute(call->node, "value");
    const struct tensor *out = &call->outputs[0];
    const size_t size = type_size(out->type);
    if (!value) {
        memset(out->data, 0, tensor_bytes(out));
        return;
    }
    for (size_t i = 0; i < tensor_count(out); i++)
        memcpy((char *)out->data + i * size, value->t.data, size);
}

static int infer_range(struct op_call *call, struct err *err) {
    const enum nn_type type = call->inputs[0]->type;
    double v[3]; /* start, limit, delta */
    for (int i = 0; i < 3; i++) {
        const struct tensor *t = call->inputs[i];
        if (!t->data)
            return err_set(err,
                           "Range needs its input %d to be a constant or "
                           "to follow from shapes alone",
                           i);
        if (op_types(call, i, TYPES_NUMBER & TYPE_BIT(type), err) < 0)
            return -1;
        if (tensor_count(t) != 1)
            return err_set(err, "Range's input %d is not one number", i);
        v[i] = number_at(t, 0);
    }
    const double count = ceil((v[1] - v[0]) / v[2]);
    if (!(count <= (double)RANGE_MAX))
        return err_set(err, "Range of more than %lld numbers",
                       (long long)RANGE_MAX);
    return op_output(call, 0, type, 1,
                     &(int64_t){count < 0 ? 0 : (int64_t)count}, err);
}

static void run_range(struct op_call *call) {
    const struct tensor *out = &call->outputs[0];
    const double start = number_at(call->inputs[0], 0);
    const double delta = number_at(call->inputs[2], 0);
    for (size_t i = 0; i < tensor_count(out); i++) {
        const double x = start + (double)i * delta;
        number_put_doubles((char *)out->data + i * type_size(out->type),
                           out->type, &x, 1);
    }
}

/* ---- the rows -------------------------------------------------------------
 */

static const struct op_attribute axis[] = {{"axis", ATTRIBUTE_INT}, {0}};
static const struct op_attribute axes[] = {{"axes", ATTRIBUTE_INTS}, {0}};
static const struct op_attribute allowzero[] = {{"allowzero", ATTRIBUTE_INT},
                                                {0}};
static const struct op_attribute start_end[] = {
    {"start", ATTRIBUTE_INT}, {"end", ATTRIBUTE_INT}, {0}};
static const struct op_attribute ratio[] = {
    {"ratio", ATTRIBUTE_FLOAT}, {"is_test", ATTRIBUTE_INT}, {0}};
static const struct op_attribute seed[] = {{"seed", ATTRIBUTE_INT}, {0}};
static const struct op_attribute value[] = {{"value", ATTRIBUTE_TENSOR}, {0}};
static const struct op_attribute values[] = {
    {"value", ATTRIBUTE_TENSOR},        {"value_int", ATTRIBUTE_INT},
    {"value_float", ATTRIBUTE_FLOAT},   {"value_ints", ATTRIBUTE_INTS},
    {"value_floats", ATTRIBUTE_FLOATS}, {0}};

const struct op ops_shape[] = {
    {"Identity", 1, 1, 1, 1, OP_VIEW, infer_identity, run_view, NULL, NULL,
     NULL},
    {"Dropout", 6, 1, 1, 2, OP_VIEW, infer_dropout, run_dropout, NULL, ratio,
     NULL},
    {"Dropout", 10, 1, 1, 2, OP_VIEW, infer_dropout, run_dropout, NULL, ratio,
     NULL},
    {"Dropout", 12, 1, 3, 2, OP_VIEW, infer_dropout, run_dropout, NULL, seed,
     NULL},
    {"Reshape", 5, 2, 2, 1, OP_VIEW, infer_reshape, run_view, NULL, NULL, NULL},
    {"Reshape", 14, 2, 2, 1, OP_VIEW, infer_reshape, run_view, NULL, allowzero,
     NULL},
    {"Flatten", 1, 1, 1, 1, OP_VIEW, infer_flatten, run_view, NULL, axis, NULL},
    {"Squeeze", 1, 1, 1, 1, OP_VIEW, infer_squeeze, run_view, NULL, axes, NULL},
    {"Squeeze", 13, 1, 2, 1, OP_VIEW, infer_squeeze, run_view, NULL, NULL,
     NULL},
    {"Unsqueeze", 1, 1, 1, 1, OP_VIEW, infer_unsqueeze, run_view, NULL, axes,
     NULL},
    {"Unsqueeze", 13, 2, 2, 1, OP_VIEW, infer_unsqueeze, run_view, NULL, NULL,
     NULL},
    {"Shape", 1, 1, 1, 1, OP_SHAPE_ONLY, infer_shape, run_shape, NULL, NULL,
     NULL},
    {"Shape", 15, 1, 1, 1, OP_SHAPE_ONLY, infer_shape, run_shape, NULL,
     start_end, NULL},
    {"Size", 1, 1, 1, 1, OP_SHAPE_ONLY, infer_size, run_size, NULL, NULL, NULL},
    {"Constant", 1, 0, 0, 1, 0, infer_constant, run_constant, NULL, values,
     NULL},
    {"ConstantOfShape", 9, 1, 1, 1, 0, infer_constant_of_shape,
     run_constant_of_shape, NULL, value, NULL},
    {"Range", 11, 3, 3, 1, 0, infer_range, run_range, NULL, NULL, NULL},
    {0}};
