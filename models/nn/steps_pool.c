/* Steps that pool: over windows, and over whole maps. */
#include "models/nn/number.h"
#include "models/nn/plan.h"
#include "models/nn/pool.h"
#include "models/nn/quantised.h"
#include "models/nn/window.h"

#include <stdlib.h>
#include <string.h>

static bool is(const struct graph_node *node, const char *op_type) {
    return strcmp(node->node.op_type, op_type) == 0;
}

/* ---- over windows ------------------------------------------------------- */

static bool pool_shape(const struct graph_node *node, const struct tensor *x,
                       struct pool_shape *shape) {
    struct op_call call = {.op = node->op, .node = &node->node, .inputs = {x}};
    struct window w;
    const bool max = is(node, "MaxPool");
    if ((!max && !is(node, "AveragePool")) || node->output_count != 1 ||
        (x->type != NN_FLOAT32 && !(max && type_in(x->type, TYPES_BYTE))) ||
        x->rank != 4 || x->dims[0] < 1 || x->dims[0] > INT32_MAX ||
        x->dims[1] < 1 || x->dims[1] > INT32_MAX ||
        window_of(&call, NULL, &w, NULL) < 0)
        return false;
    *shape = (struct pool_shape){
        .channels = (int)x->dims[1],
        .height = (int)x->dims[2],
        .width = (int)x->dims[3],
        .kernel = {(int)w.kernel[0], (int)w.kernel[1]},
        .stride = {(int)w.stride[0], (int)w.stride[1]},
        .dilation = {(int)w.dilation[0], (int)w.dilation[1]},
        .pad_top = (int)w.before[0],
        .pad_left = (int)w.before[1],
        .pad_bottom = (int)w.after[0],
        .pad_right = (int)w.after[1],
        .out_height = (int)w.out[0],
        .out_width = (int)w.out[1],
        .count_include_pad = node_int(&node->node, "count_include_pad", 0) != 0,
    };
    return true;
}

static bool takes_window(const struct graph_node *node,
                         const struct tensor *values) {
    struct pool_shape shape;
    return pool_shape(node, &values[node->inputs[0]->index], &shape);
}

static int open_window(struct step *step, const struct tensor *tensors,
                       struct err *err) {
    struct pool_shape *shape = malloc(sizeof *shape);
    if (!shape)
        return err_set(err, "no memory for a pooling step");
    step->kernel = shape;
    step->kernel_bytes = sizeof *shape;
    if (!pool_shape(step->node, &tensors[step->inputs[0]], shape))
        return err_set(err, "is no pooling of two dimensions");
    return 0;
}

static bool covers_everything(const struct pool_shape *s) {
    return s->out_height == 1 && s->out_width == 1 &&
           s->kernel[0] == s->height && s->kernel[1] == s->width &&
           s->dilation[0] == 1 && s->dilation[1] == 1 && s->pad_top == 0 &&
           s->pad_left == 0;
}

static void run_window(const struct step *step, struct tensor *tensors,
                       void *scratch) {
    const struct pool_shape *s = step->kernel;
    const struct tensor *x = &tensors[step->inputs[0]];
    void *y = tensors[step->outputs[0]].data;
    int batch = (int)x->dims[0];
    (void)scratch;
    if (x->type != NN_FLOAT32)
        pool_max_bytes(s, batch, x->type == NN_INT8, x->data, y);
    else if (is(step->node, "MaxPool"))
        pool_max(s, batch, x->data, y);
    else if (covers_everything(s))
        pool_global_average(batch, s->height * s->width, s->channels, x->data,
                            y);
    else
        pool_average(s, batch, x->data, y);
}

static double window_flops(const struct step *step,
                           const struct tensor *tensors) {
    struct pool_shape s;
    if (!pool_shape(step->node, &tensors[step->inputs[0]], &s))
        return 0;
    return (double)tensor_count(&tensors[step->outputs[0]]) * s.kernel[0] *
           s.kernel[1];
}

/* ---- over whole maps ---------------------------------------------------- */

static bool takes_global(const struct graph_node *node,
                         const struct tensor *values) {
    const struct tensor *x = node->input_count > 0 && node->inputs[0]
                                 ? &values[node->inputs[0]->index]
                                 : NULL;
    bool whole = is(node, "GlobalAveragePool") || is(node, "GlobalMaxPool") ||
                 graph_averages_pixels(node);
    return whole && x && x->type == NN_FLOAT32 && x->rank == 4 &&
           tensor_count(x) > 0 && tensor_count(x) <= INT32_MAX;
}

static void run_global(const struct step *step, struct tensor *tensors,
                       void *scratch) {
    const struct tensor *x = &tensors[step->inputs[0]];
    (is(step->node, "GlobalMaxPool") ? pool_global_max : pool_global_average)(
        (int)x->dims[0], (int)(x->dims[2] * x->dims[3]), (int)x->dims[1],
        x->data, tensors[step->outputs[0]].data);
    (void)scratch;
}

static double global_flops(const struct step *step,
                           const struct tensor *tensors) {
    return (double)tensor_count(&tensors[step->inputs[0]]);
}

static const struct step_kind window = {.name = "pool",
                                        .layout = WANTS_CHANNELS_LAST,
                                        .inputs = 1,
                                        .per_image = true,
                                        .images_apart = true,
                                        .takes = takes_window,
                                        .open = open_window,
                                        .close = free,
                                        .run = run_window,
                                        .flops = window_flops};

static const struct step_kind global = {.name = "global pool",
                                        .layout = WANTS_CHANNELS_LAST,
                                        .inputs = 1,
                                        .images_apart = true,
                                        .takes = takes_global,
                                        .run = run_global,
                                        .flops = global_flops};

const struct step_kind *const step_kinds_pool[] = {&window, &global, NULL};
