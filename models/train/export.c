#include "models/train/export.h"

#include "models/train/onnx_writer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME 48

struct exporter {
    struct onnx_writer *writer;
    const struct network *net;
    double temperature;
    int layer;             /* that is being written */
    int number;            /* of its kind, from 1; names have it */
    char tensor[NAME];     /* what the next node reads */
    char (*outputs)[NAME]; /* by layer: the tensor that it wrote */
    bool gelu_known;       /* its constants are there */
    bool *folded;          /* by layer: went into an earlier one */
};

/* "conv3.weight": a tensor or node of the layer that is being written. */
static const char *part_name(const struct exporter *e, const char *part,
                             char name[NAME]) {
    const char *kind = e->net->layers[e->layer].kind->name;
    snprintf(name, NAME, "%s%d%s%s", kind, e->number, *part ? "." : "", part);
    return name;
}

/* A node that reads the current tensor, and `weights` of them after it. */
static void add_node(struct exporter *e, const char *op, const char *part,
                     const char *const *more) {
    const char *inputs[6] = {e->tensor};
    char name[NAME], output[NAME];
    for (int i = 0; more && more[i] && i < 4; i++)
        inputs[i + 1] = more[i];
    part_name(e, part, name);
    snprintf(output, NAME, "%s.out", name);
    bool last = e->layer == e->net->layers_count - 1 && *part == 0;
    const char *written = last ? EXPORT_OUTPUT : output;
    onnx_writer_node(e->writer, op, name, inputs, written);
    snprintf(e->tensor, NAME, "%s", written);
}

static void add_pair(struct exporter *e, const char *attribute, int value) {
    onnx_writer_ints(e->writer, attribute, 2, (int64_t[]){value, value});
}

/* ---- convolution --------------------------------------------------------- */

/* The batch normalisation that can be folded into the convolution at layer i,
 * or NULL. */
static struct layer *find_norm(const struct exporter *e, int i, int *where) {
    const struct network *net = e->net;
    int next = i + 1;
    while (next < net->layers_count && net->layers[next].kind == &layer_maxpool)
        next++;
    if (next == net->layers_count || net->layers[next].kind != &layer_batchnorm)
        return NULL;
    *where = next;
    return &net->layers[next];
}

/* y = factor * x + offset of output channel k; `norm` may be NULL. */
static double norm_factor(struct layer *norm, int k) {
    if (!norm)
        return 1;
    double variance = (double)layer_param(norm, "variance")->value[k];
    return 1 / sqrt(variance + BATCHNORM_EPSILON);
}

static double folded_bias(struct layer *conv, struct layer *norm, int k) {
    const struct param *bias = layer_param(conv, "bias");
    double value = bias ? (double)bias->value[k] : 0;
    if (!norm)
        return value;
    double mean = (double)layer_param(norm, "mean")->value[k];
    double shift = (double)layer_param(norm, "bias")->value[k];
    return (value - mean) * norm_factor(norm, k) + shift;
}

/* (KH, KW, C, K) -> (K, C, KH, KW), each output channel times its factor. */
static void write_kernel(struct layer *l, struct layer *norm, float *out) {
    int c = l->in.channels, k = l->out.channels;
    int taps = l->spec.kernel * l->spec.kernel;
    const float *w = l->params[0].value;
    for (int o = 0; o < k; o++) {
        double factor = norm_factor(norm, o);
        for (int i = 0; i < c; i++)
            for (int tap = 0; tap < taps; tap++)
                *out++ = (float)(factor * (double)w[(tap * c + i) * k + o]);
    }
}

static void write_conv(struct exporter *e, struct layer *l) {
    char weight[NAME], bias[NAME];
    int k = l->out.channels, size = l->spec.kernel, pad = l->spec.padding;
    int at = 0;
    struct layer *norm = find_norm(e, e->layer, &at);
    bool has_bias = norm || layer_param(l, "bias");

    float *kernel =
        onnx_writer_weights(e->writer, part_name(e, "weight", weight), 4,
                            (int64_t[]){k, l->in.channels, size, size});
    if (kernel)
        write_kernel(l, norm, kernel);
    if (has_bias) {
        float *values = onnx_writer_weights(
            e->writer, part_name(e, "bias", bias), 1, (int64_t[]){k});
        for (int i = 0; values && i < k; i++)
            values[i] = (float)folded_bias(l, norm, i);
    }
    if (norm)
        e->folded[at] = true;
    add_node(e, "Conv", "",
             (const char *[]){weight, has_bias ? bias : NULL, NULL});
    add_pair(e, "kernel_shape", size);
    add_pair(e, "strides", l->spec.stride);
    onnx_writer_ints(e->writer, "pads", 4, (int64_t[]){pad, pad, pad, pad});
}

/* ---- the others ---------------------------------------------------------- */

static void write_batchnorm(struct exporter *e, struct layer *l) {
    static const char *const parts[] = {"scale", "bias", "mean", "variance"};
    char names[4][NAME];
    int64_t channels = l->in.channels;
    for (int p = 0; p < 4; p++) {
        float *to = onnx_writer_weights(
            e->writer, part_name(e, parts[p], names[p]), 1, &channels);
        const struct param *from = layer_param(l, parts[p]);
        for (int i = 0; to && i < l->in.channels; i++)
            to[i] = from ? from->value[i] : 1;
    }
    add_node(e, "BatchNormalization", "",
             (const char *[]){names[0], names[1], names[2], names[3], NULL});
    onnx_writer_float(e->writer, "epsilon", (float)BATCHNORM_EPSILON);
}

static void add_constant(struct exporter *e, const char *name, double value) {
    float *to = onnx_writer_weights(e->writer, name, 0, (int64_t[]){1});
    if (to)
        *to = (float)value;
}

static void write_gelu(struct exporter *e, struct layer *l) {
    char input[NAME];
    (void)l;
    if (!e->gelu_known) {
        add_constant(e, "sqrt2", sqrt(2));
        add_constant(e, "one", 1);
        add_constant(e, "half", 0.5);
        e->gelu_known = true;
    }
    memcpy(input, e->tensor, NAME);
    add_node(e, "Div", "scaled", (const char *[]){"sqrt2", NULL});
    add_node(e, "Erf", "erf", NULL);
    add_node(e, "Add", "add", (const char *[]){"one", NULL});
    add_node(e, "Mul", "mul", (const char *[]){input, NULL});
    add_node(e, "Mul", "", (const char *[]){"half", NULL});
}

static void write_maxpool(struct exporter *e, struct layer *l) {
    add_node(e, "MaxPool", "", NULL);
    add_pair(e, "kernel_shape", l->spec.kernel);
    add_pair(e, "strides", l->spec.stride);
}

static void write_global_average(struct exporter *e, struct layer *l) {
    (void)l;
    add_node(e, "GlobalAveragePool", "", NULL);
}

static void write_residual(struct exporter *e, struct layer *l) {
    const char *shortcut = e->outputs[e->layer - l->spec.shortcut];
    add_node(e, "Add", "", (const char *[]){shortcut, NULL});
}

/* (H*W*C, K) -> (K, C*H*W): ONNX flattens channels first. */
static void write_matrix(const struct layer *l, float scale, float *out) {
    int c = l->in.channels, k = l->out.channels;
    int pixels = l->in.height * l->in.width;
    const float *w = l->params[0].value;
    for (int o = 0; o < k; o++)
        for (int i = 0; i < c; i++)
            for (int p = 0; p < pixels; p++)
                *out++ = scale * w[(p * c + i) * k + o];
}

static void write_linear(struct exporter *e, struct layer *l) {
    char weight[NAME], name[NAME];
    int64_t k = l->out.channels;
    const struct param *bias = layer_param(l, "bias");
    bool last = e->layer == e->net->layers_count - 1;
    float scale = (float)((double)l->spec.scale / (last ? e->temperature : 1));

    float *matrix =
        onnx_writer_weights(e->writer, part_name(e, "weight", weight), 2,
                            (int64_t[]){k, (int64_t)shape_size(l->in)});
    if (matrix)
        write_matrix(l, scale, matrix);
    float *values =
        onnx_writer_weights(e->writer, part_name(e, "bias", name), 1, &k);
    for (int i = 0; values && i < k; i++)
        values[i] = bias ? scale * bias->value[i] : 0;
    add_node(e, "Flatten", "flat", NULL);
    onnx_writer_int(e->writer, "axis", 1);
    add_node(e, "Gemm", "", (const char *[]){weight, name, NULL});
    onnx_writer_int(e->writer, "transB", 1);
}

/* ---- the network --------------------------------------------------------- */

static const struct row {
    const struct layer_kind *kind;
    void (*write)(struct exporter *e, struct layer *l);
} rows[] = {
    {&layer_conv, write_conv},
    {&layer_batchnorm, write_batchnorm},
    {&layer_gelu, write_gelu},
    {&layer_maxpool, write_maxpool},
    {&layer_residual, write_residual},
    {&layer_linear, write_linear},
    {&layer_global_average, write_global_average},
};

#define ROWS ((int)(sizeof rows / sizeof *rows))

static int find_row(const struct layer *l, struct err *err) {
    for (int i = 0; i < ROWS; i++)
        if (rows[i].kind == l->kind)
            return i;
    return err_set(err, "a layer of kind %s cannot be written as ONNX",
                   l->kind->name);
}

static int write_layers(struct exporter *e, struct err *err) {
    int numbers[ROWS] = {0};
    for (int i = 0; i < e->net->layers_count; i++) {
        struct layer *l = &e->net->layers[i];
        int row = find_row(l, err);
        if (row < 0)
            return -1;
        e->layer = i;
        e->number = ++numbers[row];
        if (!e->folded[i])
            rows[row].write(e, l);
        memcpy(e->outputs[i], e->tensor, NAME);
    }
    return 0;
}

void *export_onnx(const struct network *net, const char *graph,
                  double temperature, size_t *size, struct err *err) {
    struct exporter e = {
        .net = net, .temperature = temperature, .tensor = EXPORT_INPUT};
    void *bytes = NULL;

    if (net->layers[net->layers_count - 1].kind != &layer_linear) {
        err_set(err, "a network to be exported has to end in a linear layer");
        return NULL;
    }
    e.folded = calloc((size_t)net->layers_count, sizeof *e.folded);
    e.outputs = calloc((size_t)net->layers_count, sizeof *e.outputs);
    e.writer = onnx_writer_open(graph, err);
    if (!e.folded || !e.outputs || !e.writer) {
        err_set(err, "no memory to export %d layers", net->layers_count);
        goto fail;
    }
    onnx_writer_input(e.writer, EXPORT_INPUT, 4,
                      (int64_t[]){-1, net->input.channels, net->input.height,
                                  net->input.width});
    if (write_layers(&e, err) < 0)
        goto fail;
    onnx_writer_output(e.writer, EXPORT_OUTPUT, 2,
                       (int64_t[]){-1, net->output.channels});
    bytes = onnx_writer_pack(e.writer, size, err);
fail:
    onnx_writer_close(e.writer);
    free(e.folded);
    free(e.outputs);
    return bytes;
}
