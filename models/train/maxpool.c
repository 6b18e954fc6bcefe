/*
 * Maximum over windows of kernel x kernel, moved by stride, no padding; rows
 * and columns that fill no window are dropped. The place of each maximum is
 * remembered in a byte, so backward needs neither input nor output.
 */
#include "models/train/layer.h"
#include "models/train/simd.h"

#include <stdlib.h>
#include <string.h>

#define KERNEL_MAX 15 /* a tap has to fit a byte */

static int maxpool_plan(struct layer *l, struct err *err) {
    struct layer_spec *spec = &l->spec;
    if (spec->stride == 0)
        spec->stride = spec->kernel;
    if (spec->kernel < 1 || spec->kernel > KERNEL_MAX ||
        spec->kernel > l->in.height || spec->kernel > l->in.width)
        return err_set(err, "a pooling window of %d does not fit %dx%d",
                       spec->kernel, l->in.height, l->in.width);
    l->out = (struct shape){(l->in.height - spec->kernel) / spec->stride + 1,
                            (l->in.width - spec->kernel) / spec->stride + 1,
                            l->in.channels};
    return 0;
}

static int maxpool_open(struct layer *l, struct err *err) {
    l->state = malloc((size_t)l->batch_max * shape_size(l->out)); /* bytes */
    if (!l->state)
        return err_set(err, "no memory for a pooling layer");
    return 0;
}

static void maxpool_close(struct layer *l) {
    free(l->state);
    l->state = NULL;
}

/* One window: `taps` pixels of c channels at x + offsets[tap]. */
SIMD_CLONES
static void take_largest(const float *x, const size_t *offsets, int taps, int c,
                         float *best, uint8_t *from) {
    int i = 0;
    for (; i + SIMD_LANES <= c; i += SIMD_LANES) {
        vec most = *(const vec *)(x + offsets[0] + i);
        vec_int place = {0};
        for (int tap = 1; tap < taps; tap++) {
            vec value = *(const vec *)(x + offsets[tap] + i);
            vec_int larger = value > most;
            most = (vec)(((vec_int)value & larger) | ((vec_int)most & ~larger));
            place = (tap & larger) | (place & ~larger);
        }
        *(vec *)(best + i) = most;
        *(vec_byte *)(from + i) = __builtin_convertvector(place, vec_byte);
    }
    for (; i < c; i++) {
        best[i] = x[offsets[0] + (size_t)i];
        from[i] = 0;
        for (int tap = 1; tap < taps; tap++)
            if (x[offsets[tap] + (size_t)i] > best[i]) {
                best[i] = x[offsets[tap] + (size_t)i];
                from[i] = (uint8_t)tap;
            }
    }
}

SIMD_CLONES
static void give_back(const float *restrict dy, const uint8_t *restrict from,
                      int c, uint8_t tap, float *restrict dx) {
    for (int i = 0; i < c; i++)
        dx[i] += from[i] == tap ? dy[i] : 0.0f;
}

/* The input pixel under one tap of the window at (y, x). */
static size_t tap_pixel(const struct layer *l, int y, int x, int tap) {
    int row = y * l->spec.stride + tap / l->spec.kernel;
    int column = x * l->spec.stride + tap % l->spec.kernel;
    return (size_t)(row * l->in.width + column) * (size_t)l->in.channels;
}

static void maxpool_forward(struct layer *l, const struct slice *s,
                            const float *x, float *y) {
    int c = l->in.channels, taps = l->spec.kernel * l->spec.kernel;
    size_t in = shape_size(l->in), out = shape_size(l->out);
    uint8_t *from = (uint8_t *)l->state + (size_t)s->first * out;
    size_t offsets[KERNEL_MAX * KERNEL_MAX];

    for (int tap = 0; tap < taps; tap++)
        offsets[tap] = tap_pixel(l, 0, 0, tap);
    for (int n = 0; n < s->count; n++, x += in)
        for (int row = 0; row < l->out.height; row++)
            for (int col = 0; col < l->out.width; col++) {
                take_largest(x + tap_pixel(l, row, col, 0), offsets, taps, c, y,
                             from);
                y += c;
                from += c;
            }
}

static void maxpool_backward(struct layer *l, const struct slice *s,
                             const float *x, const float *dy, float *dx) {
    int c = l->in.channels, taps = l->spec.kernel * l->spec.kernel;
    size_t in = shape_size(l->in), out = shape_size(l->out);
    const uint8_t *from = (const uint8_t *)l->state + (size_t)s->first * out;

    (void)x;
    if (!dx)
        return;
    memset(dx, 0, (size_t)s->count * in * sizeof *dx);
    for (int n = 0; n < s->count; n++, dx += in)
        for (int row = 0; row < l->out.height; row++)
            for (int col = 0; col < l->out.width; col++) {
                for (int tap = 0; tap < taps; tap++)
                    give_back(dy, from, c, (uint8_t)tap,
                              dx + tap_pixel(l, row, col, tap));
                dy += c;
                from += c;
            }
}

const struct layer_kind layer_maxpool = {
    .name = "maxpool",
    .plan = maxpool_plan,
    .open = maxpool_open,
    .close = maxpool_close,
    .forward = maxpool_forward,
    .backward = maxpool_backward,
};
