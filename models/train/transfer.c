#include "models/train/transfer.h"

#include "common/file.h"
#include "models/classifier/preprocess.h"
#include "models/nn/graph.h"
#include "models/nn/onnx.h"
#include "models/train/augment.h"
#include "models/train/model_folder.h"

#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSON_MAX ((size_t)16 << 20)

/* ---- the folder ---------------------------------------------------------- */

static void *read_part(const char *folder, const char *name, size_t most,
                       size_t *size, struct err *err) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    void *bytes = file_read(path, most, size, err);
    if (!bytes)
        err_prefix(err, "cannot start from %s", folder);
    return bytes;
}

static int read_config(struct transfer *model, const char *folder,
                       struct err *err) {
    size_t size;
    char *text = read_part(folder, "config.json", JSON_MAX, &size, err);
    if (!text)
        return -1;
    json_t *root = json_loadb(text, size, 0, NULL);
    const char *type = json_string_value(json_object_get(root, "model_type"));
    json_t *training = json_object_get(root, "training");
    json_t *width = json_object_get(training, "width");
    json_t *temperature = json_object_get(training, "temperature");
    int rc = 0;
    model->temperature =
        json_is_number(temperature) ? json_number_value(temperature) : 1;
    if (type && json_is_number(width)) {
        snprintf(model->architecture, sizeof model->architecture, "%s", type);
        model->width = json_number_value(width);
    } else {
        rc = err_set(err,
                     "cannot start from %s: its config.json does not tell of a "
                     "training by convoy-model train; name another model after "
                     "--from, or start from nothing with --scratch",
                     folder);
    }
    int classes = (int)json_object_size(json_object_get(root, "id2label"));
    bool found;
    if (rc == 0 && classes > 0)
        rc = labels_read_config(&model->labels, text, size, folder, classes,
                                &found, err);
    json_decref(root);
    free(text);
    return rc;
}

/* Features know pixels as they were normalised when they were learned. */
static int check_pixels(const struct transfer *model, const char *folder,
                        struct err *err) {
    const struct nn_port *in = &model->graph->inputs[0];
    struct preprocess p;
    size_t size;
    if (model->graph->input_count != 1 || in->rank != 4)
        return err_set(err, "cannot start from %s: its input is no image",
                       folder);
    char *text =
        read_part(folder, "preprocessor_config.json", JSON_MAX, &size, err);
    if (!text)
        return -1;
    int rc = preprocess_read(&p, text, size, folder, (int)in->dims[3],
                             (int)in->dims[2], err);
    free(text);
    for (int c = 0; rc == 0 && c < 3; c++)
        if (fabs(p.mean[c] - (double)augment_cifar10.mean[c]) > 1e-4 ||
            fabs(p.std[c] - (double)augment_cifar10.deviation[c]) > 1e-4)
            rc = err_set(err,
                         "cannot start from %s: it was trained on pixels "
                         "normalised in another way",
                         folder);
    return rc;
}

int transfer_open(struct transfer *model, const char *folder, struct err *err) {
    char name[NAME_MAX + 1];
    size_t size;
    *model = (struct transfer){0};
    model_folder_name(folder, name);
    snprintf(model->name, sizeof model->name, "%s", name);
    if (read_config(model, folder, err) < 0)
        goto fail;
    void *onnx = read_part(folder, "model.onnx", ONNX_BYTES_MAX, &size, err);
    if (!onnx)
        goto fail;
    model->graph = onnx_parse(onnx, size, err);
    free(onnx);
    if (model->graph && check_pixels(model, folder, err) == 0)
        return 0;
fail:
    transfer_close(model);
    return -1;
}

void transfer_close(struct transfer *model) {
    labels_free(&model->labels);
    graph_free(model->graph);
    model->graph = NULL;
}

bool transfer_has_classes(const struct transfer *model,
                          const char *const *names, int classes) {
    bool same = names && model->labels.count == classes;
    for (int i = 0; same && i < classes; i++)
        same = strcmp(names[i], model->labels.text[i]) == 0;
    return same;
}

/* ---- its weights --------------------------------------------------------- */

/* The next node of a kind of the file from node *at on, or NULL. */
static const struct graph_node *next_node(const struct graph *graph,
                                          const char *op_type, int *at) {
    while (*at < graph->node_count) {
        const struct graph_node *node = graph->nodes[(*at)++];
        if (node->op && strcmp(node->node.op_type, op_type) == 0)
            return node;
    }
    return NULL;
}

static bool fits(const struct graph_node *node, const struct layer *l) {
    if (node->input_count < 2 || !graph_is_constant(node->inputs[1]))
        return false;
    const struct tensor *t = &node->inputs[1]->t;
    return t->type == NN_FLOAT32 && t->rank == 4 &&
           t->dims[0] == l->out.channels && t->dims[1] == l->in.channels &&
           t->dims[2] == l->spec.kernel && t->dims[3] == l->spec.kernel;
}

/* (K, C, KH, KW) -> (KH, KW, C, K) */
static void read_kernel(const float *from, struct layer *l) {
    int c = l->in.channels, k = l->out.channels;
    int taps = l->spec.kernel * l->spec.kernel;
    float *w = l->params[0].value;
    for (int o = 0; o < k; o++)
        for (int i = 0; i < c; i++)
            for (int tap = 0; tap < taps; tap++)
                w[(tap * c + i) * k + o] = *from++;
}

/* Where the convolution's constant goes to: its own bias, or the shift of the
 * normalisation that the exporter folded into it. */
static struct layer *bias_owner(struct network *net, int conv) {
    int next = conv + 1;
    while (next < net->layers_count && net->layers[next].kind == &layer_maxpool)
        next++;
    if (next < net->layers_count && net->layers[next].kind == &layer_batchnorm)
        return &net->layers[next];
    return &net->layers[conv];
}

static void read_bias(const struct graph_node *node, struct layer *owner) {
    struct param *bias = layer_param(owner, "bias");
    struct param *mean = layer_param(owner, "mean");
    struct param *variance = layer_param(owner, "variance");
    const struct value *value = node->input_count > 2 ? node->inputs[2] : NULL;
    const float *from =
        value && graph_is_constant(value) &&
                tensor_count(&value->t) == (size_t)owner->out.channels
            ? value->t.data
            : NULL;
    for (int i = 0; i < owner->out.channels; i++) {
        if (bias)
            bias->value[i] = from ? from[i] : 0;
        if (mean)
            mean->value[i] = 0;
        if (variance)
            variance->value[i] = (float)(1 - BATCHNORM_EPSILON);
    }
}

int transfer_load(const struct transfer *model, struct network *net,
                  struct err *err) {
    int at = 0;
    for (int i = 0; i < net->layers_count; i++) {
        struct layer *l = &net->layers[i];
        if (l->kind != &layer_conv)
            continue;
        const struct graph_node *node = next_node(model->graph, "Conv", &at);
        if (!node || !fits(node, l))
            return err_set(err,
                           "%s: %s does not fit layer %d, a convolution of "
                           "%dx%d from %d to %d channels",
                           model->name, node ? graph_label(node) : "nothing", i,
                           l->spec.kernel, l->spec.kernel, l->in.channels,
                           l->out.channels);
        read_kernel(node->inputs[1]->t.data, l);
        read_bias(node, bias_owner(net, i));
    }
    return 0;
}

/* As export.c writes it: (K, C*H*W), scaled, divided by the temperature. */
int transfer_load_head(const struct transfer *model, struct network *net,
                       struct err *err) {
    struct layer *l = &net->layers[net->layers_count - 1];
    int c = l->in.channels, k = l->out.channels, at = 0;
    int pixels = l->in.height * l->in.width;
    const struct graph_node *node = next_node(model->graph, "Gemm", &at);
    const struct tensor *t =
        node && node->input_count > 1 && graph_is_constant(node->inputs[1])
            ? &node->inputs[1]->t
            : NULL;
    if (!t || t->type != NN_FLOAT32 || t->rank != 2 || t->dims[0] != k ||
        t->dims[1] != c * pixels)
        return err_set(err, "%s: its last layer does not fit", model->name);
    const float *from = t->data;
    float scale = (float)(model->temperature / (double)l->spec.scale);
    for (int o = 0; o < k; o++)
        for (int i = 0; i < c; i++)
            for (int p = 0; p < pixels; p++)
                l->params[0].value[(p * c + i) * k + o] = scale * *from++;
    return 0;
}

void transfer_adapt(struct network *net, int n) {
    for (int i = 0; i < net->layers_count; i++) {
        struct layer *l = &net->layers[i];
        if (l->kind != &layer_batchnorm)
            continue;
        /* Momentum 0: the running statistics are those of this batch. */
        float momentum = l->spec.momentum;
        l->spec.momentum = 0;
        network_measure(net, n);
        l->spec.momentum = momentum;
        struct param *bias = layer_param(l, "bias");
        const struct param *mean = layer_param(l, "mean");
        for (int c = 0; c < l->in.channels; c++)
            bias->value[c] += mean->value[c];
    }
}
