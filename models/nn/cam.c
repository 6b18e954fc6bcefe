#include "models/nn/cam.h"

#include <stdlib.h>
#include <string.h>

static const struct graph_node *writer(const struct value *value,
                                       const char *op_type) {
    const struct graph_node *node = value->producer;
    return node && strcmp(node->node.op_type, op_type) == 0 ? node : NULL;
}

/* Flatten, Reshape, Squeeze ... change no number. */
static const struct value *behind_views(const struct value *value) {
    while (value->producer && (value->producer->op->traits & OP_VIEW) &&
           value->producer->inputs[0])
        value = value->producer->inputs[0];
    return value;
}

static bool is_matrix(const struct value *value) {
    return value->t.data && value->t.type == NN_FLOAT32 && value->t.rank == 2 &&
           value->t.dims[0] <= INT32_MAX && value->t.dims[1] <= INT32_MAX;
}

/* ---- the linear layer --------------------------------------------------- */

/* Copies weights that lie (channels, classes), or in the file, or that are
 * scaled. */
static int take_weights(struct cam *cam, const struct tensor *w,
                        bool channels_first, float alpha, struct err *err) {
    cam->channels = (int)w->dims[channels_first ? 0 : 1];
    cam->classes = (int)w->dims[channels_first ? 1 : 0];
    if (!channels_first && alpha == 1.0f && !w->in_file) {
        cam->weights = w->data;
        return 0;
    }
    size_t classes = (size_t)cam->classes, channels = (size_t)cam->channels;
    cam->copy = malloc((classes * channels + 1) * sizeof *cam->copy);
    if (!cam->copy)
        return err_set(err, "no memory for the weights of activation maps");
    for (size_t k = 0; k < classes; k++)
        for (size_t c = 0; c < channels; c++)
            cam->copy[k * channels + c] =
                alpha * tensor_float(w->data, channels_first
                                                  ? c * classes + k
                                                  : k * channels + c);
    cam->weights = cam->copy;
    return 0;
}

/* Convolution of a map of one pixel by a 1x1 kernel. */
static bool is_linear_conv(const struct graph_node *node) {
    const struct tensor *x = &node->inputs[0]->t, *w = &node->inputs[1]->t;
    return w->data && w->type == NN_FLOAT32 && w->rank == 4 &&
           w->dims[2] == 1 && w->dims[3] == 1 && x->rank == 4 &&
           x->dims[2] == 1 && x->dims[3] == 1 &&
           node_int(&node->node, "group", 1) == 1 && w->dims[0] <= INT32_MAX &&
           w->dims[1] <= INT32_MAX;
}

/* Behind the bias that is added to a MatMul; what adds two branches is no
 * linear layer. */
static const struct value *behind_bias(const struct value *value) {
    const struct graph_node *node = writer(value, "Add");
    if (!node || !node->inputs[0]->t.data == !node->inputs[1]->t.data)
        return value;
    return node->inputs[node->inputs[0]->t.data ? 1 : 0];
}

/* What the linear layer that writes `value` reads; NULL: there is none. */
static const struct value *linear_input(struct cam *cam,
                                        const struct value *value, int *rc,
                                        struct err *err) {
    const struct graph_node *node;
    value = behind_bias(value);
    if ((node = writer(value, "Gemm")) && is_matrix(node->inputs[1]) &&
        node_int(&node->node, "transA", 0) == 0)
        *rc = take_weights(cam, &node->inputs[1]->t,
                           node_int(&node->node, "transB", 0) == 0,
                           node_float(&node->node, "alpha", 1.0f), err);
    else if ((node = writer(value, "MatMul")) && is_matrix(node->inputs[1]))
        *rc = take_weights(cam, &node->inputs[1]->t, true, 1.0f, err);
    else if ((node = writer(value, "Conv")) && is_linear_conv(node))
        *rc = take_weights(cam, &node->inputs[1]->t, false, 1.0f, err);
    else
        return NULL;
    return node->inputs[0];
}

/* ---- the pooling -------------------------------------------------------- */

static bool pools_everything(const struct graph_node *node,
                             const struct tensor *x) {
    const int64_t *kernel;
    const struct tensor *y = &node->outputs[0]->t;
    return node_ints(&node->node, "kernel_shape", &kernel) == 2 &&
           y->rank == 4 && y->dims[2] == 1 && y->dims[3] == 1 &&
           kernel[0] == x->dims[2] && kernel[1] == x->dims[3];
}

static bool is_global_average(const struct graph_node *node) {
    const struct tensor *x = &node->inputs[0]->t;
    if (x->rank != 4)
        return false;
    if (strcmp(node->node.op_type, "GlobalAveragePool") == 0)
        return true;
    if (strcmp(node->node.op_type, "ReduceMean") == 0)
        return graph_averages_pixels(node);
    return strcmp(node->node.op_type, "AveragePool") == 0 &&
           pools_everything(node, x);
}

/* ---- the end ------------------------------------------------------------ */

/* Whether a node gives what it reads, rounded or cut off at most. */
static bool keeps_numbers(const struct graph_node *node) {
    static const char *const types[] = {"Cast", "Clip", "QuantizeLinear",
                                        "DequantizeLinear"};
    bool keeps = node->op->traits & OP_VIEW;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        keeps = keeps || strcmp(node->node.op_type, types[i]) == 0;
    return keeps || (strcmp(node->node.op_type, "Concat") == 0 &&
                     node->input_count == 1);
}

static const struct value *last_computed(const struct value *value) {
    while (value->producer && keeps_numbers(value->producer) &&
           value->producer->inputs[0])
        value = value->producer->inputs[0];
    return value;
}

enum nn_ending cam_ending(const struct graph *graph, int output) {
    const struct value *value = last_computed(graph->output_values[output]);
    return writer(value, "Softmax")   ? NN_ENDS_IN_SOFTMAX
           : writer(value, "Sigmoid") ? NN_ENDS_IN_SIGMOID
                                      : NN_ENDS_OTHERWISE;
}

static int find_tail(struct cam *cam, const struct graph *graph, int output,
                     struct err *err) {
    const struct value *value = behind_views(graph->output_values[output]);
    int rc = 0;

    *cam = (struct cam){.output = output};
    if (cam_ending(graph, output) != NN_ENDS_OTHERWISE) {
        value = last_computed(value);
        value = behind_views(value->producer->inputs[0]);
    }
    value = linear_input(cam, value, &rc, err);
    if (!value || rc < 0)
        return rc;
    value = behind_views(value);
    const struct graph_node *node = value->producer;
    if (node && node->input_count > 0 && is_global_average(node) &&
        node->inputs[0]->t.dims[1] == cam->channels &&
        !node->inputs[0]->t.data) {
        cam->features = node->inputs[0];
        cam->pooled = value;
    }
    return 0;
}

int cam_find(struct cam *cam, const struct graph *graph, struct err *err) {
    int rc = 0;
    *cam = (struct cam){0};
    for (int i = 0; i < graph->output_count && rc == 0 && !cam->features; i++) {
        cam_free(cam);
        rc = find_tail(cam, graph, i, err);
    }
    return rc;
}

void cam_free(struct cam *cam) {
    free(cam->copy);
    *cam = (struct cam){0};
}
