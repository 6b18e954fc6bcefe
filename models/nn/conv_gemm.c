/*
 * Convolution as matrix multiplication. A row is an output pixel, a column an
 * output channel, and the numbers of a row of A are those under the kernel. For
 * 1x1 with stride 1 they lie in memory like that already; otherwise im2col
 * gathers a block of rows into scratch, multiplies it and goes on, so that the
 * block is in cache when it is read. Groups are done one after the other;
 * groups of a few channels are joined first, with zeros where one would reach
 * into another, until they fill a vector: no more work, and far fewer pieces.
 */
#include "models/nn/conv_algorithm.h"

#include <string.h>

/* Bytes of rows that are gathered, multiplied and activated together. */
#define BLOCK_BYTES (256 << 10)

/* Rows whose distance is a multiple of a few of these lines compete for the
 * same sets of the first cache (64 sets of 64 bytes). */
#define CACHE_LINE 16 /* floats */
#define CACHE_SETS 64

struct conv_grouping conv_grouping(const struct conv *conv) {
    const struct conv_shape *s = &conv->shape;
    int columns = s->channels_out / s->groups, joined = 1;
    for (int i = 2; i * columns <= conv->kernels->lanes; i++)
        if (s->groups % i == 0)
            joined = i;
    int depth = s->channels_in / s->groups * joined;
    return (struct conv_grouping){s->groups / joined, depth, columns * joined,
                                  s->kernel[0] * s->kernel[1] * depth};
}

static ptrdiff_t gathered_pitch(const struct conv_grouping *g) {
    int lines = (g->window + CACHE_LINE - 1) / CACHE_LINE;
    if (lines % (CACHE_SETS / 4) == 0)
        lines++;
    return lines * CACHE_LINE;
}

static int rows_of(const struct conv *conv, int batch) {
    return batch * conv->shape.out_height * conv->shape.out_width;
}

static int block_rows(const struct conv *conv, const struct conv_grouping *g) {
    int tile = conv->kernels->tile, longest = g->window;
    if (conv->shape.channels_out > longest)
        longest = conv->shape.channels_out;
    int rows = BLOCK_BYTES / (int)sizeof(float) / longest / tile * tile;
    int all = rows_of(conv, conv->batch_max);
    if (rows < 8 * tile)
        rows = 8 * tile;
    return rows < all ? rows : all;
}

static size_t group_size(const struct conv *conv,
                         const struct conv_grouping *g) {
    return panels_size(conv->kernels, g->window, g->columns);
}

size_t conv_gemm_weights(const struct conv *conv) {
    struct conv_grouping g = conv_grouping(conv);
    return (size_t)g.groups * group_size(conv, &g);
}

/* Kernels that become neighbouring columns of a panel, some numbers of each at
 * a time, so that whole lines of cache are read and written. */
#define SIDE_BY_SIDE 16

/* `count` kernels of (depth, taps) from `weights` to the columns of a panel,
 * whose rows are (taps, g->depth) and `pitch` floats apart. */
static void pack_columns(const struct conv_grouping *g, int depth, int taps,
                         const void *weights, int count, float *columns,
                         size_t pitch) {
    float tile[SIDE_BY_SIDE][SIDE_BY_SIDE];
    int all = depth * taps;
    for (int k = 0; k < all; k += SIDE_BY_SIDE) {
        int n = all - k < SIDE_BY_SIDE ? all - k : SIDE_BY_SIDE;
        for (int j = 0; j < count; j++)
            for (int i = 0; i < n; i++)
                tile[i][j] = tensor_float(weights, (size_t)j * (size_t)all +
                                                       (size_t)(k + i));
        for (int i = 0; i < n; i++) {
            int row = (k + i) % taps * g->depth + (k + i) / taps;
            memcpy(columns + (size_t)row * pitch, tile[i],
                   (size_t)count * sizeof(float));
        }
    }
}

void conv_gemm_pack(struct conv *conv, const void *weights, int first,
                    int end) {
    const struct conv_shape *s = &conv->shape;
    const struct kernels *k = conv->kernels;
    struct conv_grouping g = conv_grouping(conv);
    int taps = s->kernel[0] * s->kernel[1];
    int depth = s->channels_in / s->groups;
    int columns = s->channels_out / s->groups;

    for (int m = first, count; m < end; m += count) {
        int column = m % g.columns, left = columns - m % columns;
        count = k->lanes - column % k->lanes; /* lanes divide a panel */
        count = count < left ? count : left;
        count = count < end - m ? count : end - m;
        float *panels =
            conv->weights + (size_t)(m / g.columns) * group_size(conv, &g);
        float *at = panels + panels_at(k, g.window, g.columns,
                                       column / columns * depth, column);
        size_t pitch = panels_at(k, g.window, g.columns, 1, column) -
                       panels_at(k, g.window, g.columns, 0, column);
        pack_columns(&g, depth, taps,
                     (const char *)weights +
                         (size_t)m * (size_t)(depth * taps) * sizeof(float),
                     count, at, pitch);
    }
}

bool conv_is_pointwise(const struct conv *conv) {
    const struct conv_shape *s = &conv->shape;
    return s->kernel[0] == 1 && s->kernel[1] == 1 && s->stride[0] == 1 &&
           s->stride[1] == 1 && s->out_height == s->height &&
           s->out_width == s->width;
}

static bool always(const struct conv *conv) {
    (void)conv;
    return true;
}

static double estimate_pointwise(const struct conv *conv) {
    struct conv_grouping g = conv_grouping(conv);
    return g.groups * conv_estimate_gemm(conv, rows_of(conv, conv->batch_max),
                                         g.window, g.columns);
}

static double estimate_im2col(const struct conv *conv) {
    struct conv_grouping g = conv_grouping(conv);
    double gathered =
        (double)rows_of(conv, conv->batch_max) * g.window * g.groups;
    return estimate_pointwise(conv) + gathered * CONV_SECONDS_COPIED;
}

static size_t no_scratch(const struct conv *conv) {
    (void)conv;
    return 0;
}

static size_t scratch_im2col(const struct conv *conv) {
    struct conv_grouping g = conv_grouping(conv);
    return (size_t)block_rows(conv, &g) * (size_t)gathered_pitch(&g);
}

struct gemm_call conv_gemm_call(const struct conv *conv,
                                const struct conv_grouping *g, int group) {
    int channel = group * g->columns;
    return (struct gemm_call){
        .k = g->window,
        .n = g->columns,
        .piece = g->window,
        .pieces = {1, 1},
        .b = conv->weights + (size_t)group * group_size(conv, g),
        .ldc = conv->shape.out_pitch,
        .bias = conv->bias ? conv->bias + channel : NULL,
        .low = conv->low,
        .high = conv->high,
    };
}

/* The product of rows `a` with the weights of one group. */
static void multiply(const struct conv *conv, const struct conv_grouping *g,
                     int group, const float *a, ptrdiff_t lda, int rows,
                     const float *residual, float *y) {
    struct gemm_call call = conv_gemm_call(conv, g, group);
    call.rows = rows;
    call.a = a;
    call.lda = lda;
    call.c = y + group * g->columns;
    call.residual = residual ? residual + group * g->columns : NULL;
    conv->kernels->gemm(&call);
}

static void run_pointwise(const struct conv *conv, int batch, const float *x,
                          const float *residual, float *y, float *scratch) {
    const struct conv_shape *s = &conv->shape;
    struct conv_grouping g = conv_grouping(conv);
    int rows = rows_of(conv, batch), block = block_rows(conv, &g);
    (void)scratch;

    for (int row = 0; row < rows; row += block) {
        int count = rows - row < block ? rows - row : block;
        size_t at = (size_t)row * (size_t)s->out_pitch;
        const float *a = x + (size_t)row * (size_t)s->channels_in;
        for (int i = 0; i < g.groups; i++)
            multiply(conv, &g, i, a + i * g.depth, s->channels_in, count,
                     residual ? residual + at : NULL, y + at);
        conv_finish(conv, y + at, (size_t)count);
    }
}

static void run_im2col(const struct conv *conv, int batch, const float *x,
                       const float *residual, float *y, float *scratch) {
    const struct conv_shape *s = &conv->shape;
    struct conv_grouping g = conv_grouping(conv);
    int rows = rows_of(conv, batch), block = block_rows(conv, &g);
    struct im2col_call gather = {.shape = s,
                                 .x = x,
                                 .depth = g.depth,
                                 .rows = scratch,
                                 .ld = gathered_pitch(&g)};

    for (int row = 0; row < rows; row += block) {
        size_t at = (size_t)row * (size_t)s->out_pitch;
        gather.first = (size_t)row;
        gather.count = rows - row < block ? rows - row : block;
        for (int i = 0; i < g.groups; i++) {
            gather.channel = i * g.depth;
            conv->kernels->im2col(&gather);
            multiply(conv, &g, i, scratch, gather.ld, gather.count,
                     residual ? residual + at : NULL, y + at);
        }
        conv_finish(conv, y + at, (size_t)gather.count);
    }
}

const struct conv_algorithm conv_pointwise = {
    .name = "pointwise",
    .fits = conv_is_pointwise,
    .estimate = estimate_pointwise,
    .weights_count = conv_gemm_weights,
    .pack = conv_gemm_pack,
    .scratch = no_scratch,
    .run = run_pointwise,
};

const struct conv_algorithm conv_im2col = {
    .name = "im2col",
    .fits = always,
    .estimate = estimate_im2col,
    .weights_count = conv_gemm_weights,
    .pack = conv_gemm_pack,
    .scratch = scratch_im2col,
    .run = run_im2col,
};
