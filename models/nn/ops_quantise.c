/*
 * QuantizeLinear and DequantizeLinear, per tensor and per axis.
 */
#include "models/nn/number.h"
#include "models/nn/op.h"

#include <math.h>

#define TYPES_BYTE (TYPE_BIT(NN_UINT8) | TYPE_BIT(NN_INT8))

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

    if (op_has(call, 2) && tensor_count(call->inputs[2]) != scales)
        return err_set(err, "%s has %zu scales and %zu zero points", name,
                       scales, tensor_count(call->inputs[2]));
    *q = (struct quantised){1, tensor_count(x), 1};
    if (scales == 1 && scale->rank < 2)
        return 0;
    if (call->opset < 13)
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

static int infer_dequantise(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    struct quantised q;
    if (op_types(call, 0, TYPES_BYTE | TYPE_BIT(NN_INT32), err) < 0 ||
        op_types(call, 1, TYPE_BIT(NN_FLOAT32), err) < 0 ||
        (op_has(call, 2) && op_types(call, 2, TYPE_BIT(x->type), err) < 0) ||
        quantised_of(call, &q, err) < 0)
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
    return op_output(call, 0,
                     op_has(call, 2) ? call->inputs[2]->type : NN_UINT8,
                     x->rank, x->dims, err);
}

static double zero_point(const struct op_call *call, size_t i) {
    return op_has(call, 2) ? number_at(call->inputs[2], i) : 0;
}

static void dequantise(double *x, size_t n, double scale, double zero) {
    for (size_t i = 0; i < n; i++)
        x[i] = (x[i] - zero) * scale;
}

static void quantise(double *x, size_t n, double scale, double zero, double low,
                     double high) {
    for (size_t i = 0; i < n; i++)
        x[i] = fmin(fmax(rint(x[i] / scale) + zero, low), high);
}

static void run_quantised(struct op_call *call) {
    const struct tensor *x = call->inputs[0], *out = &call->outputs[0];
    const char *in = x->data;
    char *to = out->data;
    double chunk[NUMBER_CHUNK];
    struct quantised q;

    quantised_of(call, &q, NULL);
    const double low = out->type == NN_INT8 ? -128 : 0;
    for (size_t run = 0; run < q.runs; run++) {
        const double scale = number_at(call->inputs[1], run % q.scales);
        const double zero = zero_point(call, run % q.scales);
        for (size_t at = 0; at < q.inner; at += NUMBER_CHUNK) {
            const size_t n =
                q.inner - at < NUMBER_CHUNK ? q.inner - at : NUMBER_CHUNK;
            number_doubles(chunk, in, x->type, 1, n);
            if (out->type == NN_FLOAT32)
                dequantise(chunk, n, scale, zero);
            else
                quantise(chunk, n, scale, zero, low, low + 255);
            number_put_doubles(to, out->type, chunk, n);
            in += n * type_size(x->type);
            to += n * type_size(out->type);
        }
    }
}

static const struct op_attribute axis_only[] = {{"axis", ATTRIBUTE_INT}, {0}};

const struct op ops_quantise[] = {
    {"DequantizeLinear", 10, 2, 3, 1, 0, infer_dequantise, run_quantised, NULL,
     NULL, NULL},
    {"DequantizeLinear", 13, 2, 3, 1, 0, infer_dequantise, run_quantised, NULL,
     axis_only, NULL},
    {"QuantizeLinear", 10, 2, 3, 1, 0, infer_quantise, run_quantised, NULL,
     NULL, NULL},
    {"QuantizeLinear", 13, 2, 3, 1, 0, infer_quantise, run_quantised, NULL,
     axis_only, NULL},
    {0}};
