/*
 * Quantised networks come written out: every operator in floats, between
 * DequantizeLinear and QuantizeLinear. What has a meaning in bytes becomes one
 * node in bytes,
 *
 *     Dequantize x, Dequantize w, Dequantize bias -> Conv -> Quantize
 *                                                 = QLinearConv
 *     Dequantize a, Dequantize b -> Add -> Quantize = QLinearAdd
 *     Dequantize a -> Quantize                      = QLinearRescale, or a
 *     Dequantize a, Dequantize b -> Concat -> Quantize
 *                                                 = Rescale a, Rescale b ->
 *                                                   Concat
 *     Dequantize a -> MaxPool                       = MaxPool a -> Dequantize
 *
 * with a Relu or Clip in front of Quantize where the bytes end at the same
 * bounds anyway. ONNX Runtime reads such networks in the same way, so the bytes
 * are the same, too; in floats, sums that end half way between two bytes would
 * be rounded by chance.
 *
 * It runs before constants are folded: a Dequantize of weights is one of them.
 */
#include "models/nn/quantised.h"

#include "models/nn/activation.h"
#include "models/nn/graph.h"
#include "models/nn/kernels/kernels.h"
#include "models/nn/number.h"
#include "models/nn/vmath.h"

#include <string.h>

/* ---- QLinearAdd ---------------------------------------------------------- */

/* Inputs a, scale, zero, b, scale, zero, scale and zero of the sum, as the
 * operator of that name in com.microsoft has them. */
static int infer_add(struct op_call *call, struct err *err) {
    const struct tensor *a = call->inputs[0], *b = call->inputs[3];
    if (!type_in(a->type, TYPES_BYTE) || b->type != a->type ||
        call->inputs[7]->type != a->type || !tensor_same_shape(a, b))
        return err_set(err, "%s and %s bytes of different shapes are not added",
                       type_name(a->type), type_name(b->type));
    return op_output(call, 0, a->type, a->rank, a->dims, err);
}

static void run_add(struct op_call *call) {
    const struct byte_sum sum = byte_sum_of(call->inputs);
    vmath_add_bytes(&sum, call->inputs[0]->data, call->inputs[3]->data,
                    call->outputs[0].data, tensor_count(call->inputs[0]));
}

static const struct op qlinear_add = {
    .name = "QLinearAdd",
    .since = 1,
    .inputs_min = 8,
    .inputs_max = 8,
    .outputs_max = 1,
    .traits = OP_ELEMENTWISE,
    .infer = infer_add,
    .run = run_add,
};

struct byte_sum byte_sum_of(const struct tensor *const inputs[8]) {
    static const int at[] = {1, 4, 6}; /* the scales; zero points follow */
    float scale[3], zero[3];
    for (int i = 0; i < 3; i++) {
        scale[i] = (float)number_at(inputs[at[i]], 0);
        zero[i] = (float)number_at(inputs[at[i] + 1], 0);
    }
    const float a = scale[0] / scale[2], b = scale[1] / scale[2];
    return (struct byte_sum){.type = inputs[0]->type,
                             .of_a = a,
                             .of_b = b,
                             .shift = zero[2] - (a * zero[0] + b * zero[1])};
}

/* ---- QLinearRescale ------------------------------------------------------ */

static int infer_rescale(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    return op_output(call, 0, call->inputs[4]->type, x->rank, x->dims, err);
}

static void run_rescale(struct op_call *call) {
    const struct byte_rescale by = byte_rescale_of(call->inputs);
    vmath_rescale(&by, call->inputs[0]->data, call->outputs[0].data,
                  tensor_count(call->inputs[0]));
}

static const struct op qlinear_rescale = {
    .name = "QLinearRescale",
    .since = 1,
    .inputs_min = 5,
    .inputs_max = 5,
    .outputs_max = 1,
    .traits = OP_ELEMENTWISE,
    .infer = infer_rescale,
    .run = run_rescale,
};

struct byte_rescale byte_rescale_of(const struct tensor *const inputs[5]) {
    return (struct byte_rescale){
        .from = byte_range(inputs[2]->type, (int)number_at(inputs[2], 0)),
        .from_scale = (float)number_at(inputs[1], 0),
        .to = byte_range(inputs[4]->type, (int)number_at(inputs[4], 0)),
        .to_scale = (float)number_at(inputs[3], 0)};
}

/* ---- what stands around an operator -------------------------------------- */

/* A Quantize or Dequantize and its constants; per tensor where scales are one.
 */
struct bytes {
    struct value *value, *scale, *zero; /* zero NULL: 0 */
    size_t scales;
};

static bool is(const struct graph_node *node, const char *op_type) {
    return node && node->op && strcmp(node->node.op_type, op_type) == 0;
}

static bool read_bytes(const struct graph_node *node, struct bytes *out) {
    out->value = graph_input(node, 0);
    out->scale = graph_input(node, 1);
    out->zero = node->input_count > 2 ? graph_input(node, 2) : NULL;
    if (!graph_is_constant(out->scale) ||
        (out->zero && !graph_is_constant(out->zero)))
        return false;
    out->scales = tensor_count(&out->scale->t);
    return out->scale->t.type == NN_FLOAT32 &&
           (!out->zero || tensor_count(&out->zero->t) == out->scales);
}

/* The bytes that `value` is made of, by channel of axis 0 at most. */
static bool dequantised(const struct value *value, struct bytes *out) {
    const struct graph_node *node = value ? value->producer : NULL;
    return is(node, "DequantizeLinear") && read_bytes(node, out) &&
           (out->scales == 1 || node_int(&node->node, "axis", 1) == 0);
}

/* One number each of scale and zero point. */
static bool dequantised_whole(const struct value *value, struct bytes *out) {
    return dequantised(value, out) && out->scales == 1;
}

static enum nn_type type_of(const struct bytes *b) {
    return b->zero ? b->zero->t.type : NN_UINT8;
}

static int zero_point(const struct bytes *b) {
    return b->zero ? (int)number_at(&b->zero->t, 0) : 0;
}

/* uint8 0 where the node gives none. */
static struct value *zero_of(struct graph *graph, const struct bytes *b,
                             enum nn_type type, struct err *err) {
    return b->zero ? b->zero
                   : graph_constant(graph, "zero", type, 0, NULL, err);
}

/* True where quantising does all that the activation does. */
static bool is_implied(const struct graph_node *activation,
                       const struct bytes *q) {
    const struct byte_range range = byte_range(type_of(q), zero_point(q));
    const float scale = (float)number_at(&q->scale->t, 0);
    struct activation a;
    float low, high;
    if (!activation->op || !graph_activation(activation, &a) ||
        !activation_bounds(&a, &low, &high))
        return false;
    return low / scale <= range.low + 0.5f && high / scale >= range.high - 0.5f;
}

/* The operator whose result is quantised, past an activation that is implied;
 * NULL where somebody else reads that result. */
static struct graph_node *quantised_operator(const struct bytes *q) {
    struct value *x = q->value;
    struct graph_node *node = x->uses == 1 ? x->producer : NULL;
    if (node && (is(node, "Relu") || is(node, "Clip")) && is_implied(node, q)) {
        x = graph_input(node, 0);
        node = x->uses == 1 ? x->producer : NULL;
    }
    return node;
}

/* ---- the nodes in bytes -------------------------------------------------- */

/* `node`, a Quantize, becomes `op_type` with these inputs and the attributes
 * and the name of `old`. */
static int become(struct graph *graph, struct graph_node *node,
                  const struct op *op, const struct graph_node *old,
                  struct value *const *inputs, int count, struct err *err) {
    struct value **copy = graph_alloc(graph, (size_t)count * sizeof *copy, err);
    if (!copy)
        return -1;
    memcpy(copy, inputs, (size_t)count * sizeof *copy);
    node->op = op;
    node->node = old->node;
    node->node.op_type = op->name;
    node->inputs = copy;
    node->input_count = count;
    return 0;
}

/* A bias counts in steps of scale of x * scale of w: then it adds to the sums.
 */
static bool bias_fits(const struct bytes *bias, const struct bytes *x,
                      const struct bytes *w) {
    const double x_scale = number_at(&x->scale->t, 0);
    if (!graph_is_constant(bias->value) || bias->value->t.type != NN_INT32)
        return false;
    for (size_t i = 0; i < bias->scales; i++) {
        const double want =
            x_scale * number_at(&w->scale->t, w->scales > 1 ? i : 0);
        if (fabs(number_at(&bias->scale->t, i) - want) > 1e-5 * want ||
            (bias->zero && number_at(&bias->zero->t, i) != 0))
            return false;
    }
    return w->scales == bias->scales || w->scales == 1;
}

static int make_conv(struct graph *graph, struct graph_node *quantise,
                     const struct graph_node *conv, const struct bytes *y,
                     struct err *err) {
    struct bytes x, w, bias = {0};
    const struct value *b = conv->input_count > 2 ? graph_input(conv, 2) : NULL;
    if (!dequantised_whole(graph_input(conv, 0), &x) ||
        !dequantised(graph_input(conv, 1), &w) || !graph_is_constant(w.value) ||
        !type_in(w.value->t.type, TYPES_BYTE) ||
        (b && (!dequantised(b, &bias) || !bias_fits(&bias, &x, &w))))
        return 0;
    const struct op *op = op_find("QLinearConv", graph->opset, err);
    struct value *inputs[] = {x.value,
                              x.scale,
                              zero_of(graph, &x, NN_UINT8, err),
                              w.value,
                              w.scale,
                              zero_of(graph, &w, w.value->t.type, err),
                              y->scale,
                              zero_of(graph, y, NN_UINT8, err),
                              bias.value};
    if (!op || !inputs[2] || !inputs[5] || !inputs[7])
        return -1;
    return become(graph, quantise, op, conv, inputs, b ? 9 : 8, err);
}

static int make_add(struct graph *graph, struct graph_node *quantise,
                    const struct graph_node *add, const struct bytes *y,
                    struct err *err) {
    const enum nn_type type = type_of(y);
    struct bytes in[2];
    struct value *inputs[8];
    for (int i = 0; i < 2; i++) {
        if (!dequantised_whole(graph_input(add, i), &in[i]) ||
            graph_is_constant(in[i].value) || type_of(&in[i]) != type)
            return 0;
        inputs[3 * i] = in[i].value;
        inputs[3 * i + 1] = in[i].scale;
    }
    const struct tensor *a = &graph_input(add, 0)->t;
    if (a->rank < 0 || !tensor_same_shape(a, &graph_input(add, 1)->t))
        return 0;
    inputs[2] = zero_of(graph, &in[0], type, err);
    inputs[5] = zero_of(graph, &in[1], type, err);
    inputs[6] = y->scale;
    inputs[7] = zero_of(graph, y, type, err);
    if (!inputs[2] || !inputs[5] || !inputs[7])
        return -1;
    return become(graph, quantise, &qlinear_add, add, inputs, 8, err);
}

/* ---- what bytes go through as they are ----------------------------------- */

/* Larger bytes are larger numbers, and finite ones. */
static bool is_ordered(const struct bytes *b) {
    const float scale = (float)number_at(&b->scale->t, 0);
    return scale > 0 && isfinite(255 * scale);
}

/* Bytes that are computed; a Dequantize may be of int32 as well. */
static bool dequantised_bytes(const struct value *value, struct bytes *out) {
    return dequantised_whole(value, out) && !graph_is_constant(out->value) &&
           out->value->t.type == type_of(out);
}

static bool same_scale(const struct bytes *a, const struct bytes *b) {
    return is_ordered(a) && type_of(a) == type_of(b) &&
           zero_point(a) == zero_point(b) &&
           number_at(&a->scale->t, 0) == number_at(&b->scale->t, 0);
}

/* `node` gives bytes of the scale of y, made of x. */
static int make_rescale(struct graph *graph, struct graph_node *node,
                        const struct bytes *x, const struct bytes *y,
                        struct err *err) {
    struct value *inputs[] = {x->value, x->scale,
                              zero_of(graph, x, NN_UINT8, err), y->scale,
                              zero_of(graph, y, NN_UINT8, err)};
    if (!inputs[2] || !inputs[4])
        return -1;
    node->outputs[0]->t.type = type_of(y);
    return become(graph, node, &qlinear_rescale, node, inputs, 5, err);
}

/* Bytes from other bytes, or those bytes themselves: 1; 0: no such thing. */
static int quantise_again(struct graph *graph, struct graph_node *node,
                          const struct bytes *y, struct err *err) {
    struct bytes x;
    if (!dequantised_bytes(y->value, &x))
        return 0;
    if (!same_scale(&x, y))
        return make_rescale(graph, node, &x, y, err) < 0 ? -1 : 1;
    graph_forward(node, x.value);
    return 1;
}

/* Each input for itself, by the node that dequantises it. */
static int make_concat(struct graph *graph, struct graph_node *quantise,
                       struct graph_node *concat, const struct bytes *y,
                       struct err *err) {
    struct bytes x;
    for (int i = 0; i < concat->input_count; i++) {
        const struct value *in = graph_input(concat, i);
        if (in->uses != 1 || !dequantised_bytes(in, &x))
            return 0;
    }
    for (int i = 0; i < concat->input_count; i++) {
        struct value *in = graph_input(concat, i);
        dequantised_whole(in, &x);
        if (same_scale(&x, y))
            concat->inputs[i] = x.value;
        else if (make_rescale(graph, in->producer, &x, y, err) < 0)
            return -1;
    }
    concat->outputs[0]->t.type = type_of(y);
    graph_forward(quantise, concat->outputs[0]);
    return 0;
}

/* The largest byte is the largest number: the two nodes change places. */
static void pool_before(struct graph_node *pool) {
    struct value *x = graph_input(pool, 0);
    struct bytes bytes;
    if (pool->output_count != 1 || x->uses != 1 ||
        !dequantised_bytes(x, &bytes) || !is_ordered(&bytes))
        return;
    struct graph_node *first = x->producer, old = *first;
    first->op = pool->op;
    first->node = pool->node;
    first->inputs = pool->inputs;
    first->input_count = 1;
    first->inputs[0] = bytes.value;
    x->t = pool->outputs[0]->t;
    x->t.type = type_of(&bytes);
    pool->op = old.op;
    pool->node = old.node;
    pool->inputs = old.inputs;
    pool->input_count = old.input_count;
    pool->inputs[0] = x;
}

static bool has_bytes(const struct graph *graph) {
    for (int i = 0; i < graph->node_count; i++)
        if (is(graph->nodes[i], "QuantizeLinear"))
            return true;
    return false;
}

int graph_fuse_quantised(struct graph *graph, struct err *err) {
    if (!has_bytes(graph))
        return 0;
    if (graph_guess_shapes(graph, err) < 0)
        return -1;
    for (int i = 0; i < graph->node_count; i++) {
        struct graph_node *node = graph->nodes[i];
        struct bytes y;
        if (is(node, "MaxPool"))
            pool_before(node);
        if (!is(node, "QuantizeLinear") || !read_bytes(node, &y) ||
            y.scales != 1)
            continue;
        struct graph_node *op = quantised_operator(&y);
        int rc = quantise_again(graph, node, &y, err);
        if (rc == 0)
            rc = is(op, "Conv")     ? make_conv(graph, node, op, &y, err)
                 : is(op, "Add")    ? make_add(graph, node, op, &y, err)
                 : is(op, "Concat") ? make_concat(graph, node, op, &y, err)
                                    : 0;
        if (rc < 0)
            return graph_error(graph, node, err);
    }
    graph_tidy(graph);
    return 0;
}
