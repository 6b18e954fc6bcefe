/*
 * Exporters up to opset 16 write layer normalisation (Ba et al. 2016, arXiv
 * 1607.06450) out: the mean is subtracted, the squares' mean taken, and what is
 * divided by its root is scaled and shifted. Nine nodes become one.
 */
#include "models/nn/graph.h"

#include <string.h>

struct layer_norm {
    struct value *x, *scale, *shift;
    float epsilon;
};

static struct graph_node *writer(const struct value *value,
                                 const char *op_type) {
    struct graph_node *node = value ? value->producer : NULL;
    return node && node->op && strcmp(node->node.op_type, op_type) == 0 ? node
                                                                        : NULL;
}

/* What a mean over the last axis alone is taken of, or NULL. */
static struct value *averaged(const struct value *mean) {
    const struct graph_node *node = writer(mean, "ReduceMean");
    const int64_t *axes;
    if (!node || node->input_count != 1 ||
        node_ints(&node->node, "axes", &axes) != 1 ||
        node_int(&node->node, "keepdims", 1) != 1)
        return NULL;
    struct value *x = graph_input(node, 0);
    return axes[0] == -1 || axes[0] == x->t.rank - 1 ? x : NULL;
}

/* Whether `square` is x * x. */
static bool is_square(const struct value *square, const struct value *x) {
    const struct graph_node *pow = writer(square, "Pow");
    const struct graph_node *mul = writer(square, "Mul");
    float exponent;
    if (pow)
        return graph_input(pow, 0) == x &&
               graph_scalar(graph_input(pow, 1), &exponent) && exponent == 2;
    return mul && graph_input(mul, 0) == x && graph_input(mul, 1) == x;
}

/* sqrt(mean(centred^2) + epsilon) */
static bool is_deviation(const struct value *value, const struct value *centred,
                         float *epsilon) {
    const struct graph_node *root = writer(value, "Sqrt"), *add;
    if (!root || !(add = writer(graph_input(root, 0), "Add")))
        return false;
    for (int i = 0; i < 2; i++)
        if (graph_scalar(graph_input(add, i), epsilon)) {
            const struct value *x = averaged(graph_input(add, 1 - i));
            return x && is_square(x, centred);
        }
    return false;
}

/* The x of (x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon), or NULL. */
static struct value *normalised(const struct value *value, float *epsilon) {
    const struct graph_node *div = writer(value, "Div"), *sub;
    if (!div || !(sub = writer(graph_input(div, 0), "Sub")) ||
        !is_deviation(graph_input(div, 1), graph_input(div, 0), epsilon))
        return NULL;
    struct value *x = graph_input(sub, 0);
    return averaged(graph_input(sub, 1)) == x ? x : NULL;
}

/* Of a node with two inputs: the constant vector as `vector`, and the other. */
static struct value *beside_vector(const struct graph_node *node,
                                   struct value **vector) {
    for (int i = 0; node && i < 2; i++) {
        struct value *c = graph_input(node, i);
        if (graph_is_constant(c) && c->t.type == NN_FLOAT32 && c->t.rank == 1) {
            *vector = c;
            return graph_input(node, 1 - i);
        }
    }
    return NULL;
}

static bool is_layer_norm(const struct graph_node *add, struct layer_norm *n) {
    const struct value *scaled = beside_vector(add, &n->shift);
    const struct value *plain = beside_vector(writer(scaled, "Mul"), &n->scale);
    n->x = normalised(plain, &n->epsilon);
    if (!n->x || n->x->t.type != NN_FLOAT32 || n->x->t.rank < 2)
        return false;
    int64_t last = n->x->t.dims[n->x->t.rank - 1];
    return n->scale->t.dims[0] == last && n->shift->t.dims[0] == last;
}

static int become_layer_norm(struct graph *graph, struct graph_node *node,
                             const struct layer_norm *n, struct err *err) {
    const struct attribute epsilon = {
        .name = "epsilon", .kind = ATTRIBUTE_FLOAT, .f = n->epsilon};
    struct value **inputs = graph_alloc(graph, 3 * sizeof *inputs, err);
    if (!inputs)
        return -1;
    node->op = op_find("LayerNormalization", 17, err);
    if (!node->op)
        return -1;
    inputs[0] = n->x;
    inputs[1] = n->scale;
    inputs[2] = n->shift;
    node->inputs = inputs;
    node->input_count = 3;
    node->node.op_type = node->op->name;
    node->node.attribute_count = 0;
    return graph_set_attribute(graph, node, &epsilon, err);
}

int graph_fuse_layer_norms(struct graph *graph, struct err *err) {
    for (int i = 0; i < graph->node_count; i++) {
        struct graph_node *node = graph->nodes[i];
        struct layer_norm n = {0};
        if (strcmp(node->node.op_type, "Add") == 0 && is_layer_norm(node, &n) &&
            become_layer_norm(graph, node, &n, err) < 0)
            return graph_error(graph, node, err);
    }
    graph_tidy(graph);
    return 0;
}
