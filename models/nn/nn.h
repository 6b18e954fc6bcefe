/*
 * nn: the CNN engine. An ONNX file in, tensors through it, numbers out.
 *
 *     struct nn_model *model = nn_load("model.onnx", &err);
 *     struct nn_session *s = nn_session_open(model, &options, &err);
 *     memcpy(nn_session_input(s, 0), pixels, ...);      (n, 3, H, W) float32
 *     nn_session_run(s, n, &err);
 *     const float *scores = nn_session_output(s, 0);    (n, classes)
 *
 * A *model* is the parsed, checked and optimised graph with its weights: it is
 * read-only after loading, any number of threads and forked processes share
 * one. A *session* is a plan for that model: every buffer laid out once, for
 * one thread. Running allocates nothing.
 *
 * Both are freed by their owner, sessions before their model. Everything
 * returned by pointer belongs to the model or session that it came from.
 */
#ifndef CONVOY_NN_H
#define CONVOY_NN_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define NN_MAX_RANK 8

enum nn_type {
    NN_FLOAT32 = 1, /* the numbers of onnx.proto's TensorProto.DataType */
    NN_UINT8 = 2,
    NN_INT8 = 3,
    NN_UINT16 = 4,
    NN_INT16 = 5,
    NN_INT32 = 6,
    NN_INT64 = 7,
    NN_STRING = 8,
    NN_BOOL = 9,
    NN_FLOAT16 = 10,
    NN_FLOAT64 = 11,
};

/* An input or output as the file declares it. */
struct nn_port {
    const char *name;
    enum nn_type type;
    int rank;
    int64_t dims[NN_MAX_RANK]; /* -1 where the file leaves it open */
};

/* Loads and checks. An operator, attribute, type or opset that is not
 * supported is an error that names operator, node and opset; never a wrong
 * answer later. nn_load() maps the file and leaves the weights there: they are
 * in memory only while a session packs them, so sessions should all be opened
 * soon, and the file must not be written to meanwhile (replace it by renaming
 * another over it). nn_load_memory() copies what it needs.
 *
 * Numbers that the model keeps in files beside it (external data) are read from
 * its own folder alone, mapped and left there in the same way. For a model in
 * memory, nn_load_beside() is told the folder (NULL: none); nn_load_memory()
 * refuses such a model. */
struct nn_model *nn_load(const char *path, struct err *err);
struct nn_model *nn_load_memory(const void *onnx, size_t size, struct err *err);
struct nn_model *nn_load_beside(const void *onnx, size_t size,
                                const char *folder, struct err *err);
void nn_free(struct nn_model *model);

/* File i of external data, as it was read; false behind the last one. What
 * names a model by its bytes has to count these in. */
struct nn_data {
    const char *name; /* relative to the folder */
    const void *bytes;
    size_t size;
};
bool nn_data(const struct nn_model *model, int i, struct nn_data *data);

int nn_input_count(const struct nn_model *model);
int nn_output_count(const struct nn_model *model);
const struct nn_port *nn_input(const struct nn_model *model, int i);
const struct nn_port *nn_output(const struct nn_model *model, int i);

struct nn_options {
    int batch_max; /* dimension 0 of every input; 0: 1, or as the file says */
    /* Concrete shapes for inputs whose dims the file leaves open beyond the
     * batch; shapes[i] belongs to input i, rank 0 or NULL: as declared. */
    const struct nn_port *shapes;
};

/* Plans for every batch size 1..batch_max. A file that fixes its batch at
 * another size than asked for is an error that says so. */
struct nn_session *nn_session_open(const struct nn_model *model,
                                   const struct nn_options *options,
                                   struct err *err);
void nn_session_close(struct nn_session *session);

/* The buffer to fill for input i, as declared: float inputs (N, C, H, W). */
void *nn_session_input(struct nn_session *session, int i);

/* Runs the first `batch` entries. */
int nn_session_run(struct nn_session *session, int batch, struct err *err);

/* Valid until the next run. The port gives the shape of the last run. */
const void *nn_session_output(const struct nn_session *session, int i);
const struct nn_port *nn_session_output_port(const struct nn_session *session,
                                             int i);

size_t nn_session_memory(const struct nn_session *session); /* bytes */

/*
 * Class activation maps (Zhou et al. 2016, arXiv 1512.04150). Where the graph
 * ends in  features -> global average pooling -> linear [-> softmax],  the map
 * of class k at (y, x) is sum over c of weights[k, c] * features[c, y, x].
 * Returns false where the graph has no such tail.
 */
struct nn_cam {
    int output; /* of the model, that the tail ends in */
    int classes, channels, height, width;
    const float *weights; /* (classes, channels) */
    /* The features of image n of the last run, at data + n * stride_n + ... */
    const float *features;
    ptrdiff_t stride_n, stride_c, stride_h, stride_w; /* in floats */
};
bool nn_explainable(const struct nn_model *model);
bool nn_session_cam(const struct nn_session *session, struct nn_cam *cam);

/* What writes an output, but for what changes its shape or rounds it. */
enum nn_ending {
    NN_ENDS_OTHERWISE, /* logits, as a rule */
    NN_ENDS_IN_SOFTMAX,
    NN_ENDS_IN_SIGMOID,
};
enum nn_ending nn_output_ending(const struct nn_model *model, int output);

/* What `convoy-model inspect` and `bench` print. */
struct nn_summary {
    const char *producer;
    int64_t opset;
    int nodes;          /* in the file */
    int steps;          /* after folding and fusion */
    int64_t parameters; /* numbers in initialisers that are used */
    double flops;       /* multiply and add counted apart, one image */
};
void nn_summarise(const struct nn_model *model, struct nn_summary *summary);

struct nn_step_report {
    const char *name;      /* of the node in the file, or of its output */
    const char *op;        /* "Conv+Relu" */
    const char *algorithm; /* "im2col", "winograd-4x4", "" */
    double flops;          /* of one run of the session's batch_max */
    double seconds;        /* accumulated while profiling was on */
    char shape[64];        /* of its output */
};
void nn_session_profile(struct nn_session *session, bool on);
int nn_session_step_count(const struct nn_session *session);
void nn_session_step(const struct nn_session *session, int i,
                     struct nn_step_report *report);

/* What reads whose result. from: a step, or -1 - i for input i; to: a later
 * step, or the count of steps + i for output i. Ordered by `to`; the first
 * `max` are written, and their number is returned, which may be more. */
struct nn_edge {
    int from, to;
};
int nn_session_edges(const struct nn_session *session, struct nn_edge *edges,
                     int max);

#endif
