/*
 * Proves a layer's gradients by finite differences.
 *
 *     struct layer_spec spec = {&layer_conv, .channels = 20, .kernel = 3, ...};
 *     check_gradients(&spec, (struct shape){5, 6, 17}, 3);
 *
 * The layer is run by itself on random input, its output weighted with random
 * numbers r and summed to a scalar L = sum r * y, so that dL/dy = r. Each
 * gradient (of the input and of every learned parameter) is compared with
 * (L(v + h) - L(v - h)) / 2h at places spread over the tensor.
 */
#ifndef CONVOY_TEST_TRAIN_GRADIENTS_H
#define CONVOY_TEST_TRAIN_GRADIENTS_H

#include "models/train/network.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct gradient_check {
    struct team *team;
    struct network *net;
    struct layer *l;
    int images;
    float *x, *y, *r, *dx;
    float *work;
};

static inline void check_fill(float *values, size_t count, uint64_t stream) {
    struct rng rng;
    rng_seed(&rng, 7, stream);
    for (size_t i = 0; i < count; i++)
        values[i] = rng_uniform(&rng, -1, 1);
}

static inline struct slice check_slice(const struct gradient_check *c, int i) {
    struct slice s;
    network_slice(c->images, i, &s);
    s.work = c->work;
    return s;
}

/* Forward in training mode; returns L. */
static inline double check_forward(struct gradient_check *c) {
    struct layer *l = c->l;
    size_t in = shape_size(l->in), out = shape_size(l->out);
    if (l->kind->begin)
        l->kind->begin(l, c->team, true);
    for (int i = 0; l->kind->gather && i < LAYER_SLICES; i++) {
        struct slice s = check_slice(c, i);
        l->kind->gather(l, &s, c->x + (size_t)s.first * in);
    }
    if (l->kind->reduce)
        l->kind->reduce(l, c->images);
    for (int i = 0; i < LAYER_SLICES; i++) {
        struct slice s = check_slice(c, i);
        l->kind->forward(l, &s, c->x + (size_t)s.first * in,
                         c->y + (size_t)s.first * out);
    }
    double sum = 0;
    for (size_t i = 0; i < (size_t)c->images * out; i++)
        sum += (double)c->r[i] * (double)c->y[i];
    return sum;
}

static inline void check_backward(struct gradient_check *c) {
    struct layer *l = c->l;
    size_t in = shape_size(l->in), out = shape_size(l->out);
    for (int i = 0; l->kind->gather_backward && i < LAYER_SLICES; i++) {
        struct slice s = check_slice(c, i);
        l->kind->gather_backward(l, &s, c->x + (size_t)s.first * in,
                                 c->r + (size_t)s.first * out);
    }
    if (l->kind->reduce_backward)
        l->kind->reduce_backward(l, c->images);
    for (int i = 0; i < LAYER_SLICES; i++) {
        struct slice s = check_slice(c, i);
        l->kind->backward(l, &s, c->x + (size_t)s.first * in,
                          c->r + (size_t)s.first * out,
                          c->dx + (size_t)s.first * in);
    }
    if (l->kind->finish)
        l->kind->finish(l, c->team);
}

/* Single precision through a sum of products: an h of 1/64 leaves a few
 * 1e-4 of rounding and of curvature, relative to the largest gradient. */
#define CHECK_STEP 0.015625f
#define CHECK_TOLERANCE 2e-3
#define CHECK_PLACES 97

static inline void check_tensor(struct gradient_check *c, const char *name,
                                float *values, const float *gradient,
                                size_t count) {
    double largest = 1e-3;
    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, fabs((double)gradient[i]));
    size_t places = count < CHECK_PLACES ? count : CHECK_PLACES;
    for (size_t p = 0; p < places; p++) {
        size_t at = p * count / places;
        float held = values[at];
        values[at] = held + CHECK_STEP;
        double above = check_forward(c);
        values[at] = held - CHECK_STEP;
        double below = check_forward(c);
        values[at] = held;
        double expected = (above - below) / (2 * (double)CHECK_STEP);
        double error = fabs(expected - (double)gradient[at]);
        if (!(error <= CHECK_TOLERANCE * largest))
            fail_msg("%s[%zu]: %g by differences, %g by the layer", name, at,
                     expected, (double)gradient[at]);
    }
}

static inline void check_open(struct gradient_check *c,
                              const struct layer_spec *spec, struct shape input,
                              int images) {
    struct err err = {0};
    *c = (struct gradient_check){.images = images};
    c->team = team_open(2, &err);
    assert_non_null(c->team);
    c->net = network_open(spec, 1, input, images, c->team, &err);
    if (!c->net)
        fail_msg("%s", err.text);
    network_init(c->net, 3);
    c->l = &c->net->layers[0];
    c->l->needs_dx = true;
    size_t in = (size_t)images * shape_size(c->l->in);
    size_t out = (size_t)images * shape_size(c->l->out);
    c->x = calloc(in, sizeof *c->x);
    c->dx = calloc(in, sizeof *c->dx);
    c->y = calloc(out, sizeof *c->y);
    c->r = calloc(out, sizeof *c->r);
    c->work = calloc(c->l->work_size + 1, sizeof *c->work);
    assert_true(c->x && c->dx && c->y && c->r && c->work);
    check_fill(c->x, in, 1);
    check_fill(c->r, out, 2);
}

static inline void check_close(struct gradient_check *c) {
    free(c->x);
    free(c->dx);
    free(c->y);
    free(c->r);
    free(c->work);
    network_free(c->net);
    team_close(c->team);
}

/* Compares what check_open() prepared, gradients of input and parameters. */
static inline void check_compare(struct gradient_check *c) {
    struct layer *l = c->l;
    size_t in = (size_t)c->images * shape_size(l->in);
    check_forward(c);
    check_backward(c);
    check_tensor(c, "x", c->x, c->dx, in);
    for (int p = 0; p < l->params_count; p++) {
        struct param *param = &l->params[p];
        if (param->statistic || param->frozen)
            continue;
        float *gradient = malloc(param->count * sizeof *gradient);
        assert_non_null(gradient);
        memcpy(gradient, param->grad, param->count * sizeof *gradient);
        check_tensor(c, param->name, param->value, gradient, param->count);
        free(gradient);
    }
}

static inline void check_gradients(const struct layer_spec *spec,
                                   struct shape input, int images) {
    struct gradient_check c;
    check_open(&c, spec, input, images);
    check_compare(&c);
    check_close(&c);
}

#endif
