/* Steps that multiply by constant weights: Conv, and Gemm and MatMul as 1x1
 * convolutions of 1x1 maps. */
#include "models/nn/conv_layer.h"
#include "models/nn/plan.h"

#include <stdlib.h>
#include <string.h>

static const struct tensor *constant_floats(const struct graph_node *node,
                                            int i) {
    const struct value *value = i < node->input_count ? node->inputs[i] : NULL;
    return value && value->t.data && value->t.type == NN_FLOAT32 ? &value->t
                                                                 : NULL;
}

/* Input 2 is left out, or `channels` constants. */
static bool bias_fits(const struct graph_node *node, int64_t channels) {
    const struct tensor *bias = constant_floats(node, 2);
    if (node->input_count < 3 || !node->inputs[2])
        return true;
    return bias && tensor_count(bias) == (size_t)channels &&
           (bias->rank == 1 || (bias->rank == 2 && bias->dims[0] == 1));
}

static int open_kernel(struct step *step, const struct conv_shape *shape,
                       const void *weights, bool in_file, int64_t batch,
                       struct err *err) {
    const struct tensor *bias = constant_floats(step->node, 2);
    struct conv_post post = {.bias = bias ? bias->data : NULL,
                             .residual = step->residual != NULL,
                             .activation = step->activation,
                             .weights_in_file = in_file};
    struct conv *conv = conv_open(shape, &post, weights, (int)batch, err);
    if (!conv)
        return -1;
    step->kernel = conv;
    step->kernel_bytes = conv_memory(conv);
    step->scratch = conv_scratch(conv);
    return 0;
}

static void close_kernel(void *kernel) {
    conv_close(kernel);
}

static const char *algorithm(const struct step *step) {
    return step->kernel ? conv_algorithm(step->kernel) : "";
}

static void run(const struct step *step, int batch, struct tensor *tensors,
                void *scratch) {
    conv_run(step->kernel, batch, tensors[step->inputs[0]].data,
             step->residual_slot < 0 ? NULL : tensors[step->residual_slot].data,
             tensors[step->outputs[0]].data, scratch);
}

/* ---- Conv --------------------------------------------------------------- */

static bool conv_shape(const struct graph_node *node, const struct tensor *x,
                       struct conv_shape *shape) {
    const struct tensor *w = constant_floats(node, 1);
    return strcmp(node->node.op_type, "Conv") == 0 && w &&
           x->type == NN_FLOAT32 && conv_layer_shape(node, x, w, shape) &&
           bias_fits(node, shape->channels_out);
}

static bool takes_conv(const struct graph_node *node,
                       const struct tensor *values) {
    struct conv_shape shape;
    return conv_shape(node, &values[node->inputs[0]->index], &shape);
}

static int open_conv(struct step *step, const struct tensor *tensors,
                     struct err *err) {
    const struct tensor *x = &tensors[step->inputs[0]];
    struct conv_shape shape;
    if (!conv_shape(step->node, x, &shape))
        return err_set(err, "is no convolution of two dimensions");
    shape.out_pitch = (int)tensors[step->outputs[0]].pitch;
    const struct tensor *w = constant_floats(step->node, 1);
    return open_kernel(step, &shape, w->data, w->in_file, x->dims[0], err);
}

static void run_conv(const struct step *step, struct tensor *tensors,
                     void *scratch) {
    run(step, (int)tensors[step->inputs[0]].dims[0], tensors, scratch);
}

static double conv_step_flops(const struct step *step,
                              const struct tensor *tensors) {
    const struct tensor *x = &tensors[step->inputs[0]];
    struct conv_shape shape;
    if (!conv_shape(step->node, x, &shape))
        return 0;
    return conv_flops(&shape) * (double)x->dims[0];
}

static double conv_step_seconds(const struct step *step,
                                const struct tensor *tensors) {
    const struct tensor *x = &tensors[step->inputs[0]];
    struct conv_shape shape;
    return conv_shape(step->node, x, &shape)
               ? conv_seconds(&shape, (int)x->dims[0])
               : 0;
}

/* ---- Gemm and MatMul ---------------------------------------------------- */

struct linear {
    const void *weights; /* (outputs, inputs), or (inputs, outputs) */
    bool in_file;
    bool inputs_first;
    int64_t inputs, outputs;
};

static bool linear_of(const struct graph_node *node, struct linear *l) {
    const struct node *n = &node->node;
    const struct tensor *w = constant_floats(node, 1);
    bool gemm = strcmp(n->op_type, "Gemm") == 0;
    if ((!gemm && strcmp(n->op_type, "MatMul") != 0) || !w || w->rank != 2 ||
        w->dims[0] < 1 || w->dims[1] < 1 || w->dims[0] > INT32_MAX ||
        w->dims[1] > INT32_MAX)
        return false;
    if (gemm && (node_int(n, "transA", 0) != 0 ||
                 node_float(n, "alpha", 1.0f) != 1.0f ||
                 node_float(n, "beta", 1.0f) != 1.0f))
        return false;
    l->inputs_first = !gemm || node_int(n, "transB", 0) == 0;
    l->weights = w->data;
    l->in_file = w->in_file;
    l->inputs = w->dims[l->inputs_first ? 0 : 1];
    l->outputs = w->dims[l->inputs_first ? 1 : 0];
    return bias_fits(node, l->outputs);
}

static bool takes_linear(const struct graph_node *node,
                         const struct tensor *values) {
    struct linear l;
    if (!linear_of(node, &l))
        return false;
    const struct tensor *x = &values[node->inputs[0]->index];
    return x->type == NN_FLOAT32 && linear_layer_takes(x, l.inputs);
}

/* Outputs that are turned together: a line of cache. */
#define LINE 16

/* (inputs, outputs) to (outputs, inputs); NULL: no memory. */
static float *turn(const struct linear *l) {
    const size_t bytes = (size_t)(l->inputs * l->outputs) * sizeof(float);
    float *turned = malloc(bytes);
    for (int64_t m = 0; turned && m < l->outputs; m += LINE)
        for (int64_t k = 0; k < l->inputs; k++)
            for (int64_t i = m; i < m + LINE && i < l->outputs; i++)
                turned[i * l->inputs + k] =
                    tensor_float(l->weights, (size_t)(k * l->outputs + i));
    if (l->in_file)
        tensor_give_back(l->weights, bytes);
    return turned;
}

static int open_linear(struct step *step, const struct tensor *tensors,
                       struct err *err) {
    struct linear l;
    float *turned = NULL;
    if (!linear_of(step->node, &l))
        return err_set(err, "is no multiplication by constant weights");
    if (l.inputs_first && !(turned = turn(&l)))
        return err_set(err, "no memory for a layer's weights");
    struct conv_shape shape = linear_layer_shape(l.inputs, l.outputs);
    int rc = open_kernel(step, &shape, turned ? turned : l.weights,
                         l.in_file && !turned,
                         linear_layer_rows(&tensors[step->inputs[0]]), err);
    free(turned);
    return rc;
}

static void run_linear(const struct step *step, struct tensor *tensors,
                       void *scratch) {
    run(step, (int)linear_layer_rows(&tensors[step->inputs[0]]), tensors,
        scratch);
}

static double linear_flops(const struct step *step,
                           const struct tensor *tensors) {
    struct linear l;
    if (!linear_of(step->node, &l))
        return 0;
    return 2.0 * (double)linear_layer_rows(&tensors[step->inputs[0]]) *
           (double)l.inputs * (double)l.outputs;
}

static double linear_seconds(const struct step *step,
                             const struct tensor *tensors) {
    struct linear l;
    if (!linear_of(step->node, &l))
        return 0;
    struct conv_shape shape = linear_layer_shape(l.inputs, l.outputs);
    return conv_seconds(&shape,
                        (int)linear_layer_rows(&tensors[step->inputs[0]]));
}

static const struct step_kind conv = {.name = "conv",
                                      .layout = WANTS_CHANNELS_LAST,
                                      .inputs = 1,
                                      .fuses_activation = true,
                                      .fuses_residual = true,
                                      .per_image = true,
                                      .images_apart = true,
                                      .pitched_output = true,
                                      .takes = takes_conv,
                                      .open = open_conv,
                                      .close = close_kernel,
                                      .run = run_conv,
                                      .algorithm = algorithm,
                                      .flops = conv_step_flops,
                                      .estimate = conv_step_seconds};

static const struct step_kind linear = {.name = "linear",
                                        .layout = WANTS_PLAIN,
                                        .inputs = 1,
                                        .fuses_activation = true,
                                        .fuses_residual = true,
                                        .images_apart = true,
                                        .takes = takes_linear,
                                        .open = open_linear,
                                        .close = close_kernel,
                                        .run = run_linear,
                                        .algorithm = algorithm,
                                        .flops = linear_flops,
                                        .estimate = linear_seconds};

const struct step_kind *const step_kinds_conv[] = {&conv, &linear, NULL};
