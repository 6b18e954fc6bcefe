/*
 * Convolution as matrix multiplication on windows as they lie in the image. The
 * windows of one row of outputs are the same distance apart and each is a few
 * pieces of memory, so nothing is gathered. Padding is the exception: then a
 * strip of rows is copied between zeros first, small enough to stay in cache.
 *
 * A product is one row of outputs, and goes through all weights. That suits
 * first layers and groups, whose weights are few.
 */
#include "models/nn/conv_algorithm.h"

#include <math.h>
#include <string.h>

/* Bytes of a strip. */
#define STRIP_BYTES (128 << 10)

/* Bytes of weights that stay in cache from one row of outputs to the next. */
#define WEIGHTS_BYTES (512 << 10)
#define SECONDS_A_NEAR_WEIGHT 0.03e-9 /* from the second cache */

static bool padded(const struct conv_shape *s) {
    return s->pad_top || s->pad_left || s->pad_bottom || s->pad_right;
}

static int reach_of(const struct conv_shape *s) {
    return (s->kernel[0] - 1) * s->dilation[0] + 1;
}

static size_t line_size(const struct conv_shape *s) {
    return (size_t)(s->pad_left + s->width + s->pad_right) *
           (size_t)s->channels_in;
}

/* Rows of outputs from one strip. */
static int strip_rows(const struct conv_shape *s) {
    int lines = (int)(STRIP_BYTES / sizeof(float) / line_size(s));
    int rows = (lines - reach_of(s)) / s->stride[0] + 1;
    if (!padded(s) || rows > s->out_height)
        return s->out_height;
    return rows < 1 ? 1 : rows;
}

static int strip_lines(const struct conv_shape *s, int rows) {
    return (rows - 1) * s->stride[0] + reach_of(s);
}

static bool fits(const struct conv *conv) {
    return !conv_is_pointwise(conv);
}

static double estimate(const struct conv *conv) {
    const struct conv_shape *s = &conv->shape;
    struct conv_grouping g = conv_grouping(conv);
    double products = (double)conv->batch_max * s->out_height * g.groups;
    int tile = conv->kernels->tile;
    double tiles = ceil((double)s->out_width / tile);
    double rows = tiles * fmax(s->out_width / tiles, tile / 2.0);
    double seconds =
        products * conv_estimate_gemm(conv, rows, g.window, g.columns);
    double weights = (double)conv_gemm_weights(conv);
    if (weights * sizeof(float) < WEIGHTS_BYTES) {
        double vectors = ceil((double)g.columns / conv->kernels->lanes);
        seconds = products * g.window * vectors *
                  fmax(rows * CONV_SECONDS_A_VECTOR,
                       conv->kernels->lanes * SECONDS_A_NEAR_WEIGHT);
    }
    int strip = strip_rows(s), strips = (s->out_height + strip - 1) / strip;
    double copied = padded(s) ? (double)strips * strip_lines(s, strip) *
                                    (double)line_size(s)
                              : 0;
    return seconds + conv->batch_max * copied * CONV_SECONDS_COPIED;
}

static size_t scratch(const struct conv *conv) {
    const struct conv_shape *s = &conv->shape;
    if (!padded(s))
        return 0;
    return (size_t)strip_lines(s, strip_rows(s)) * line_size(s);
}

/* Rows first.. of the image, between zeros. */
static void copy_strip(const struct conv_shape *s, const float *image,
                       int first, int lines, float *to) {
    size_t pixel = (size_t)s->channels_in;
    size_t left = (size_t)s->pad_left * pixel, width = (size_t)s->width * pixel;

    for (int i = 0; i < lines; i++, to += line_size(s)) {
        int row = first + i;
        if (row < 0 || row >= s->height) {
            memset(to, 0, line_size(s) * sizeof *to);
            continue;
        }
        memset(to, 0, left * sizeof *to);
        memcpy(to + left, image + (size_t)row * width, width * sizeof *to);
        memset(to + left + width, 0, (size_t)s->pad_right * pixel * sizeof *to);
    }
}

/* A window of a group: one piece a kernel row where its columns lie side by
 * side, or one for every tap. */
static void set_pieces(const struct conv_shape *s,
                       const struct conv_grouping *g, struct gemm_call *call) {
    bool dense = s->dilation[1] == 1 && g->depth == s->channels_in;
    call->piece = dense ? s->kernel[1] * g->depth : g->depth;
    call->pieces[0] = s->kernel[0];
    call->pieces[1] = dense ? 1 : s->kernel[1];
    call->step[0] = s->dilation[0] * (ptrdiff_t)line_size(s);
    call->step[1] = (ptrdiff_t)s->dilation[1] * s->channels_in;
    call->lda = (ptrdiff_t)s->stride[1] * s->channels_in;
}

/* Outputs `at`.. (floats from the start of y) of one row, from lines that start
 * with the first that the row needs. */
static void run_row(const struct conv *conv, const struct conv_grouping *g,
                    const float *lines, size_t at, const float *residual,
                    float *y) {
    const struct conv_shape *s = &conv->shape;
    for (int i = 0; i < g->groups; i++) {
        size_t channel = (size_t)(i * g->columns);
        struct gemm_call call = conv_gemm_call(conv, g, i);
        set_pieces(s, g, &call);
        call.rows = s->out_width;
        call.a = lines + i * g->depth;
        call.c = y + at + channel;
        call.residual = residual ? residual + at + channel : NULL;
        conv->kernels->gemm(&call);
    }
    conv_finish(conv, y + at, (size_t)s->out_width);
}

static void run(const struct conv *conv, int batch, const float *x,
                const float *residual, float *y, float *strip) {
    const struct conv_shape *s = &conv->shape;
    struct conv_grouping g = conv_grouping(conv);
    size_t image =
        (size_t)s->height * (size_t)s->width * (size_t)s->channels_in;
    size_t step = (size_t)s->stride[0] * line_size(s);
    int rows = strip_rows(s);
    size_t at = 0;

    for (int n = 0; n < batch; n++, x += image)
        for (int first = 0; first < s->out_height; first += rows) {
            int count =
                s->out_height - first < rows ? s->out_height - first : rows;
            const float *lines = x;
            if (padded(s)) {
                copy_strip(s, x, first * s->stride[0] - s->pad_top,
                           strip_lines(s, count), strip);
                lines = strip;
            }
            for (int i = 0; i < count; i++, lines += step) {
                run_row(conv, &g, lines, at, residual, y);
                at += (size_t)s->out_width * (size_t)s->out_pitch;
            }
        }
}

const struct conv_algorithm conv_direct = {
    .name = "direct",
    .fits = fits,
    .estimate = estimate,
    .weights_count = conv_gemm_weights,
    .pack = conv_gemm_pack,
    .scratch = scratch,
    .run = run,
};
