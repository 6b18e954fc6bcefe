/*
 * network: small ONNX files made in memory, and what they should compute.
 *
 *     struct network net = {.opset = 13};
 *     network_input(&net, "x", 4, (int64_t[]){-1, 3, 8, 8});
 *     network_random(&net, "w", 4, (int64_t[]){8, 3, 3, 3});
 *     struct wire *conv = network_node(&net, "Conv", "x,w", "y");
 *     give_ints(conv, "pads", 4, (int64_t[]){1, 1, 1, 1});
 *     network_output(&net, "y");
 *     struct wire file = network_file(&net);       frees what net holds
 *     ... file.data, file.size ...
 *     wire_free(&file);
 *
 * The file is written byte by byte as protobuf has it, so that nothing of the
 * reader under test takes part. network_reference() computes the graph node by
 * node with the operators' rows, which ONNX's own tests check: no pass, no
 * plan, no kernel.
 */
#ifndef CONVOY_TESTS_NETWORK_H
#define CONVOY_TESTS_NETWORK_H

#include "models/nn/onnx.h"
#include "models/nn/shapes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NETWORK_NODES_MAX 256

/* ---- protobuf ----------------------------------------------------------- */

struct wire {
    unsigned char *data;
    size_t size;
};

static inline void wire_free(struct wire *w) {
    free(w->data);
    *w = (struct wire){0};
}

static inline void wire_append(struct wire *w, const void *data, size_t size) {
    w->data = realloc(w->data, w->size + size + 1);
    if (size > 0)
        memcpy(w->data + w->size, data, size);
    w->size += size;
}

static inline void wire_number(struct wire *w, uint64_t n) {
    do {
        unsigned char byte =
            (unsigned char)((n & 0x7f) | (n > 0x7f ? 0x80 : 0));
        wire_append(w, &byte, 1);
    } while (n >>= 7);
}

static inline void wire_varint(struct wire *w, int field, int64_t n) {
    wire_number(w, (uint64_t)field << 3);
    wire_number(w, (uint64_t)n);
}

static inline void wire_bytes(struct wire *w, int field, const void *data,
                              size_t size) {
    wire_number(w, (uint64_t)field << 3 | 2);
    wire_number(w, size);
    wire_append(w, data, size);
}

static inline void wire_text(struct wire *w, int field, const char *text) {
    wire_bytes(w, field, text, strlen(text));
}

static inline void wire_float(struct wire *w, int field, float f) {
    wire_number(w, (uint64_t)field << 3 | 5);
    wire_append(w, &f, sizeof f);
}

/* Writes the message and frees it. */
static inline void wire_message(struct wire *w, int field,
                                struct wire *message) {
    wire_bytes(w, field, message->data, message->size);
    wire_free(message);
}

/* ---- networks ----------------------------------------------------------- */

struct network {
    int64_t opset;
    struct wire nodes[NETWORK_NODES_MAX];
    int node_count;
    struct wire rest; /* of the GraphProto: initialisers, inputs, outputs */
    uint32_t seed;
};

/* -1..1, the same on every machine. */
static inline float network_noise(uint32_t *seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return (float)(*seed >> 8) / (float)(1 << 23) - 1.0f;
}

static inline void network_port(struct network *net, int field,
                                const char *name, int type, int rank,
                                const int64_t *dims) {
    struct wire shape = {0}, tensor = {0}, any = {0}, port = {0};
    for (int i = 0; i < rank; i++) {
        struct wire dim = {0};
        if (dims[i] >= 0)
            wire_varint(&dim, 1, dims[i]);
        else
            wire_text(&dim, 2, "N");
        wire_message(&shape, 1, &dim);
    }
    wire_varint(&tensor, 1, type);
    wire_message(&tensor, 2, &shape);
    wire_message(&any, 1, &tensor);
    wire_text(&port, 1, name);
    wire_message(&port, 2, &any);
    wire_message(&net->rest, field, &port);
}

static inline void network_input(struct network *net, const char *name,
                                 int rank, const int64_t *dims) {
    network_port(net, 11, name, 1, rank, dims);
}

static inline void network_output(struct network *net, const char *name) {
    struct wire port = {0};
    wire_text(&port, 1, name);
    wire_message(&net->rest, 12, &port);
}

static inline struct wire network_tensor(const char *name, int type, int rank,
                                         const int64_t *dims) {
    struct wire t = {0};
    for (int i = 0; i < rank; i++)
        wire_varint(&t, 1, dims[i]);
    wire_varint(&t, 2, type);
    wire_text(&t, 8, name);
    return t;
}

static inline void network_floats(struct network *net, const char *name,
                                  int rank, const int64_t *dims,
                                  const float *numbers) {
    struct wire t = network_tensor(name, 1, rank, dims);
    wire_bytes(&t, 9, numbers, dims_count(dims, rank) * sizeof *numbers);
    wire_message(&net->rest, 5, &t);
}

static inline void network_scalar(struct network *net, const char *name,
                                  float number) {
    network_floats(net, name, 0, NULL, &number);
}

static inline void network_integers(struct network *net, const char *name,
                                    int count, const int64_t *numbers) {
    struct wire t = network_tensor(name, 7, 1, (int64_t[]){count});
    wire_bytes(&t, 9, numbers, (size_t)count * sizeof *numbers);
    wire_message(&net->rest, 5, &t);
}

/* Numbers of low..high, as of a normal layer. */
static inline void network_between(struct network *net, const char *name,
                                   float low, float high, int rank,
                                   const int64_t *dims) {
    size_t count = dims_count(dims, rank);
    float *numbers = malloc((count + 1) * sizeof *numbers);
    for (size_t i = 0; i < count; i++)
        numbers[i] =
            low + (high - low) * (network_noise(&net->seed) + 1.0f) / 2.0f;
    network_floats(net, name, rank, dims, numbers);
    free(numbers);
}

static inline void network_random(struct network *net, const char *name,
                                  int rank, const int64_t *dims) {
    network_between(net, name, -0.5f, 0.5f, rank, dims);
}

/* Names are separated by commas; an empty one is left out. */
static inline void wire_names(struct wire *w, int field, const char *names) {
    for (const char *end; *names; names = *end ? end + 1 : end) {
        end = strchrnul(names, ',');
        wire_bytes(w, field, names, (size_t)(end - names));
    }
}

/* Attribute `name` of a node is a graph of one node op_type(input), which gives
 * `out`. */
static inline void network_branch(struct wire *node, const char *name,
                                  const char *op_type, const char *input,
                                  const char *out) {
    struct wire a = {0}, graph = {0}, inner = {0}, port = {0};
    wire_names(&inner, 1, input);
    wire_names(&inner, 2, out);
    wire_text(&inner, 4, op_type);
    wire_message(&graph, 1, &inner);
    wire_text(&port, 1, out);
    wire_message(&graph, 12, &port);
    wire_text(&a, 1, name);
    wire_message(&a, 6, &graph);
    wire_varint(&a, 20, 5);
    wire_message(node, 5, &a);
}

/* Valid until network_file(). */
static inline struct wire *network_node(struct network *net,
                                        const char *op_type, const char *inputs,
                                        const char *outputs) {
    struct wire *node = &net->nodes[net->node_count++];
    wire_names(node, 1, inputs);
    wire_names(node, 2, outputs);
    wire_text(node, 4, op_type);
    return node;
}

static inline void give_ints(struct wire *node, const char *name, int count,
                             const int64_t *ints) {
    struct wire a = {0};
    wire_text(&a, 1, name);
    for (int i = 0; i < count; i++)
        wire_varint(&a, 8, ints[i]);
    wire_varint(&a, 20, 7);
    wire_message(node, 5, &a);
}

static inline void give_integer(struct wire *node, const char *name,
                                int64_t i) {
    struct wire a = {0};
    wire_text(&a, 1, name);
    wire_varint(&a, 3, i);
    wire_varint(&a, 20, 2);
    wire_message(node, 5, &a);
}

static inline void give_number(struct wire *node, const char *name, float f) {
    struct wire a = {0};
    wire_text(&a, 1, name);
    wire_float(&a, 2, f);
    wire_varint(&a, 20, 1);
    wire_message(node, 5, &a);
}

static inline void give_text(struct wire *node, const char *name,
                             const char *text) {
    struct wire a = {0};
    wire_text(&a, 1, name);
    wire_text(&a, 4, text);
    wire_varint(&a, 20, 3);
    wire_message(node, 5, &a);
}

static inline struct wire network_file(struct network *net) {
    struct wire graph = {0}, opset = {0}, file = {0};
    for (int i = 0; i < net->node_count; i++)
        wire_message(&graph, 1, &net->nodes[i]);
    wire_append(&graph, net->rest.data, net->rest.size);
    wire_free(&net->rest);
    wire_varint(&opset, 2, net->opset);
    wire_varint(&file, 1, 7);
    wire_text(&file, 2, "test");
    wire_message(&file, 7, &graph);
    wire_message(&file, 8, &opset);
    net->node_count = 0;
    return file;
}

/* ---- layers ------------------------------------------------------------- */

/* Conv of `name` with random weights (name.w), padded to keep the size. */
static inline struct wire *network_conv(struct network *net, const char *in,
                                        const char *out, int from, int to,
                                        int kernel, bool bias) {
    char inputs[128], weights[64], biases[64];
    int64_t pad = kernel / 2;
    snprintf(weights, sizeof weights, "%s.w", out);
    snprintf(biases, sizeof biases, "%s.b", out);
    snprintf(inputs, sizeof inputs, "%s,%s%s%s", in, weights, bias ? "," : "",
             bias ? biases : "");
    network_random(net, weights, 4, (int64_t[]){to, from, kernel, kernel});
    if (bias)
        network_random(net, biases, 1, (int64_t[]){to});
    struct wire *node = network_node(net, "Conv", inputs, out);
    give_ints(node, "pads", 4, (int64_t[]){pad, pad, pad, pad});
    return node;
}

static inline void network_batch_norm(struct network *net, const char *in,
                                      const char *out, int channels) {
    char names[4][64], inputs[256];
    for (int i = 0; i < 4; i++)
        snprintf(names[i], sizeof names[i], "%s.%d", out, i);
    network_between(net, names[0], 0.5f, 1.5f, 1, (int64_t[]){channels});
    network_random(net, names[1], 1, (int64_t[]){channels});
    network_random(net, names[2], 1, (int64_t[]){channels});
    network_between(net, names[3], 0.5f, 2.0f, 1, (int64_t[]){channels});
    snprintf(inputs, sizeof inputs, "%s,%s,%s,%s,%s", in, names[0], names[1],
             names[2], names[3]);
    network_node(net, "BatchNormalization", inputs, out);
}

/* ---- what they should compute ------------------------------------------- */

static inline int reference_node(const struct graph *graph,
                                 const struct graph_node *node,
                                 struct tensor *values, struct err *err) {
    struct op_call call;
    graph_call(graph, node, values, &call);
    if (node->op->infer(&call, err) < 0)
        return -1;
    for (int i = 0; i < call.output_count; i++) {
        struct tensor t = call.outputs[i];
        if (tensor_make(&call.outputs[i], t.type, t.rank, t.dims, err) < 0)
            return -1;
    }
    size_t scratch = node->op->scratch ? node->op->scratch(&call) : 0;
    call.scratch = aligned_alloc(TENSOR_ALIGN, (scratch + 127) / 64 * 64);
    node->op->run(&call);
    free(call.scratch);
    for (int i = 0; i < call.output_count; i++)
        values[node->outputs[i]->index] = call.outputs[i];
    return 0;
}

/* Output `i` for one float input of that shape; the caller frees the data. */
static inline int network_reference(const struct wire *file, int rank,
                                    const int64_t *dims, const float *x, int i,
                                    struct tensor *out, struct err *err) {
    struct graph *graph = onnx_parse(file->data, file->size, err);
    if (!graph)
        return -1;
    size_t count = (size_t)graph->value_count;
    struct tensor *values = calloc(count, sizeof *values);
    int rc = 0;
    for (size_t k = 0; k < count; k++)
        values[k] = graph->values[k]->t;
    struct tensor *input = &values[graph->input_values[0]->index];
    *input =
        (struct tensor){.type = NN_FLOAT32, .rank = rank, .data = (void *)x};
    memcpy(input->dims, dims, (size_t)rank * sizeof *dims);
    for (int k = 0; k < graph->node_count && rc == 0; k++)
        rc = reference_node(graph, graph->nodes[k], values, err);
    const struct tensor *result = &values[graph->output_values[i]->index];
    if (rc == 0 &&
        tensor_make(out, result->type, result->rank, result->dims, err) == 0)
        memcpy(out->data, result->data, tensor_bytes(result));
    for (int k = 0; k < graph->node_count; k++)
        for (int j = 0; j < graph->nodes[k]->output_count; j++)
            free(values[graph->nodes[k]->outputs[j]->index].data);
    free(values);
    graph_free(graph);
    return rc;
}

#endif
