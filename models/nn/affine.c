/*
 * What multiplies and adds a constant by channel is *affine*:
 *
 *     y[c] = scale[c] * x[c] + shift[c]
 *
 * BatchNormalization is (scale = gamma / sqrt(var + epsilon), shift = beta -
 * mean * scale), and so are Mul, Add, Sub and Div with a constant of the right
 * shape. An affine node behind a convolution, Gemm or MatMul with constant
 * weights goes into these, one behind another affine node into that one.
 */
#include "models/nn/gemm.h"
#include "models/nn/graph.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is(const struct graph_node *node, const char *op_type) {
    return strcmp(node->node.op_type, op_type) == 0;
}

/* ---- ScaleShift: the operator of what stays ----------------------------- */

static int infer(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    if (x->type != NN_FLOAT32 || x->rank < 2 ||
        x->dims[1] != call->inputs[1]->dims[0]) {
        char text[128];
        return err_set(err, "%lld channels cannot be scaled in %s",
                       (long long)call->inputs[1]->dims[0],
                       tensor_text(x, text, sizeof text));
    }
    return op_output(call, 0, x->type, x->rank, x->dims, err);
}

static void run(struct op_call *call) {
    const struct tensor *t = call->inputs[0];
    const float *x = t->data; /* (N, C, ...) */
    const float *scale = call->inputs[1]->data, *shift = call->inputs[2]->data;
    float *y = call->outputs[0].data;
    size_t channels = (size_t)t->dims[1];
    size_t inner = dims_count(t->dims + 2, t->rank - 2);
    size_t rows = (size_t)t->dims[0] * channels;

    for (size_t row = 0; row < rows; row++)
        for (size_t i = 0, c = row % channels; i < inner; i++)
            y[row * inner + i] = x[row * inner + i] * scale[c] + shift[c];
}

static const struct op scale_shift = {
    .name = "ScaleShift",
    .since = 1,
    .inputs_min = 3,
    .inputs_max = 3,
    .outputs_max = 1,
    .infer = infer,
    .run = run,
};

/* ---- MatMul by constant weights, with a bias ----------------------------- */

static int infer_matmul(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0], *w = call->inputs[1];
    int64_t dims[NN_MAX_RANK];
    if (x->type != NN_FLOAT32 || x->rank < 2 ||
        x->dims[x->rank - 1] != w->dims[0]) {
        char text[128];
        return err_set(err, "%lld inputs cannot be multiplied by in %s",
                       (long long)w->dims[0],
                       tensor_text(x, text, sizeof text));
    }
    memcpy(dims, x->dims, sizeof dims);
    dims[x->rank - 1] = w->dims[1];
    return op_output(call, 0, x->type, x->rank, dims, err);
}

static void run_matmul(struct op_call *call) {
    const struct tensor *x = call->inputs[0], *w = call->inputs[1];
    const float *bias = call->inputs[2] ? call->inputs[2]->data : NULL;
    float *y = call->outputs[0].data;
    int k = (int)w->dims[0], m = (int)w->dims[1];
    size_t rows = dims_count(x->dims, x->rank - 1);
    for (size_t i = 0; i < rows; i++, y += m) {
        for (int c = 0; c < m; c++)
            y[c] = bias ? bias[c] : 0.0f;
        gemm(false, false, 1, m, k, 1.0f,
             (const float *)x->data + i * (size_t)k, k, w->data, m, 1.0f, y, m);
    }
}

static const struct op matmul_bias = {
    .name = "MatMul",
    .since = 1,
    .inputs_min = 2,
    .inputs_max = 3,
    .outputs_max = 1,
    .infer = infer_matmul,
    .run = run_matmul,
};

static void take_bias(struct graph_node *node) {
    if (!is(node, "MatMul"))
        return;
    const struct tensor *x = &graph_input(node, 0)->t;
    const struct tensor *w = &graph_input(node, 1)->t;
    if (x->rank >= 2 && x->type == NN_FLOAT32 && w->data && w->rank == 2 &&
        w->type == NN_FLOAT32 && w->dims[0] == x->dims[x->rank - 1] &&
        w->dims[0] <= INT32_MAX && w->dims[1] <= INT32_MAX)
        node->op = &matmul_bias;
}

/* ---- reading an affine node --------------------------------------------- */

struct affine {
    struct value *x;
    int axis;
    size_t channels; /* 0: one number for all of them */
    /* y = (scale * x + shift), each (channels) or one number, or NULL. */
    float *scale, *shift;
};

static void affine_free(struct affine *a) {
    free(a->scale);
    free(a->shift);
    *a = (struct affine){0};
}

static const float *constant(const struct graph_node *node, int i,
                             size_t count) {
    const struct value *value = graph_input(node, i);
    return value && value->t.data && value->t.type == NN_FLOAT32 &&
                   tensor_count(&value->t) == count
               ? value->t.data
               : NULL;
}

static bool make(struct affine *a, size_t count) {
    a->scale = malloc((count + 1) * sizeof *a->scale);
    a->shift = malloc((count + 1) * sizeof *a->shift);
    if (a->scale && a->shift)
        return true;
    affine_free(a);
    return false;
}

static bool read_batch_norm(const struct graph_node *node, struct affine *a) {
    const struct value *gamma = graph_input(node, 1);
    size_t n = gamma && gamma->t.data ? tensor_count(&gamma->t) : 0;
    const float *g = constant(node, 1, n), *b = constant(node, 2, n);
    const float *mean = constant(node, 3, n), *var = constant(node, 4, n);
    double epsilon = (double)node_float(&node->node, "epsilon", 1e-5f);

    if (n == 0 || !g || !b || !mean || !var || node->output_count != 1 ||
        node_int(&node->node, "training_mode", 0) != 0 ||
        node_int(&node->node, "spatial", 1) != 1 || !make(a, n))
        return false;
    a->x = graph_input(node, 0);
    a->axis = 1;
    a->channels = n;
    for (size_t i = 0; i < n; i++) {
        double s = (double)g[i] / sqrt((double)var[i] + epsilon);
        a->scale[i] = (float)s;
        a->shift[i] = (float)((double)b[i] - (double)mean[i] * s);
    }
    return true;
}

/* Where the channels of a value are: behind MatMul they are last. */
static int channel_axis(const struct value *x) {
    const struct graph_node *node = x->producer;
    return node && node->op == &matmul_bias ? x->t.rank - 1 : 1;
}

/* A constant that is the same along all axes but `axis` of a tensor of `rank`
 * and does not widen it. */
static bool varies_along(const struct tensor *c, int rank, int axis) {
    if (!c->data || c->type != NN_FLOAT32 || c->rank > rank)
        return false;
    for (int i = 0; i < c->rank; i++)
        if (c->dims[i] != 1 && i + rank - c->rank != axis)
            return false;
    return true;
}

static bool read_arithmetic(const struct graph_node *node, struct affine *a) {
    enum { ADD, SUB, MUL, DIV } op;
    static const char *const names[] = {"Add", "Sub", "Mul", "Div"};
    for (op = ADD; op <= DIV && !is(node, names[op]);)
        op++;
    if (op > DIV)
        return false;
    int c = graph_is_constant(graph_input(node, 1)) ? 1 : 0;
    struct value *x = graph_input(node, 1 - c);
    const struct tensor *t = &graph_input(node, c)->t;
    int axis = channel_axis(x);
    if (x->t.data || x->t.rank < 2 || (op == DIV && c == 0) ||
        !varies_along(t, x->t.rank, axis) || tensor_count(t) == 0)
        return false;
    size_t count = tensor_count(t);
    const float *number = t->data;
    if ((count > 1 && (size_t)x->t.dims[axis] != count) || !make(a, count))
        return false;
    a->x = x;
    a->axis = axis;
    a->channels = count > 1 ? count : 0;
    for (size_t i = 0; i < count; i++) {
        bool from_constant = op == SUB && c == 0;
        a->scale[i] = op == MUL       ? number[i]
                      : op == DIV     ? 1.0f / number[i]
                      : from_constant ? -1.0f
                                      : 1.0f;
        a->shift[i] = op == ADD || from_constant ? number[i]
                      : op == SUB                ? -number[i]
                                                 : 0.0f;
    }
    return true;
}

static bool read_affine(const struct graph_node *node, struct affine *a) {
    *a = (struct affine){0};
    return is(node, "BatchNormalization") ? read_batch_norm(node, a)
                                          : read_arithmetic(node, a);
}

static float at(const struct affine *a, const float *numbers, size_t channel) {
    return numbers[a->channels ? channel : 0];
}

/* ---- putting it into the node before ------------------------------------ */

/* The constant that input i of a node is, for this node alone to change. */
static struct value *own_constant(struct graph *graph, struct graph_node *node,
                                  int i, struct err *err) {
    struct value *old = graph_input(node, i);
    if (old->uses == 1 && !old->t.in_file)
        return old;
    struct value *copy = graph_constant(graph, old->name, old->t.type,
                                        old->t.rank, old->t.dims, err);
    if (!copy)
        return NULL;
    memcpy(copy->t.data, old->t.data, tensor_bytes(&old->t));
    copy->uses = 1;
    old->uses--;
    node->inputs[i] = copy;
    return copy;
}

/* Bias (channels) as input 2, zeros where the node has none. */
static struct value *own_bias(struct graph *graph, struct graph_node *node,
                              size_t channels, struct err *err) {
    struct value *old = graph_input(node, 2);
    int64_t dims[] = {(int64_t)channels};
    struct value *bias =
        graph_constant(graph, "bias", NN_FLOAT32, 1, dims, err);
    struct value **inputs = graph_alloc(graph, 3 * sizeof *inputs, err);
    if (!bias || !inputs)
        return NULL;
    if (old) {
        memcpy(bias->t.data, old->t.data, channels * sizeof(float));
        bias->name = old->name;
        old->uses--;
    }
    bias->uses = 1;
    inputs[0] = node->inputs[0];
    inputs[1] = node->inputs[1];
    inputs[2] = bias;
    node->inputs = inputs;
    node->input_count = 3;
    return bias;
}

/* Where the weights of output channel c lie: at c * step + k * stride. */
struct weights {
    struct value *value;
    size_t channels, per_channel, step, stride;
};

static bool conv_weights(const struct graph_node *node, struct weights *w) {
    const struct tensor *t = &w->value->t;
    if (!is(node, "Conv") || t->rank < 3)
        return false;
    w->channels = (size_t)t->dims[0];
    w->per_channel = dims_count(t->dims + 1, t->rank - 1);
    w->step = w->per_channel;
    w->stride = 1;
    return true;
}

static bool matmul_weights(const struct graph_node *node, struct weights *w) {
    if (node->op != &matmul_bias)
        return false;
    w->per_channel = (size_t)w->value->t.dims[0];
    w->channels = (size_t)w->value->t.dims[1];
    w->step = 1;
    w->stride = w->channels;
    return true;
}

static bool gemm_weights(const struct graph_node *node, struct weights *w) {
    const struct tensor *t = &w->value->t;
    const struct node *n = &node->node;
    if (!is(node, "Gemm") || t->rank != 2 || node_int(n, "transA", 0) != 0 ||
        node_float(n, "alpha", 1.0f) != 1.0f ||
        node_float(n, "beta", 1.0f) != 1.0f)
        return false;
    bool transposed = node_int(n, "transB", 0) != 0; /* (M, K), else (K, M) */
    w->channels = (size_t)t->dims[transposed ? 0 : 1];
    w->per_channel = (size_t)t->dims[transposed ? 1 : 0];
    w->step = transposed ? w->per_channel : 1;
    w->stride = transposed ? 1 : w->channels;
    return true;
}

static bool find_weights(const struct graph_node *node, struct weights *w) {
    w->value = graph_input(node, 1);
    if (!graph_is_constant(w->value) || w->value->t.type != NN_FLOAT32 ||
        (!conv_weights(node, w) && !gemm_weights(node, w) &&
         !matmul_weights(node, w)))
        return false;
    return !graph_input(node, 2) || constant(node, 2, w->channels);
}

static void scale_weights(const struct weights *w, const struct affine *a) {
    float *data = w->value->t.data;
    for (size_t c = 0; c < w->channels; c++)
        for (size_t k = 0; k < w->per_channel; k++)
            data[c * w->step + k * w->stride] *= at(a, a->scale, c);
}

static bool scales(const struct affine *a) {
    for (size_t i = 0; i < (a->channels ? a->channels : 1); i++)
        if (a->scale[i] != 1.0f)
            return true;
    return false;
}

/* The producer writes what the affine node wrote. */
static void take_over(struct graph_node *producer, struct graph_node *node) {
    producer->outputs[0] = node->outputs[0];
    producer->outputs[0]->producer = producer;
    node->op = NULL;
}

/* 1: done; 0: does not fit. */
static int into_layer(struct graph *graph, struct graph_node *layer,
                      struct graph_node *node, const struct affine *a,
                      struct err *err) {
    struct weights w;
    if (!find_weights(layer, &w) ||
        (a->channels &&
         (a->channels != w.channels || a->axis != channel_axis(a->x))))
        return 0;
    if (scales(a)) {
        w.value = own_constant(graph, layer, 1, err);
        if (!w.value)
            return -1;
        scale_weights(&w, a);
    }
    struct value *bias = own_bias(graph, layer, w.channels, err);
    if (!bias)
        return -1;
    float *b = bias->t.data;
    for (size_t c = 0; c < w.channels; c++)
        b[c] = b[c] * at(a, a->scale, c) + at(a, a->shift, c);
    take_over(layer, node);
    return 1;
}

static int into_scale_shift(struct graph_node *before, struct graph_node *node,
                            const struct affine *a) {
    float *scale = before->inputs[1]->t.data;
    float *shift = before->inputs[2]->t.data;
    size_t channels = tensor_count(&before->inputs[1]->t);
    if (a->channels && a->channels != channels)
        return 0;
    for (size_t c = 0; c < channels; c++) {
        scale[c] *= at(a, a->scale, c);
        shift[c] = shift[c] * at(a, a->scale, c) + at(a, a->shift, c);
    }
    take_over(before, node);
    return 1;
}

static int become_scale_shift(struct graph *graph, struct graph_node *node,
                              const struct affine *a, struct err *err) {
    int64_t dims[] = {(int64_t)a->channels};
    struct value **inputs = graph_alloc(graph, 3 * sizeof *inputs, err);
    if (!inputs)
        return -1;
    inputs[0] = a->x;
    for (int i = 1; i <= 2; i++) {
        inputs[i] = graph_constant(graph, i == 1 ? "scale" : "shift",
                                   NN_FLOAT32, 1, dims, err);
        if (!inputs[i])
            return -1;
        memcpy(inputs[i]->t.data, i == 1 ? a->scale : a->shift,
               a->channels * sizeof(float));
        inputs[i]->uses = 1;
    }
    node->inputs = inputs;
    node->input_count = 3;
    node->op = &scale_shift;
    node->node.op_type = scale_shift.name;
    node->node.attribute_count = 0;
    return 0;
}

static int fuse(struct graph *graph, struct graph_node *node,
                const struct affine *a, struct err *err) {
    struct graph_node *before = a->x->producer;
    int done = 0;
    if (before && before->op && a->x->uses == 1)
        done = before->op == &scale_shift
                   ? into_scale_shift(before, node, a)
                   : into_layer(graph, before, node, a, err);
    if (done == 0 && a->channels && a->axis == 1 &&
        (a->x->t.rank == 4 || is(node, "BatchNormalization")))
        return become_scale_shift(graph, node, a, err);
    return done < 0 ? -1 : 0;
}

int graph_fuse_affine(struct graph *graph, struct err *err) {
    for (int i = 0; i < graph->node_count; i++) {
        struct graph_node *node = graph->nodes[i];
        struct affine a;
        int rc = 0;
        take_bias(node);
        if (read_affine(node, &a)) {
            rc = fuse(graph, node, &a, err);
            affine_free(&a);
        }
        if (rc < 0)
            return graph_error(graph, node, err);
    }
    graph_tidy(graph);
    return 0;
}
