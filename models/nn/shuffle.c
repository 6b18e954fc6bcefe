/*
 * The channel shuffle of ShuffleNet (Zhang et al. 2018, arXiv 1707.01083) is
 * written as three nodes: (N, groups * k, H, W) seen as (N, groups, k, H, W),
 * groups and k transposed, and seen as four dimensions again. Here it is one,
 * which also runs channels last.
 */
#include "models/nn/graph.h"

#include <string.h>

/* ---- the operator ------------------------------------------------------- */

static int infer(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    int64_t groups = node_int(call->node, "groups", 1);
    if (x->type != NN_FLOAT32 || x->rank != 4 || x->dims[1] % groups != 0) {
        char text[128];
        return err_set(err, "%lld groups of channels cannot be shuffled in %s",
                       (long long)groups, tensor_text(x, text, sizeof text));
    }
    return op_output(call, 0, x->type, x->rank, x->dims, err);
}

/* Channel g * k + i becomes i * groups + g. Channels last; with the number of
 * groups known to the compiler, it shuffles vectors. */
static inline __attribute__((always_inline)) void
interleave(const float *restrict x, float *restrict y, size_t groups,
           size_t k) {
    for (size_t i = 0; i < k; i++)
        for (size_t g = 0; g < groups; g++)
            y[i * groups + g] = x[g * k + i];
}

static void shuffle_pixel(const float *x, float *y, size_t groups, size_t k) {
    switch (groups) {
    case 2:
        interleave(x, y, 2, k);
        break;
    case 3:
        interleave(x, y, 3, k);
        break;
    case 4:
        interleave(x, y, 4, k);
        break;
    case 8:
        interleave(x, y, 8, k);
        break;
    default:
        interleave(x, y, groups, k);
    }
}

/* The same of whole planes. */
static void shuffle_planes(const float *x, float *y, size_t groups, size_t k,
                           size_t pixels) {
    for (size_t i = 0; i < k; i++)
        for (size_t g = 0; g < groups; g++, y += pixels)
            memcpy(y, x + (g * k + i) * pixels, pixels * sizeof *y);
}

static void run(struct op_call *call) {
    const struct tensor *x = call->inputs[0];
    size_t groups = (size_t)node_int(call->node, "groups", 1);
    size_t images = (size_t)x->dims[0], k = (size_t)x->dims[1] / groups;
    size_t pixels = (size_t)(x->dims[2] * x->dims[3]);
    const float *from = x->data;
    float *to = call->outputs[0].data;

    /* The output has the layout of the input: there is no other to follow. */
    if (x->layout == LAYOUT_CHANNELS_LAST)
        for (size_t i = 0; i < images * pixels; i++)
            shuffle_pixel(from + i * groups * k, to + i * groups * k, groups,
                          k);
    else
        for (size_t n = 0; n < images; n++)
            shuffle_planes(from + n * groups * k * pixels,
                           to + n * groups * k * pixels, groups, k, pixels);
}

static const struct op channel_shuffle = {
    .name = "ChannelShuffle",
    .since = 1,
    .inputs_min = 1,
    .inputs_max = 1,
    .outputs_max = 1,
    .traits = OP_ANY_LAYOUT | OP_IMAGES_APART,
    .infer = infer,
    .run = run,
};

/* ---- finding it --------------------------------------------------------- */

static bool sizes_are_fixed(const struct graph *graph) {
    for (int i = 0; i < graph->input_count; i++)
        for (int k = 1; k < graph->inputs[i].rank; k++)
            if (graph->inputs[i].dims[k] < 0)
                return false;
    return true;
}

/* Groups that the three nodes up to `node` shuffle; 0: they do not. */
static int64_t shuffled_groups(const struct graph_node *node,
                               struct value **x) {
    static const int64_t swapped[] = {0, 2, 1, 3, 4};
    const struct graph_node *turn, *split;
    const int64_t *perm;
    if (strcmp(node->node.op_type, "Reshape") != 0 ||
        !(turn = graph_producer(graph_input(node, 0), "Transpose")) ||
        !(split = graph_producer(graph_input(turn, 0), "Reshape")) ||
        node_ints(&turn->node, "perm", &perm) != 5 ||
        memcmp(perm, swapped, sizeof swapped) != 0)
        return 0;
    *x = graph_input(split, 0);
    const struct tensor *in = &(*x)->t, *five = &split->outputs[0]->t;
    if (in->rank != 4 || in->type != NN_FLOAT32 || five->rank != 5 ||
        !tensor_same_shape(in, &node->outputs[0]->t) ||
        five->dims[0] != in->dims[0] || five->dims[3] != in->dims[2] ||
        five->dims[4] != in->dims[3] || five->dims[1] < 1)
        return 0;
    return five->dims[1];
}

int graph_fuse_shuffles(struct graph *graph, struct err *err) {
    for (int i = 0; i < graph->node_count && sizes_are_fixed(graph); i++) {
        struct graph_node *node = graph->nodes[i];
        struct value *x;
        struct attribute groups = {.name = "groups", .kind = ATTRIBUTE_INT};
        groups.i = shuffled_groups(node, &x);
        if (groups.i == 0)
            continue;
        node->op = &channel_shuffle;
        node->node.op_type = channel_shuffle.name;
        node->node.attribute_count = 0;
        node->inputs[0] = x;
        node->input_count = 1;
        if (graph_set_attribute(graph, node, &groups, err) < 0)
            return -1;
    }
    graph_tidy(graph);
    return 0;
}
