#include "models/nn/graph.h"

#include <string.h>

static bool is(const struct graph_node *node, const char *op_type) {
    return strcmp(node->node.op_type, op_type) == 0;
}

/* ---- nodes that do nothing ---------------------------------------------- */

/* Its row refuses what drops numbers. */
static bool keeps_everything(const struct graph *graph,
                             const struct graph_node *dropout) {
    struct op_call call;
    if (dropout->output_count > 1 && dropout->outputs[1]->uses > 0)
        return false;
    graph_call(graph, dropout, NULL, &call);
    return call.inputs[0]->rank >= 0 && dropout->op->infer(&call, NULL) == 0;
}

/* The pads of a Pad, (before..., after...): an attribute up to opset 10, a
 * constant input since. 0 where they are not known. */
static int known_pads(const struct graph_node *node, const int64_t **pads) {
    const struct value *input = graph_input(node, 1);
    if (!input)
        return node_ints(&node->node, "pads", pads);
    if (!input->t.data || input->t.type != NN_INT64 || input->t.rank != 1)
        return 0;
    *pads = input->t.data;
    return (int)tensor_count(&input->t);
}

static bool pads_nothing(const struct graph_node *node) {
    const int64_t *pads;
    int count = known_pads(node, &pads);
    for (int i = 0; i < count; i++)
        if (pads[i] != 0)
            return false;
    return count > 0;
}

static bool casts_to_same_type(const struct graph_node *node) {
    const struct value *x = graph_input(node, 0);
    return x->t.rank >= 0 &&
           node_int(&node->node, "to", 0) == (int64_t)x->t.type;
}

static bool does_nothing(const struct graph *graph,
                         const struct graph_node *node) {
    return is(node, "Identity") ||
           (is(node, "Dropout") && keeps_everything(graph, node)) ||
           (is(node, "Pad") && pads_nothing(node)) ||
           (is(node, "Cast") && casts_to_same_type(node));
}

/* ---- Transpose behind Transpose ----------------------------------------- */

static int merge_transposes(struct graph *graph, struct graph_node *node,
                            struct err *err) {
    struct value *x = graph_input(node, 0);
    struct graph_node *first = x->producer;
    const int64_t *p, *q;
    int64_t perm[NN_MAX_RANK];
    bool identity = true;

    if (!is(node, "Transpose") || !first || !first->op ||
        !is(first, "Transpose"))
        return 0;
    int rank = node_ints(&first->node, "perm", &p);
    if (rank == 0 || rank > NN_MAX_RANK ||
        node_ints(&node->node, "perm", &q) != rank)
        return 0;
    for (int i = 0; i < rank; i++) {
        if (q[i] < 0 || q[i] >= rank || p[q[i]] < 0 || p[q[i]] >= rank)
            return 0; /* infer() says what is wrong */
        perm[i] = p[q[i]];
        identity = identity && perm[i] == i;
    }
    if (identity) {
        graph_forward(node, graph_input(first, 0));
        return 0;
    }
    struct attribute merged = {
        .name = "perm", .kind = ATTRIBUTE_INTS, .count = rank};
    int64_t *ints = graph_alloc(graph, sizeof perm, err);
    if (!ints)
        return -1;
    memcpy(ints, perm, sizeof perm);
    merged.ints = ints;
    node->inputs[0] = graph_input(first, 0);
    return graph_set_attribute(graph, node, &merged, err);
}

/* ---- axes of reductions ------------------------------------------------- */

/* Constant axes become the attribute that they were until opset 17 (12 for
 * ReduceSum): passes and kernels look there. */
static int name_axes(struct graph *graph, struct graph_node *node,
                     struct err *err) {
    const struct value *axes = graph_input(node, 1);
    if (strncmp(node->node.op_type, "Reduce", 6) != 0 || !axes ||
        !axes->t.data || axes->t.type != NN_INT64 || axes->t.rank != 1 ||
        axes->t.dims[0] < 1 || axes->t.dims[0] > NN_MAX_RANK)
        return 0;
    struct attribute attribute = {
        .name = "axes", .kind = ATTRIBUTE_INTS, .count = (int)axes->t.dims[0]};
    int64_t *ints = graph_alloc(graph, tensor_bytes(&axes->t), err);
    if (!ints)
        return -1;
    memcpy(ints, axes->t.data, tensor_bytes(&axes->t));
    attribute.ints = ints;
    node->input_count = 1;
    return graph_set_attribute(graph, node, &attribute, err);
}

/* ---- Transpose before a reduction --------------------------------------- */

/* The axes of x that the reduction behind that Transpose takes; false where
 * those that stay come in another order than in x, or the others stay as 1. */
static bool axes_before(const struct graph_node *reduce, const int64_t *perm,
                        int rank, bool reduced[NN_MAX_RANK]) {
    bool behind[NN_MAX_RANK] = {false};
    const int64_t *axes;
    int64_t last = -1;
    int count = node_ints(&reduce->node, "axes", &axes);

    if (count == 0 || node_int(&reduce->node, "keepdims", 1) != 0)
        return false;
    for (int i = 0; i < count; i++) {
        int axis;
        if (op_axis(axes[i], rank, &axis, NULL) < 0)
            return false;
        behind[axis] = true;
    }
    for (int i = 0; i < rank; i++) {
        if (perm[i] < 0 || perm[i] >= rank || (!behind[i] && perm[i] < last))
            return false;
        reduced[perm[i]] = behind[i];
        last = behind[i] ? last : perm[i];
    }
    return true;
}

/* The mean of pixels that lie together is the mean of maps: networks written
 * for channels last end in it. */
static int reduce_first(struct graph *graph, struct graph_node *node,
                        struct err *err) {
    const struct graph_node *turn = graph_input(node, 0)->producer;
    bool reduced[NN_MAX_RANK] = {false};
    const int64_t *perm;

    if ((!is(node, "ReduceMean") && !is(node, "ReduceMax")) || !turn ||
        !turn->op || !is(turn, "Transpose"))
        return 0;
    int rank = node_ints(&turn->node, "perm", &perm);
    if (rank > NN_MAX_RANK || !axes_before(node, perm, rank, reduced))
        return 0;
    struct attribute axes = {.name = "axes", .kind = ATTRIBUTE_INTS};
    int64_t *ints = graph_alloc(graph, NN_MAX_RANK * sizeof *ints, err);
    if (!ints)
        return -1;
    for (int i = 0; i < rank; i++)
        if (reduced[i])
            ints[axes.count++] = i;
    axes.ints = ints;
    node->inputs[0] = graph_input(turn, 0);
    return graph_set_attribute(graph, node, &axes, err);
}

/* ---- Pad into Conv ------------------------------------------------------ */

static bool pads_spatial_zeros(const struct graph_node *pad,
                               const int64_t **pads) {
    float value = node_float(&pad->node, "value", 0.0f);
    if (strcmp(node_string(&pad->node, "mode", "constant"), "constant") != 0 ||
        graph_input(pad, 3) ||
        (graph_input(pad, 2) && !graph_scalar(graph_input(pad, 2), &value)) ||
        value != 0.0f || known_pads(pad, pads) != 8)
        return false;
    for (int i = 0; i < 8; i++) {
        bool spatial = i % 4 >= 2;
        if ((*pads)[i] < 0 || (*pads)[i] > INT32_MAX ||
            (!spatial && (*pads)[i] != 0))
            return false;
    }
    return true;
}

static int merge_pad(struct graph *graph, struct graph_node *conv,
                     struct err *err) {
    struct graph_node *pad = graph_input(conv, 0)->producer;
    const char *auto_pad = node_string(&conv->node, "auto_pad", "NOTSET");
    const int64_t *before, *own;

    if (!is(conv, "Conv") || !pad || !pad->op || !is(pad, "Pad") ||
        !pads_spatial_zeros(pad, &before))
        return 0;
    int own_count = node_ints(&conv->node, "pads", &own);
    bool valid = strcmp(auto_pad, "VALID") == 0;
    if ((!valid && strcmp(auto_pad, "NOTSET") != 0) ||
        (own_count != 0 && own_count != 4))
        return 0;
    int64_t *sum = graph_alloc(graph, 4 * sizeof *sum, err);
    if (!sum)
        return -1;
    const int64_t added[4] = {before[2], before[3], before[6], before[7]};
    for (int i = 0; i < 4; i++) {
        int64_t from = own_count && !valid ? own[i] : 0;
        if (from < 0 || from > INT32_MAX)
            return 0;
        sum[i] = from + added[i];
    }
    conv->inputs[0] = graph_input(pad, 0);
    const struct attribute pads = {
        .name = "pads", .kind = ATTRIBUTE_INTS, .ints = sum, .count = 4};
    const struct attribute explicit = {
        .name = "auto_pad", .kind = ATTRIBUTE_STRING, .s = "NOTSET"};
    if (graph_set_attribute(graph, conv, &pads, err) < 0)
        return -1;
    return graph_set_attribute(graph, conv, &explicit, err);
}

int graph_simplify(struct graph *graph, struct err *err) {
    for (int i = 0; i < graph->node_count; i++) {
        struct graph_node *node = graph->nodes[i];
        if (node->input_count == 0 || !node->inputs[0])
            continue;
        if (does_nothing(graph, node))
            graph_forward(node, graph_input(node, 0));
        else if (merge_transposes(graph, node, err) < 0 ||
                 name_axes(graph, node, err) < 0 ||
                 reduce_first(graph, node, err) < 0 ||
                 merge_pad(graph, node, err) < 0)
            return graph_error(graph, node, err);
    }
    graph_tidy(graph);
    return 0;
}
