/*
 * network: layers from a table, and a batch taken forward and backward
 * through them by all threads.
 *
 *     struct network *net = network_open(table, rows, input, 512, team, &err);
 *     network_init(net, seed);
 *     fill network_input(net);                      (n, height, width,
 * channels) network_step(net, n, labels, 0.2f, &loss);    gradients are in the
 * params network_infer(net, n);                        network_logits(net)
 *
 * How a step runs. A batch is cut into LAYER_SLICES slices. Batch
 * normalisation needs the statistics of the whole batch, so the layers between
 * two of them form a *segment*: a thread takes a slice through the whole
 * segment, and all meet at its end. An output is kept for the whole batch only
 * where a later layer reads it again; else it lives in the thread's scratch
 * until the next layer has read it.
 *
 * All parameters lie in one block of `count` floats, their gradients and
 * momenta in two more of the same layout, so that the optimiser, averaging and
 * checkpoints are loops over plain arrays.
 */
#ifndef CONVOY_TRAIN_NETWORK_H
#define CONVOY_TRAIN_NETWORK_H

#include "common/err.h"
#include "models/train/layer.h"
#include "models/train/loss.h"
#include "models/train/team.h"

struct network {
    struct shape input, output;
    int batch_max;
    int layers_count;
    struct layer *layers;
    size_t count;    /* floats in each block */
    float *values;   /* parameters and statistics */
    float *grads;    /* 0 for statistics */
    float *momentum; /* 0 for statistics */
    struct team *team;
    int frozen_epochs; /* first epochs in which only the last layer learns */
    const float *class_weights; /* (classes) in the loss; borrowed, or NULL */

    /* The rest is network.c's own. */
    float *batch;           /* (batch_max, input) */
    float **kept;           /* by layer: its output, or NULL */
    float **kept_grads;     /* by layer: gradient of its output, or NULL */
    float **shortcut_grads; /* by layer: the part of it that arrives by a
                               shortcut, or NULL */
    float *logit_grads;     /* (batch_max, output) */
    float *scratch;         /* by thread */
    size_t scratch_each, slice_floats, work_floats;
};

/* `team` must outlive the network. */
struct network *network_open(const struct layer_spec *table, int rows,
                             struct shape input, int batch_max,
                             struct team *team, struct err *err);
void network_free(struct network *net);

void network_init(struct network *net, uint64_t seed);

/* Freezes and thaws by epoch (frozen_epochs, layer_spec.bias_epochs); call
 * before training in it. */
void network_set_epoch(struct network *net, int epoch);

float *network_input(struct network *net);
const float *network_logits(const struct network *net); /* (n, classes) */

/* One forward and backward pass; adds to `loss`. */
void network_step(struct network *net, int n, const uint16_t *labels,
                  float smoothing, struct loss *loss);

/* Forward with running statistics. */
void network_infer(struct network *net, int n);

/* Forward as in training, for the sake of the batch's statistics. */
void network_measure(struct network *net, int n);

/* The same, after which the running statistics are the mean of those of this
 * batch and of `before` others that were measured so. */
void network_average_statistics(struct network *net, int n, int before);

/* What the last layer of the last network_infer() read, (n, its inputs). */
const float *network_pooled(const struct network *net);

/* What the global average of the last network_infer() read, (n, H, W, C) in
 * *shape; NULL where the network has none. */
const float *network_features(const struct network *net, struct shape *shape);

size_t network_parameters(const struct network *net); /* learned numbers */

/* Images first..first+count-1 of a batch of n that slice `index` works on. */
void network_slice(int n, int index, struct slice *slice);

#endif
