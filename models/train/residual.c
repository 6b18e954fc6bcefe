/*
 * A shortcut: adds the output of an earlier layer of the same shape, so that
 * the layers between learn a residual (He et al. 2015, arXiv 1512.03385).
 * Backward the gradient goes both ways; the network adds the shortcut's share
 * where it arrives.
 */
#include "models/train/layer.h"

#include <string.h>

static int residual_plan(struct layer *l, struct err *err) {
    (void)err;
    l->out = l->in;
    return 0;
}

static void residual_forward(struct layer *l, const struct slice *s,
                             const float *x, float *y) {
    size_t each = shape_size(l->in), count = (size_t)s->count * each;
    const float *shortcut = l->shortcut + (size_t)s->first * each;
    for (size_t i = 0; i < count; i++)
        y[i] = x[i] + shortcut[i];
}

static void residual_backward(struct layer *l, const struct slice *s,
                              const float *x, const float *dy, float *dx) {
    size_t each = shape_size(l->in);
    size_t bytes = (size_t)s->count * each * sizeof *dy;
    (void)x;
    if (!dx)
        return;
    memcpy(dx, dy, bytes);
    memcpy(l->shortcut_grad + (size_t)s->first * each, dy, bytes);
}

const struct layer_kind layer_residual = {
    .name = "residual",
    .plan = residual_plan,
    .forward = residual_forward,
    .backward = residual_backward,
};
