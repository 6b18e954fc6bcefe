/*
 * layer: what every kind of layer offers, and the table row that asks for one.
 *
 * A network is a list of layers, each with one input and one output. Tensors
 * are (batch, height, width, channels), channels innermost: everything but the
 * convolution then works on long runs of channels. Shapes here are of one
 * image; the batch is cut into *slices*, and a thread takes a slice through
 * several layers while its tensors are warm.
 *
 * A kind is one table (`struct layer_kind`) in one file, forward beside
 * backward. Functions work on one slice; nothing but the slice's own part of a
 * tensor, its scratch and its own partial sums may be written. What concerns
 * the whole batch is done in two steps, so that the result does not depend on
 * the threads: *gather* leaves partial sums by slice, *reduce* runs when all
 * slices are done and adds them up in order.
 *
 *   training     begin ; [gather ; reduce ;] forward ... loss ...
 *                [gather_backward ; reduce_backward ;] backward ; finish
 *   evaluation   begin ; infer
 *
 * To add a layer: write its file, declare its kind below, prove its gradients
 * in tests/unit/test_train_<file>.c, and teach export.c to write it.
 */
#ifndef CONVOY_TRAIN_LAYER_H
#define CONVOY_TRAIN_LAYER_H

#include "common/err.h"
#include "models/train/team.h"
#include "models/train/rng.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A batch is cut into this many slices whatever the number of threads: enough
 * to keep threads busy to the end, few enough that one gradient a slice fits
 * in memory. */
#define LAYER_SLICES 16

#define LAYER_PARAMS_MAX 4

struct shape {
    int height, width, channels;
};

static inline size_t shape_size(struct shape s) {
    return (size_t)s.height * (size_t)s.width * (size_t)s.channels;
}

/* Numbers that a layer learns (or, with `statistic`, measures). `value` and
 * the rest point into the network's blocks, each `count` long. */
struct param {
    const char *name; /* "weight", "bias", "mean", "variance" */
    size_t count;
    bool statistic; /* not touched by the optimiser */
    bool frozen;    /* no gradient is computed */
    float lr_scale; /* times the network's learning rate */
    float *value;
    float *grad;     /* NULL for a statistic */
    float *momentum; /* NULL for a statistic */
};

struct slice {
    int index;   /* 0..LAYER_SLICES-1 */
    int first;   /* image of the batch */
    int count;   /* images; may be 0 in a small batch */
    float *work; /* the thread's, `work_size` floats of the neediest layer */
};

/* One row of a network's table. What a kind does not use stays 0. */
struct layer_spec {
    const struct layer_kind *kind;
    int channels; /* of the output */
    int kernel, stride, padding;
    int shortcut; /* residual: adds the output of so many rows before it */
    bool bias;
    bool whiten;     /* conv: weights come from the training images, frozen */
    int bias_epochs; /* conv: bias is frozen after these; 0: never */
    float scale;     /* linear: the output is multiplied by it */
    float lr_scale;  /* of the bias; 0 means 1 */
    float momentum;  /* batchnorm: of the running statistics */
};

struct layer {
    const struct layer_kind *kind;
    struct layer_spec spec;
    struct shape in, out;
    int batch_max;
    int params_count;
    struct param params[LAYER_PARAMS_MAX];
    size_t work_size;      /* floats of scratch a thread needs */
    bool needs_dx;         /* somebody before it learns */
    const float *shortcut; /* residual: (batch, in), of the earlier layer, */
    float *shortcut_grad;  /* and what flows back to it; the network's */
    void *state;           /* the kind's own */
};

struct layer_kind {
    const char *name;
    bool keeps_input; /* backward reads x */

    /* Fills out, params (count, flags) and work_size from in and spec. */
    int (*plan)(struct layer *l, struct err *err);
    /* Allocates state; params point to memory by now. */
    int (*open)(struct layer *l, struct err *err);
    void (*close)(struct layer *l);
    void (*init)(struct layer *l, struct rng *rng); /* initial values */

    void (*begin)(struct layer *l, struct team *team, bool training);

    /* x (count, in), y (count, out): the slice's part. */
    void (*forward)(struct layer *l, const struct slice *s, const float *x,
                    float *y);
    void (*infer)(struct layer *l, const struct slice *s, const float *x,
                  float *y); /* NULL: forward does */
    void (*gather)(struct layer *l, const struct slice *s, const float *x);
    void (*reduce)(struct layer *l, int images);

    /* dx is NULL where nobody wants it. */
    void (*backward)(struct layer *l, const struct slice *s, const float *x,
                     const float *dy, float *dx);
    void (*gather_backward)(struct layer *l, const struct slice *s,
                            const float *x, const float *dy);
    void (*reduce_backward)(struct layer *l, int images);
    void (*finish)(struct layer *l, struct team *team);
};

#define BATCHNORM_EPSILON 1e-5 /* PyTorch's default */

extern const struct layer_kind layer_conv;
extern const struct layer_kind layer_batchnorm;
extern const struct layer_kind layer_maxpool;
extern const struct layer_kind layer_gelu;
extern const struct layer_kind layer_residual;
extern const struct layer_kind layer_global_average;
extern const struct layer_kind layer_linear;

/* The parameter called `name`, or NULL. */
struct param *layer_param(struct layer *l, const char *name);

#endif
