/*
 * QuantizeLinear and DequantizeLinear, per tensor and per axis, and
 * DynamicQuantizeLinear, which finds the scale itself.
 */
#include "models/nn/number.h"
#include "models/nn/op.h"
#include "models/nn/quantised.h"

#include <math.h>

/* Runs of `inner` numbers that share one of `scales` scales. */
struct quantised {
    size_t runs, inner, scales;
};

static int quantised_of(const struct op_call *call, struct quantised *q,
                        struct err *err) {
    const struct tensor *x = call->inputs[0], *scale = call->inputs[1];
    const char *name = call->node->op_type;
    const size_t scales = tensor_count(scale);
    int axis = 0;

    if (node_int(call->node, "block_size", 0) != 0)
        return err_set(err, "%s in blocks is not supported", name);
    if (op_has(call, 2) && tensor_count(call->inputs[2]) != scales)
        return err_set(err, "%s has %zu scales and %zu zero points", name,
                       scales, tensor_count(call->inputs[2]));
    *q = (struct quantised){1, tensor_count(x), 1};
    if (scales == 1 && scale->rank < 2)
        return 0;
    if (call->op->since < 13)
        return err_set(err,
                       "%s with %zu scales is not supported before opset "
                       "13",
                       name, scales);
    if (op_axis(node_int(call->node, "axis", 1), x->rank, &axis, err) < 0)
        return -1;
    if (scale->rank != 1 || scale->dims[0] != x->dims[axis])
        return err_set(err, "%s has %zu scales for an axis of %lld", name,
                       scales, (long long)x->dims[axis]);
    q->runs = dims_count(x->dims, axis + 1);
    q->inner = dims_count(x->dims + axis + 1, x->rank - axis - 1);
    q->scales = scales;
    return 0;
}

/* Opset 21 can name the type, which the zero point has as well. */
static int check_type(const struct op_call *call, const char *name,
                      enum nn_type type, struct err *err) {
    const int64_t given = node_int(call->node, name, 0);
    if (given != 0 && given != (int64_t)type)
        return err_set(err, "%s with %s %lld to %s is not supported",
                       call->node->op_type, name, (long long)given,
                       type_name(type));
    return 0;
}

static int infer_dequantise(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    struct quantised q;
    if (op_types(call, 0, TYPES_BYTE | TYPE_BIT(NN_INT32), err) < 0 ||
        op_types(call, 1, TYPE_BIT(NN_FLOAT32), err) < 0 ||
        (op_has(call, 2) && op_types(call, 2, TYPE_BIT(x->type), err) < 0) ||
        quantised_of(call, &q, err) < 0 ||
        check_type(call, "output_dtype", NN_FLOAT32, err) < 0)
        return -1;
    return op_output(call, 0, NN_FLOAT32, x->rank, x->dims, err);
}

static int infer_quantise(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    struct quantised q;
    if (op_types(call, 0, TYPE_BIT(NN_FLOAT32), err) < 0 ||
        op_types(call, 1, TYPE_BIT(NN_FLOAT32), err) < 0 ||
        (op_has(call, 2) && op_types(call, 2, TYPES_BYTE, err) < 0) ||
        quantised_of(call, &q, err) < 0)
        return -1;
    const enum nn_type type =
        op_has(call, 2) ? call->inputs[2]->type : NN_UINT8;
    if (check_type(call, "output_dtype", type, err) < 0 ||
        check_type(call, "precision", NN_FLOAT32, err) < 0)
        return -1;
    return op_output(call, 0, type, x->rank, x->dims, err);
}

static int zero_point(const struct op_call *call, size_t i) {
    return op_has(call, 2) ? (int)number_at(call->inputs[2], i) : 0;
}

/* Number i of int8, uint8 or int32, without its zero point. */
static float integer_at(const struct tensor *t, size_t i, int zero) {
    if (t->type == NN_INT8)
        return (float)(((const int8_t *)t->data)[i] - zero);
    if (t->type == NN_UINT8)
        return (float)(((const uint8_t *)t->data)[i] - zero);
    return (float)((int64_t)((const int32_t *)t->data)[i] - zero);
}

static void run_dequantise(struct op_call *call) {
    const struct tensor *x = call->inputs[0];
    const float *scales = call->inputs[1]->data;
    float *y = call->outputs[0].data;
    struct quantised q;
    size_t at = 0;

    quantised_of(call, &q, NULL);
    for (size_t run = 0; run < q.runs; run++) {
        const int zero = zero_point(call, run % q.scales);
        const float scale = scales[run % q.scales];
        for (size_t i = 0; i < q.inner; i++, at++)
            y[at] = integer_at(x, at, zero) * scale;
    }
}

static void run_quantise(struct op_call *call) {
    const float *x = call->inputs[0]->data, *scales = call->inputs[1]->data;
    struct tensor *out = &call->outputs[0];
    uint8_t *y = out->data;
    struct quantised q;

    quantised_of(call, &q, NULL);
    for (size_t run = 0; run < q.runs; run++) {
        const struct byte_range range =
            byte_range(out->type, zero_point(call, run % q.scales));
        const float scale = scales[run % q.scales];
        for (size_t i = 0; i < q.inner; i++)
            *y++ = byte_put(&range, *x++ / scale);
    }
}

/* ---- DynamicQuantizeLinear ----------------------------------------------- */

static int infer_dynamic(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    if (op_types(call, 0, TYPE_BIT(NN_FLOAT32), err) < 0)
        return -1;
    if (call->output_count != 3)
        return err_set(err, "%s gives %d outputs instead of 3",
                       call->node->op_type, call->output_count);
    return op_output(call, 0, NN_UINT8, x->rank, x->dims, err) < 0 ||
                   op_output(call, 1, NN_FLOAT32, 0, NULL, err) < 0 ||
                   op_output(call, 2, NN_UINT8, 0, NULL, err) < 0
               ? -1
               : 0;
}

static void run_dynamic(struct op_call *call) {
    const float *x = call->inputs[0]->data;
    const size_t count = tensor_count(call->inputs[0]);
    uint8_t *y = call->outputs[0].data;
    float low = 0, high = 0; /* zero is always one of the numbers */

    for (size_t i = 0; i < count; i++) {
        low = fminf(low, x[i]);
        high = fmaxf(high, x[i]);
    }
    const float scale = high == low ? 1.0f : (high - low) / 255.0f;
    const struct byte_range whole = byte_range(NN_UINT8, 0);
    const uint8_t zero = byte_put(&whole, -low / scale);
    const struct byte_range range = byte_range(NN_UINT8, zero);
    for (size_t i = 0; i < count; i++)
        y[i] = byte_put(&range, x[i] / scale);
    *(float *)call->outputs[1].data = scale;
    *(uint8_t *)call->outputs[2].data = zero;
}

static const struct op_attribute axis_only[] = {{"axis", ATTRIBUTE_INT}, {0}};
/* saturate: what float8 would need. */
static const struct op_attribute axis_19[] = {
    {"axis", ATTRIBUTE_INT}, {"saturate", ATTRIBUTE_INT}, {0}};
static const struct op_attribute axis_21[] = {
    {"axis", ATTRIBUTE_INT},       {"saturate", ATTRIBUTE_INT},
    {"block_size", ATTRIBUTE_INT}, {"output_dtype", ATTRIBUTE_INT},
    {"precision", ATTRIBUTE_INT},  {0}};

const struct op ops_quantise[] = {
    {"DequantizeLinear", 10, 2, 3, 1, 0, infer_dequantise, run_dequantise, NULL,
     NULL, NULL},
    {"DequantizeLinear", 13, 2, 3, 1, 0, infer_dequantise, run_dequantise, NULL,
     axis_only, NULL},
    {"QuantizeLinear", 10, 2, 3, 1, 0, infer_quantise, run_quantise, NULL, NULL,
     NULL},
    {"QuantizeLinear", 13, 2, 3, 1, 0, infer_quantise, run_quantise, NULL,
     axis_only, NULL},
    {"DequantizeLinear", 21, 2, 3, 1, 0, infer_dequantise, run_dequantise, NULL,
     axis_21, NULL},
    {"QuantizeLinear", 19, 2, 3, 1, 0, infer_quantise, run_quantise, NULL,
     axis_19, NULL},
    {"QuantizeLinear", 21, 2, 3, 1, 0, infer_quantise, run_quantise, NULL,
     axis_21, NULL},
    {"DynamicQuantizeLinear", 11, 1, 1, 3, 0, infer_dynamic, run_dynamic, NULL,
     NULL, NULL},
    {0}};
