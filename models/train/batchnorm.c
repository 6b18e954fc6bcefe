/*
 * Batch normalisation (Ioffe and Szegedy 2015, arXiv 1502.03167) with a bias
 * and no scale:
 *
 *     y = (x - mean) / sqrt(variance + eps) + bias
 *
 * over batch, height and width. Training normalises by the batch's own
 * statistics and keeps running ones (the variance unbiased, as PyTorch does)
 * for inference. Sums are taken in double precision over short runs in single,
 * so that a slice of thousands of pixels loses nothing.
 */
#include "models/train/layer.h"
#include "models/train/simd.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RUN 64 /* pixels summed in single precision */

enum { BIAS, MEAN, VARIANCE };

struct batchnorm {
    double *sums;   /* (LAYER_SLICES, 2, C) */
    float *run;     /* (LAYER_SLICES, 2, C) */
    float *mean;    /* (C), of the batch */
    float *inverse; /* (C), 1 / standard deviation */
    float *shift;   /* (C), mean of dy */
    float *slope;   /* (C), mean of dy * normalised x */
};

static int batchnorm_plan(struct layer *l, struct err *err) {
    (void)err;
    size_t c = (size_t)l->in.channels;
    float lr_scale = l->spec.lr_scale > 0 ? l->spec.lr_scale : 1;
    l->out = l->in;
    l->params[BIAS] =
        (struct param){.name = "bias", .count = c, .lr_scale = lr_scale};
    l->params[MEAN] =
        (struct param){.name = "mean", .count = c, .statistic = true};
    l->params[VARIANCE] =
        (struct param){.name = "variance", .count = c, .statistic = true};
    l->params_count = 3;
    return 0;
}

static void batchnorm_close(struct layer *l) {
    struct batchnorm *bn = l->state;
    if (!bn)
        return;
    free(bn->sums);
    free(bn->run);
    free(bn->mean);
    free(bn);
    l->state = NULL;
}

static int batchnorm_open(struct layer *l, struct err *err) {
    struct batchnorm *bn = calloc(1, sizeof *bn);
    size_t c = (size_t)l->in.channels;
    if (!bn)
        return err_set(err, "no memory for a batch normalisation");
    l->state = bn;
    bn->sums = calloc(LAYER_SLICES * 2 * c, sizeof *bn->sums);
    bn->run = calloc(LAYER_SLICES * 2 * c, sizeof *bn->run);
    bn->mean = calloc(4 * c, sizeof *bn->mean);
    if (!bn->sums || !bn->run || !bn->mean)
        return err_set(err, "no memory for a batch normalisation");
    bn->inverse = bn->mean + c;
    bn->shift = bn->mean + 2 * c;
    bn->slope = bn->mean + 3 * c;
    return 0;
}

static void batchnorm_init(struct layer *l, struct rng *rng) {
    (void)rng;
    for (int i = 0; i < l->in.channels; i++) {
        l->params[BIAS].value[i] = 0;
        l->params[MEAN].value[i] = 0;
        l->params[VARIANCE].value[i] = 1;
    }
}

static size_t pixels(const struct layer *l, int images) {
    return (size_t)images * (size_t)l->in.height * (size_t)l->in.width;
}

/* Adds a run's sums to the slice's and clears them. */
static void flush_run(float *restrict run, double *restrict sums,
                      size_t count) {
    for (size_t i = 0; i < count; i++) {
        sums[i] += (double)run[i];
        run[i] = 0;
    }
}

SIMD_CLONES
static void sum_squares(const float *restrict x, size_t c, float *restrict sum,
                        float *restrict square) {
    for (size_t i = 0; i < c; i++) {
        sum[i] += x[i];
        square[i] += x[i] * x[i];
    }
}

static void batchnorm_gather(struct layer *l, const struct slice *s,
                             const float *x) {
    struct batchnorm *bn = l->state;
    size_t c = (size_t)l->in.channels, rows = pixels(l, s->count);
    double *sums = bn->sums + (size_t)s->index * 2 * c;
    float *run = bn->run + (size_t)s->index * 2 * c;

    memset(sums, 0, 2 * c * sizeof *sums);
    for (size_t row = 0; row < rows; row++) {
        sum_squares(x + row * c, c, run, run + c);
        if (row % RUN == RUN - 1 || row + 1 == rows)
            flush_run(run, sums, 2 * c);
    }
}

static void batchnorm_reduce(struct layer *l, int images) {
    struct batchnorm *bn = l->state;
    size_t c = (size_t)l->in.channels;
    double count = (double)pixels(l, images);
    double keep = (double)l->spec.momentum;

    for (size_t i = 0; i < c; i++) {
        double sum = 0, square = 0;
        for (size_t j = 0; j < LAYER_SLICES; j++) {
            sum += bn->sums[(2 * j) * c + i];
            square += bn->sums[(2 * j + 1) * c + i];
        }
        double mean = sum / count;
        double variance = fmax(square / count - mean * mean, 0);
        double unbiased = count > 1 ? variance * count / (count - 1) : variance;
        float *running = l->params[MEAN].value;
        bn->mean[i] = (float)mean;
        bn->inverse[i] = (float)(1 / sqrt(variance + BATCHNORM_EPSILON));
        running[i] = (float)(keep * (double)running[i] + (1 - keep) * mean);
        running = l->params[VARIANCE].value;
        running[i] = (float)(keep * (double)running[i] + (1 - keep) * unbiased);
    }
}

SIMD_CLONES
static void normalise(const float *restrict x, size_t rows, size_t c,
                      const float *restrict mean, const float *restrict inverse,
                      const float *restrict bias, float *restrict y) {
    for (size_t row = 0; row < rows; row++)
        for (size_t i = 0; i < c; i++)
            y[row * c + i] = (x[row * c + i] - mean[i]) * inverse[i] + bias[i];
}

static void batchnorm_forward(struct layer *l, const struct slice *s,
                              const float *x, float *y) {
    struct batchnorm *bn = l->state;
    normalise(x, pixels(l, s->count), (size_t)l->in.channels, bn->mean,
              bn->inverse, l->params[BIAS].value, y);
}

static void batchnorm_begin(struct layer *l, struct team *team, bool training) {
    struct batchnorm *bn = l->state;
    (void)team;
    memset(bn->sums, 0,
           LAYER_SLICES * 2 * (size_t)l->in.channels * sizeof *bn->sums);
    if (training)
        return;
    for (int i = 0; i < l->in.channels; i++) {
        double variance = (double)l->params[VARIANCE].value[i];
        bn->mean[i] = l->params[MEAN].value[i];
        bn->inverse[i] = (float)(1 / sqrt(variance + BATCHNORM_EPSILON));
    }
}

SIMD_CLONES
static void sum_gradients(const float *restrict x, const float *restrict dy,
                          size_t c, const float *restrict mean,
                          const float *restrict inverse, float *restrict sum,
                          float *restrict product) {
    for (size_t i = 0; i < c; i++) {
        sum[i] += dy[i];
        product[i] += dy[i] * ((x[i] - mean[i]) * inverse[i]);
    }
}

static void batchnorm_gather_backward(struct layer *l, const struct slice *s,
                                      const float *x, const float *dy) {
    struct batchnorm *bn = l->state;
    size_t c = (size_t)l->in.channels, rows = pixels(l, s->count);
    double *sums = bn->sums + (size_t)s->index * 2 * c;
    float *run = bn->run + (size_t)s->index * 2 * c;

    memset(sums, 0, 2 * c * sizeof *sums);
    for (size_t row = 0; row < rows; row++) {
        sum_gradients(x + row * c, dy + row * c, c, bn->mean, bn->inverse, run,
                      run + c);
        if (row % RUN == RUN - 1 || row + 1 == rows)
            flush_run(run, sums, 2 * c);
    }
}

static void batchnorm_reduce_backward(struct layer *l, int images) {
    struct batchnorm *bn = l->state;
    size_t c = (size_t)l->in.channels;
    double count = (double)pixels(l, images);

    for (size_t i = 0; i < c; i++) {
        double sum = 0, product = 0;
        for (size_t j = 0; j < LAYER_SLICES; j++) {
            sum += bn->sums[(2 * j) * c + i];
            product += bn->sums[(2 * j + 1) * c + i];
        }
        l->params[BIAS].grad[i] = (float)sum;
        bn->shift[i] = (float)(sum / count);
        bn->slope[i] = (float)(product / count);
    }
}

SIMD_CLONES
static void input_gradient(const float *restrict x, const float *restrict dy,
                           size_t rows, size_t c, const struct batchnorm *bn,
                           float *restrict dx) {
    const float *restrict mean = bn->mean, *restrict inverse = bn->inverse;
    const float *restrict shift = bn->shift, *restrict slope = bn->slope;
    for (size_t row = 0; row < rows; row++)
        for (size_t i = 0; i < c; i++) {
            size_t at = row * c + i;
            float normalised = (x[at] - mean[i]) * inverse[i];
            dx[at] = inverse[i] * (dy[at] - shift[i] - normalised * slope[i]);
        }
}

static void batchnorm_backward(struct layer *l, const struct slice *s,
                               const float *x, const float *dy, float *dx) {
    if (dx)
        input_gradient(x, dy, pixels(l, s->count), (size_t)l->in.channels,
                       l->state, dx);
}

const struct layer_kind layer_batchnorm = {
    .name = "batchnorm",
    .keeps_input = true,
    .plan = batchnorm_plan,
    .open = batchnorm_open,
    .close = batchnorm_close,
    .init = batchnorm_init,
    .begin = batchnorm_begin,
    .forward = batchnorm_forward,
    .infer = batchnorm_forward,
    .gather = batchnorm_gather,
    .reduce = batchnorm_reduce,
    .backward = batchnorm_backward,
    .gather_backward = batchnorm_gather_backward,
    .reduce_backward = batchnorm_reduce_backward,
};
