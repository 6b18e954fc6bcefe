/* Steps over bytes: convolutions and products by constant weights (qconv.h),
 * and the ways from floats to bytes, back, and to bytes of another scale. */
#include "models/nn/conv_layer.h"
#include "models/nn/number.h"
#include "models/nn/plan.h"
#include "models/nn/qconv.h"
#include "models/nn/vmath.h"

#include <stdlib.h>
#include <string.h>

static bool is(const struct graph_node *node, const char *op_type) {
    return strcmp(node->node.op_type, op_type) == 0;
}

/* Input i, where it is a constant. */
static const struct tensor *constant(const struct graph_node *node, int i) {
    const struct value *value =
        i >= 0 && i < node->input_count ? node->inputs[i] : NULL;
    return value && value->t.data ? &value->t : NULL;
}

static bool is_left_out(const struct graph_node *node, int i) {
    return i < 0 || i >= node->input_count || !node->inputs[i];
}

static bool is_byte(const struct tensor *t) {
    return type_in(t->type, TYPES_BYTE);
}

/* ---- convolutions and products ------------------------------------------- */

/* Everything but x is a constant, and but its zero point where only sums are
 * asked for. */
static const struct byte_operands *operands(const struct graph_node *node,
                                            const char *op_type,
                                            const struct tensor *values) {
    if (!is(node, op_type))
        return NULL;
    const struct byte_operands *o = node->op->kernel;
    const int others[] = {o->y_zero < 0 ? -1 : o->x_zero,
                          o->w_zero,
                          o->x_scale,
                          o->w_scale,
                          o->y_scale,
                          o->y_zero,
                          o->bias};
    if (!constant(node, o->w) || !is_byte(&values[node->inputs[o->x]->index]))
        return NULL;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (!is_left_out(node, others[i]) && !constant(node, others[i]))
            return NULL;
    return o;
}

static double number_of(const struct graph_node *node, int input, size_t i) {
    const struct tensor *t = constant(node, input);
    return t ? number_at(t, tensor_count(t) > 1 ? i : 0) : 0;
}

/* Numbers by channel of what qconv_open() takes. */
static void read_channels(const struct graph_node *node,
                          const struct byte_operands *o, size_t count,
                          int *zeros, float *scales) {
    for (size_t i = 0; i < count; i++) {
        zeros[i] = (int)number_of(node, o->w_zero, i);
        if (o->y_scale >= 0)
            scales[i] = (float)number_of(node, o->x_scale, 0) *
                        (float)number_of(node, o->w_scale, i) /
                        (float)number_of(node, o->y_scale, 0);
    }
}

static int open_kernel(struct step *step, const struct byte_operands *o,
                       const struct conv_shape *shape, enum nn_type x,
                       const void *weights, int64_t batch, struct err *err) {
    const struct graph_node *node = step->node;
    const struct tensor *bias = constant(node, o->bias);
    const size_t count = (size_t)shape->channels_out;
    int *zeros = malloc(count * sizeof *zeros);
    float *scales = malloc(count * sizeof *scales);
    struct qconv *q = NULL;

    if (zeros && scales) {
        read_channels(node, o, count, zeros, scales);
        struct qconv_numbers n = {.x = x,
                                  .w = constant(node, o->w)->type,
                                  .w_zeros = zeros,
                                  .bias = bias ? bias->data : NULL,
                                  .scales = o->y_scale < 0 ? NULL : scales};
        if (o->y_zero >= 0)
            n.y = byte_range(constant(node, o->y_zero)->type,
                             (int)number_of(node, o->y_zero, 0));
        q = qconv_open(shape, &n, weights, (int)batch, err);
    } else {
        err_set(err, "no memory for the scales of %zu channels", count);
    }
    free(zeros);
    free(scales);
    if (!q)
        return -1;
    step->kernel = q;
    step->kernel_bytes = qconv_memory(q);
    step->scratch = qconv_scratch(q);
    return 0;
}

static void close_kernel(void *kernel) {
    qconv_close(kernel);
}

static const char *algorithm(const struct step *step) {
    return step->kernel ? qconv_algorithm(step->kernel) : "";
}

/* The zero point of x is a constant, or the result of a step before. */
static int zero_now(const struct step *step, const struct tensor *tensors) {
    const struct byte_operands *o = step->node->op->kernel;
    if (constant(step->node, o->x_zero))
        return (int)number_of(step->node, o->x_zero, 0);
    if (o->x_zero >= step->input_count || step->inputs[o->x_zero] < 0)
        return 0;
    return (int)number_at(&tensors[step->inputs[o->x_zero]], 0);
}

static void run(const struct step *step, int batch, struct tensor *tensors,
                void *scratch) {
    qconv_run(step->kernel, batch, tensors[step->inputs[0]].data,
              zero_now(step, tensors), tensors[step->outputs[0]].data, scratch);
}

static bool fits_conv(const struct graph_node *node,
                      const struct byte_operands *o,
                      const struct tensor *values) {
    struct conv_shape shape;
    return o && conv_layer_shape(node, &values[node->inputs[o->x]->index],
                                 constant(node, o->w), &shape);
}

static bool takes_conv_linear(const struct graph_node *node,
                              const struct tensor *values) {
    return fits_conv(node, operands(node, "QLinearConv", values), values);
}

static bool takes_conv_integer(const struct graph_node *node,
                               const struct tensor *values) {
    return fits_conv(node, operands(node, "ConvInteger", values), values);
}

static int open_conv(struct step *step, const struct tensor *tensors,
                     struct err *err) {
    const struct byte_operands *o = step->node->op->kernel;
    const struct tensor *x = &tensors[step->inputs[o->x]];
    const struct tensor *w = constant(step->node, o->w);
    struct conv_shape shape;
    if (!conv_layer_shape(step->node, x, w, &shape))
        return err_set(err, "is no convolution of two dimensions");
    shape.out_pitch = (int)tensors[step->outputs[0]].pitch;
    return open_kernel(step, o, &shape, x->type, w->data, x->dims[0], err);
}

static void run_conv(const struct step *step, struct tensor *tensors,
                     void *scratch) {
    run(step, (int)tensors[step->inputs[0]].dims[0], tensors, scratch);
}

static double conv_step_flops(const struct step *step,
                              const struct tensor *tensors) {
    const struct byte_operands *o = step->node->op->kernel;
    const struct tensor *w = constant(step->node, o->w);
    return 2.0 * (double)tensor_count(&tensors[step->outputs[0]]) *
           (double)dims_count(w->dims + 1, w->rank - 1);
}

static bool fits_matmul(const struct graph_node *node,
                        const struct byte_operands *o,
                        const struct tensor *values) {
    if (!o)
        return false;
    const struct tensor *x = &values[node->inputs[o->x]->index];
    const struct tensor *w = constant(node, o->w);
    return w->rank == 2 && w->dims[0] > 0 && w->dims[1] > 0 &&
           w->dims[0] <= INT32_MAX && w->dims[1] <= INT32_MAX &&
           linear_layer_takes(x, w->dims[0]);
}

static bool takes_matmul_linear(const struct graph_node *node,
                                const struct tensor *values) {
    return fits_matmul(node, operands(node, "QLinearMatMul", values), values);
}

static bool takes_matmul_integer(const struct graph_node *node,
                                 const struct tensor *values) {
    return fits_matmul(node, operands(node, "MatMulInteger", values), values);
}

static int open_matmul(struct step *step, const struct tensor *tensors,
                       struct err *err) {
    const struct byte_operands *o = step->node->op->kernel;
    const struct tensor *x = &tensors[step->inputs[o->x]];
    const struct tensor *w = constant(step->node, o->w);
    const size_t in = (size_t)w->dims[0], out = (size_t)w->dims[1];
    const uint8_t *weights = w->data; /* (inputs, outputs) */
    const struct conv_shape shape = linear_layer_shape(w->dims[0], w->dims[1]);
    uint8_t *turned = malloc(in * out);
    if (!turned)
        return err_set(err, "no memory for a layer's weights");
    for (size_t m = 0; m < out; m++)
        for (size_t k = 0; k < in; k++)
            turned[m * in + k] = weights[k * out + m];
    const int rc = open_kernel(step, o, &shape, x->type, turned,
                               linear_layer_rows(x), err);
    free(turned);
    return rc;
}

static void run_matmul(const struct step *step, struct tensor *tensors,
                       void *scratch) {
    run(step, (int)linear_layer_rows(&tensors[step->inputs[0]]), tensors,
        scratch);
}

static double matmul_flops(const struct step *step,
                           const struct tensor *tensors) {
    const struct byte_operands *o = step->node->op->kernel;
    return 2.0 * (double)tensor_count(&tensors[step->outputs[0]]) *
           (double)constant(step->node, o->w)->dims[0];
}

/* ---- number by number ---------------------------------------------------- */

/* One scale, and one zero point, which are constants. */
static bool is_whole(const struct graph_node *node) {
    const struct tensor *scale = constant(node, 1), *zero = constant(node, 2);
    return scale && tensor_count(scale) == 1 &&
           (zero ? tensor_count(zero) == 1 : is_left_out(node, 2));
}

static bool takes_quantise(const struct graph_node *node,
                           const struct tensor *values) {
    (void)values;
    return is(node, "QuantizeLinear") && is_whole(node);
}

static bool takes_dequantise(const struct graph_node *node,
                             const struct tensor *values) {
    return is(node, "DequantizeLinear") && is_whole(node) &&
           is_byte(&values[node->inputs[0]->index]);
}

static struct byte_range range_of(const struct step *step,
                                  const struct tensor *bytes) {
    return byte_range(bytes->type, (int)number_of(step->node, 2, 0));
}

static void run_quantise(const struct step *step, struct tensor *tensors,
                         void *scratch) {
    const struct tensor *x = &tensors[step->inputs[0]];
    const struct tensor *y = &tensors[step->outputs[0]];
    const struct byte_range range = range_of(step, y);
    vmath_quantise(x->data, (float)number_of(step->node, 1, 0), &range, y->data,
                   tensor_count(x));
    (void)scratch;
}

static void run_dequantise(const struct step *step, struct tensor *tensors,
                           void *scratch) {
    const struct tensor *x = &tensors[step->inputs[0]];
    const struct byte_range range = range_of(step, x);
    vmath_dequantise(x->data, &range, (float)number_of(step->node, 1, 0),
                     tensors[step->outputs[0]].data, tensor_count(x));
    (void)scratch;
}

static bool takes_rescale(const struct graph_node *node,
                          const struct tensor *values) {
    (void)values;
    return is(node, "QLinearRescale");
}

/* Row by row, where it is a part of a concatenation. */
static void run_rescale(const struct step *step, struct tensor *tensors,
                        void *scratch) {
    const struct tensor *x = &tensors[step->inputs[0]];
    const struct tensor *y = &tensors[step->outputs[0]];
    const struct tensor *const inputs[] = {
        x, constant(step->node, 1), constant(step->node, 2),
        constant(step->node, 3), constant(step->node, 4)};
    const struct byte_rescale by = byte_rescale_of(inputs);
    const size_t count = tensor_count(x);
    const size_t row = y->pitch ? (size_t)y->dims[1] : count;
    const size_t pitch = y->pitch ? (size_t)y->pitch : count;
    const char *from = x->data;
    char *to = y->data;
    (void)scratch;
    for (const char *end = from + count; from < end; from += row, to += pitch)
        vmath_rescale(&by, from, to, row);
}

/* ---- the kinds ----------------------------------------------------------- */

static const struct step_kind conv_linear = {.name = "quantised conv",
                                             .layout = WANTS_CHANNELS_LAST,
                                             .inputs = 1,
                                             .pitched_output = true,
                                             .takes = takes_conv_linear,
                                             .open = open_conv,
                                             .close = close_kernel,
                                             .run = run_conv,
                                             .algorithm = algorithm,
                                             .flops = conv_step_flops};

static const struct step_kind conv_integer = {.name = "integer conv",
                                              .layout = WANTS_CHANNELS_LAST,
                                              .inputs = -1,
                                              .takes = takes_conv_integer,
                                              .open = open_conv,
                                              .close = close_kernel,
                                              .run = run_conv,
                                              .algorithm = algorithm,
                                              .flops = conv_step_flops};

static const struct step_kind matmul_linear = {.name = "quantised matmul",
                                               .layout = WANTS_PLAIN,
                                               .inputs = 1,
                                               .takes = takes_matmul_linear,
                                               .open = open_matmul,
                                               .close = close_kernel,
                                               .run = run_matmul,
                                               .algorithm = algorithm,
                                               .flops = matmul_flops};

static const struct step_kind matmul_integer = {.name = "integer matmul",
                                                .layout = WANTS_PLAIN,
                                                .inputs = -1,
                                                .takes = takes_matmul_integer,
                                                .open = open_matmul,
                                                .close = close_kernel,
                                                .run = run_matmul,
                                                .algorithm = algorithm,
                                                .flops = matmul_flops};

static const struct step_kind quantise = {.name = "quantise",
                                          .layout = WANTS_ANY,
                                          .inputs = 1,
                                          .takes = takes_quantise,
                                          .run = run_quantise,
                                          .flops = step_output_flops};

static const struct step_kind dequantise = {.name = "dequantise",
                                            .layout = WANTS_ANY,
                                            .inputs = 1,
                                            .takes = takes_dequantise,
                                            .run = run_dequantise,
                                            .flops = step_output_flops};

static const struct step_kind rescale = {.name = "rescale",
                                         .layout = WANTS_ANY,
                                         .inputs = 1,
                                         .images_apart = true,
                                         .pitched_output = true,
                                         .takes = takes_rescale,
                                         .run = run_rescale,
                                         .flops = step_output_flops};

const struct step_kind *const step_kinds_quantised[] = {
    &conv_linear, &conv_integer, &matmul_linear, &matmul_integer,
    &quantise,    &dequantise,   &rescale,       NULL};
