/*
 * The mean over height and width of each channel. In front of a linear layer
 * it makes class activation maps exact (Zhou et al. 2016, arXiv 1512.04150).
 */
#include "models/train/layer.h"

#include <string.h>

static int global_average_plan(struct layer *l, struct err *err) {
    (void)err;
    l->out = (struct shape){1, 1, l->in.channels};
    return 0;
}

static void global_average_forward(struct layer *l, const struct slice *s,
                                   const float *x, float *y) {
    int c = l->in.channels, pixels = l->in.height * l->in.width;
    float scale = 1.0f / (float)pixels;

    for (int n = 0; n < s->count; n++, y += c) {
        memset(y, 0, (size_t)c * sizeof *y);
        for (int p = 0; p < pixels; p++, x += c)
            for (int i = 0; i < c; i++)
                y[i] += x[i];
        for (int i = 0; i < c; i++)
            y[i] *= scale;
    }
}

static void global_average_backward(struct layer *l, const struct slice *s,
                                    const float *x, const float *dy,
                                    float *dx) {
    int c = l->in.channels, pixels = l->in.height * l->in.width;
    float scale = 1.0f / (float)pixels;

    (void)x;
    if (!dx)
        return;
    for (int n = 0; n < s->count; n++, dy += c)
        for (int p = 0; p < pixels; p++, dx += c)
            for (int i = 0; i < c; i++)
                dx[i] = dy[i] * scale;
}

const struct layer_kind layer_global_average = {
    .name = "global_average",
    .keeps_input = true, /* for activation maps, not for backward */
    .plan = global_average_plan,
    .forward = global_average_forward,
    .backward = global_average_backward,
};
