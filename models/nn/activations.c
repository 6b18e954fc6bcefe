/*
 * Exporters write many activations out: GELU as five nodes around Erf, swish
 * as x * sigmoid(x), hard swish as x * clip(x + 3, 0, 6) / 6, with factors in
 * any order. Each is a product of constants, x, and a *gate*, a function of x:
 * the product is flattened and compared to a table.
 */
#include "models/nn/activation.h"
#include "models/nn/graph.h"
#include "models/nn/vmath.h"

#include <math.h>
#include <string.h>

/* Constants come rounded to float32 and as quotients: 6 and 1/6, sqrt(2). */
static bool near(double a, double b) {
    return fabs(a - b) <= 1e-5 * fabs(b);
}

static struct graph_node *writer(const struct value *value,
                                 const char *op_type) {
    struct graph_node *node = value ? value->producer : NULL;
    return node && node->op && strcmp(node->node.op_type, op_type) == 0 ? node
                                                                        : NULL;
}

/* x and c of x op c and c op x. */
static struct value *beside_scalar(const struct graph_node *node, float *c) {
    struct value *a = graph_input(node, 0), *b = graph_input(node, 1);
    if (graph_scalar(b, c))
        return a;
    return graph_scalar(a, c) ? b : NULL;
}

/* ---- what is an activation by itself ------------------------------------ */

static bool clip_bounds(const struct graph_node *node, float *low,
                        float *high) {
    const struct value *min = graph_input(node, 1), *max = graph_input(node, 2);
    *low = node_float(&node->node, "min", -INFINITY);
    *high = node_float(&node->node, "max", INFINITY);
    return (!min || graph_scalar(min, low)) &&
           (!max || graph_scalar(max, high)) && *low <= *high;
}

static const struct {
    const char *op_type;
    struct activation activation; /* with ONNX's defaults */
} simple[] = {
    {"Relu", {ACTIVATION_RELU, 0, 0}},
    {"LeakyRelu", {ACTIVATION_LEAKY_RELU, 0.01f, 0}},
    {"Elu", {ACTIVATION_ELU, 1.0f, 0}},
    {"Sigmoid", {ACTIVATION_SIGMOID, 0, 0}},
    {"HardSigmoid", {ACTIVATION_HARD_SIGMOID, 0.2f, 0.5f}},
    {"Tanh", {ACTIVATION_TANH, 0, 0}},
    {"HardSwish", {ACTIVATION_HARD_SWISH, 0, 0}},
};

/* ---- operators of opset 18 and later that are one ------------------------ */

static int infer(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    if (x->type != NN_FLOAT32)
        return err_set(err, "%s of %s is not supported", call->op->name,
                       type_name(x->type));
    return op_output(call, 0, x->type, x->rank, x->dims, err);
}

static int named_activation(const struct node *node, struct activation *out,
                            struct err *err) {
    const char *approximate = node_string(node, "approximate", "none");
    *out = (struct activation){0};
    if (node_float(node, "alpha", 1) != 1)
        return err_set(err, "%s with an alpha is not supported", node->op_type);
    if (strcmp(node->op_type, "Mish") == 0)
        out->kind = ACTIVATION_MISH;
    else if (strcmp(node->op_type, "Swish") == 0)
        out->kind = ACTIVATION_SILU;
    else if (strcmp(approximate, "none") == 0)
        out->kind = ACTIVATION_GELU;
    else if (strcmp(approximate, "tanh") == 0)
        out->kind = ACTIVATION_GELU_TANH;
    else
        return err_set(err, "%s's approximation %s is not supported",
                       node->op_type, approximate);
    return 0;
}

static int infer_named(struct op_call *call, struct err *err) {
    struct activation a;
    if (named_activation(call->node, &a, err) < 0)
        return -1;
    return infer(call, err);
}

static void run_named(struct op_call *call) {
    struct activation a;
    named_activation(call->node, &a, NULL);
    vmath_activate(&a, call->inputs[0]->data, call->outputs[0].data,
                   tensor_count(call->inputs[0]));
}

static const struct op_attribute approximate[] = {
    {"approximate", ATTRIBUTE_STRING}, {0}};

static const struct op_attribute alpha[] = {{"alpha", ATTRIBUTE_FLOAT}, {0}};

const struct op ops_activation[] = {{"Gelu", 20, 1, 1, 1, OP_ELEMENTWISE,
                                     infer_named, run_named, NULL, approximate,
                                     NULL},
                                    {"Mish", 18, 1, 1, 1, OP_ELEMENTWISE,
                                     infer_named, run_named, NULL, NULL, NULL},
                                    {"Swish", 24, 1, 1, 1, OP_ELEMENTWISE,
                                     infer_named, run_named, NULL, alpha, NULL},
                                    {0}};

bool graph_activation(const struct graph_node *node, struct activation *out) {
    const struct activation *own = node->op->kernel;
    if (node->op->since == 0) /* what this file fused */
        return *out = *own, true;
    if (node->op->run == run_named)
        return named_activation(&node->node, out, NULL) == 0;
    if (strcmp(node->node.op_type, "Clip") == 0) {
        out->kind = ACTIVATION_CLIP;
        return clip_bounds(node, &out->alpha, &out->beta);
    }
    for (size_t i = 0; i < sizeof simple / sizeof *simple; i++)
        if (strcmp(simple[i].op_type, node->node.op_type) == 0) {
            *out = simple[i].activation;
            out->alpha = node_float(&node->node, "alpha", out->alpha);
            out->beta = node_float(&node->node, "beta", out->beta);
            return true;
        }
    return false;
}

/* ---- rows for what has no operator in these opsets ---------------------- */

static void run(struct op_call *call) {
    vmath_activate(call->op->kernel, call->inputs[0]->data,
                   call->outputs[0].data, tensor_count(call->inputs[0]));
}

#define ROW(title, ...)                                                        \
    {                                                                          \
        .name = title, .inputs_min = 1, .inputs_max = 1, .outputs_max = 1,     \
        .traits = OP_ELEMENTWISE, .infer = infer, .run = run,                  \
        .kernel = &(const struct activation) {                                 \
            __VA_ARGS__                                                        \
        }                                                                      \
    }

enum { GELU, SILU, HARD_SWISH, HARD_SIGMOID, MISH };

static const struct op rows[] = {
    [GELU] = ROW("Gelu", ACTIVATION_GELU),
    [SILU] = ROW("Silu", ACTIVATION_SILU),
    [HARD_SWISH] = ROW("HardSwish", ACTIVATION_HARD_SWISH),
    [HARD_SIGMOID] =
        ROW("HardSigmoid", ACTIVATION_HARD_SIGMOID, 1.0f / 6.0f, 0.5f),
    [MISH] = ROW("Mish", ACTIVATION_MISH),
};

/* ---- gates: the x that the value is that function of, or NULL ----------- */

static struct value *sigmoid_gate(const struct value *gate) {
    struct graph_node *node = writer(gate, "Sigmoid");
    return node ? graph_input(node, 0) : NULL;
}

/* max(0, min(1, x / 6 + 1/2)) as one node */
static struct value *hard_sigmoid_gate(const struct value *gate) {
    struct graph_node *node = writer(gate, "HardSigmoid");
    struct activation a;
    if (!node || !graph_activation(node, &a) || !near(a.alpha, 1.0 / 6.0) ||
        !near(a.beta, 0.5))
        return NULL;
    return graph_input(node, 0);
}

/* clip(x + 3, 0, 6) */
static struct value *clip_gate(const struct value *gate) {
    struct graph_node *clip = writer(gate, "Clip"), *add;
    float low, high, c;
    if (!clip || !clip_bounds(clip, &low, &high) || low != 0.0f ||
        high != 6.0f || !(add = writer(graph_input(clip, 0), "Add")))
        return NULL;
    struct value *x = beside_scalar(add, &c);
    return x && c == 3.0f ? x : NULL;
}

/* 1 + erf(x / sqrt(2)) */
static struct value *erf_gate(const struct value *gate) {
    struct graph_node *add = writer(gate, "Add"), *erf, *scale;
    float c;
    if (!add)
        return NULL;
    erf = writer(beside_scalar(add, &c), "Erf");
    if (!erf || c != 1.0f)
        return NULL;
    const struct value *argument = graph_input(erf, 0);
    if ((scale = writer(argument, "Mul"))) {
        struct value *x = beside_scalar(scale, &c);
        return x && near(c, sqrt(0.5)) ? x : NULL;
    }
    if ((scale = writer(argument, "Div")) &&
        graph_scalar(graph_input(scale, 1), &c) && near(c, sqrt(2.0)))
        return graph_input(scale, 0);
    return NULL;
}

/* tanh(softplus(x)) */
static struct value *softplus_gate(const struct value *gate) {
    struct graph_node *tanh_node = writer(gate, "Tanh"), *softplus;
    if (!tanh_node ||
        !(softplus = writer(graph_input(tanh_node, 0), "Softplus")))
        return NULL;
    return graph_input(softplus, 0);
}

static const struct {
    struct value *(*gate)(const struct value *);
    double factor;
    bool times_x; /* the product is factor * x * gate(x), else without x */
    int row;
} composites[] = {
    {sigmoid_gate, 1.0, true, SILU},
    {hard_sigmoid_gate, 1.0, true, HARD_SWISH},
    {clip_gate, 1.0 / 6.0, true, HARD_SWISH},
    {clip_gate, 1.0 / 6.0, false, HARD_SIGMOID},
    {erf_gate, 0.5, true, GELU},
    {softplus_gate, 1.0, true, MISH},
};

/* ---- products ----------------------------------------------------------- */

struct product {
    double factor;
    struct value *terms[2];
    int count; /* 3: too many */
};

static void multiply(struct product *p, struct value *value, int depth);

static void multiply_node(struct product *p, const struct graph_node *node,
                          int depth) {
    float divisor;
    multiply(p, graph_input(node, 0), depth);
    if (strcmp(node->node.op_type, "Mul") == 0)
        multiply(p, graph_input(node, 1), depth);
    else if (graph_scalar(graph_input(node, 1), &divisor))
        p->factor /= (double)divisor;
    else
        p->count = 3;
}

static void multiply(struct product *p, struct value *value, int depth) {
    struct graph_node *node;
    float c;
    if (graph_scalar(value, &c))
        p->factor *= (double)c;
    else if (depth > 0 && ((node = graph_producer(value, "Mul")) ||
                           (node = graph_producer(value, "Div"))))
        multiply_node(p, node, depth - 1);
    else if (p->count < 2)
        p->terms[p->count++] = value;
    else
        p->count = 3;
}

static struct value *match(const struct product *p, size_t i) {
    for (int k = 0; k < p->count && p->count <= 2; k++) {
        struct value *x = composites[i].gate(p->terms[k]);
        if (!x || !near(p->factor, composites[i].factor))
            continue;
        if (composites[i].times_x ? p->count == 2 && p->terms[1 - k] == x
                                  : p->count == 1)
            return x;
    }
    return NULL;
}

static void fuse(struct graph_node *node) {
    struct product p = {.factor = 1.0};
    multiply_node(&p, node, 3);
    for (size_t i = 0; i < sizeof composites / sizeof *composites; i++) {
        struct value *x = match(&p, i);
        if (!x)
            continue;
        node->op = &rows[composites[i].row];
        node->node.op_type = node->op->name;
        node->node.attribute_count = 0;
        node->inputs[0] = x;
        node->input_count = 1;
        return;
    }
}

int graph_fuse_activations(struct graph *graph, struct err *err) {
    (void)err; /* needs no memory, cannot fail */
    for (int i = 0; i < graph->node_count; i++) {
        const char *op_type = graph->nodes[i]->node.op_type;
        if (strcmp(op_type, "Mul") == 0 || strcmp(op_type, "Div") == 0)
            fuse(graph->nodes[i]);
    }
    graph_tidy(graph);
    return 0;
}
