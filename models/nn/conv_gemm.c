/*
 * Convolution as matrix multiplication. A row is an output pixel, a column an
 * output channel, and the numbers of a row of A are those under the kernel. For
 * 1x1 with stride 1 they lie in memory like that already; otherwise im2col
 * gathers a block of rows into scratch, multiplies it and goes on, so that the
 * block is in cache when it is read. Groups are done one after the other.
 */
#include "models/nn/conv_algorithm.h"

/* Bytes of rows that are gathered, multiplied and activated together. */
#define BLOCK_BYTES (256 << 10)

static int depth_of(const struct conv_shape *s) {
    return s->channels_in / s->groups;
}

/* Numbers under the kernel. */
static int window_of(const struct conv_shape *s) {
    return s->kernel[0] * s->kernel[1] * depth_of(s);
}

/* Rows whose distance is a multiple of this many floats compete for the same
 * lines of the first cache (64 sets of 64 bytes). */
#define SETS_FLOATS 1024

static ptrdiff_t gathered_pitch(const struct conv_shape *s) {
    ptrdiff_t pitch = (window_of(s) + 15) / 16 * 16;
    return pitch % (SETS_FLOATS / 4) == 0 ? pitch + 16 : pitch;
}

static int rows_of(const struct conv *conv, int batch) {
    return batch * conv->shape.out_height * conv->shape.out_width;
}

static int block_rows(const struct conv *conv) {
    const struct conv_shape *s = &conv->shape;
    int tile = conv->kernels->tile, longest = window_of(s);
    if (s->channels_out > longest)
        longest = s->channels_out;
    int rows = BLOCK_BYTES / (int)sizeof(float) / longest / tile * tile;
    int all = rows_of(conv, conv->batch_max);
    if (rows < 8 * tile)
        rows = 8 * tile;
    return rows < all ? rows : all;
}

static size_t group_size(const struct conv *conv) {
    const struct conv_shape *s = &conv->shape;
    return panels_size(conv->kernels, window_of(s),
                       s->channels_out / s->groups);
}

static size_t count_weights(const struct conv *conv) {
    return (size_t)conv->shape.groups * group_size(conv);
}

static void pack(struct conv *conv, const float *weights) {
    const struct conv_shape *s = &conv->shape;
    int depth = depth_of(s), taps = s->kernel[0] * s->kernel[1];
    int columns = s->channels_out / s->groups;

    for (int m = 0; m < s->channels_out; m++) {
        float *panels =
            conv->weights + (size_t)(m / columns) * group_size(conv);
        for (int c = 0; c < depth; c++)
            for (int t = 0; t < taps; t++)
                panels[panels_at(conv->kernels, taps * depth, columns,
                                 t * depth + c, m % columns)] = *weights++;
    }
}

static bool is_pointwise(const struct conv *conv) {
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
    const struct conv_shape *s = &conv->shape;
    return s->groups * conv_estimate_gemm(conv, rows_of(conv, conv->batch_max),
                                          window_of(s),
                                          s->channels_out / s->groups);
}

static double estimate_im2col(const struct conv *conv) {
    const struct conv_shape *s = &conv->shape;
    double gathered =
        (double)rows_of(conv, conv->batch_max) * window_of(s) * s->groups;
    return estimate_pointwise(conv) + gathered * CONV_SECONDS_COPIED;
}

static size_t no_scratch(const struct conv *conv) {
    (void)conv;
    return 0;
}

static size_t scratch_im2col(const struct conv *conv) {
    return (size_t)block_rows(conv) * (size_t)gathered_pitch(&conv->shape);
}

static struct gemm_call group_call(const struct conv *conv, int group,
                                   const float *residual, float *y) {
    const struct conv_shape *s = &conv->shape;
    int columns = s->channels_out / s->groups, channel = group * columns;
    return (struct gemm_call){
        .k = window_of(s),
        .n = columns,
        .b = conv->weights + (size_t)group * group_size(conv),
        .c = y + channel,
        .ldc = s->channels_out,
        .bias = conv->bias ? conv->bias + channel : NULL,
        .residual = residual ? residual + channel : NULL,
        .low = conv->low,
        .high = conv->high,
    };
}

static void run_pointwise(const struct conv *conv, int batch, const float *x,
                          const float *residual, float *y, float *scratch) {
    const struct conv_shape *s = &conv->shape;
    int rows = rows_of(conv, batch), block = block_rows(conv);
    (void)scratch;

    for (int row = 0; row < rows; row += block) {
        int count = rows - row < block ? rows - row : block;
        size_t at = (size_t)row * (size_t)s->channels_out;
        for (int g = 0; g < s->groups; g++) {
            struct gemm_call call =
                group_call(conv, g, residual ? residual + at : NULL, y + at);
            call.rows = count;
            call.a = x + (size_t)row * (size_t)s->channels_in + g * depth_of(s);
            call.lda = s->channels_in;
            conv->kernels->gemm(&call);
        }
        conv_finish(conv, y + at, (size_t)count * (size_t)s->channels_out);
    }
}

static void run_im2col(const struct conv *conv, int batch, const float *x,
                       const float *residual, float *y, float *scratch) {
    const struct conv_shape *s = &conv->shape;
    int rows = rows_of(conv, batch), block = block_rows(conv);
    struct im2col_call gather = {.shape = s,
                                 .x = x,
                                 .depth = depth_of(s),
                                 .rows = scratch,
                                 .ld = gathered_pitch(s)};

    for (int row = 0; row < rows; row += block) {
        size_t at = (size_t)row * (size_t)s->channels_out;
        gather.first = (size_t)row;
        gather.count = rows - row < block ? rows - row : block;
        for (int g = 0; g < s->groups; g++) {
            gather.channel = g * depth_of(s);
            conv->kernels->im2col(&gather);
            struct gemm_call call =
                group_call(conv, g, residual ? residual + at : NULL, y + at);
            call.rows = gather.count;
            call.a = scratch;
            call.lda = gather.ld;
            conv->kernels->gemm(&call);
        }
        conv_finish(conv, y + at,
                    (size_t)gather.count * (size_t)s->channels_out);
    }
}

const struct conv_algorithm conv_pointwise = {
    .name = "pointwise",
    .fits = is_pointwise,
    .estimate = estimate_pointwise,
    .weights_count = count_weights,
    .pack = pack,
    .scratch = no_scratch,
    .run = run_pointwise,
};

const struct conv_algorithm conv_im2col = {
    .name = "im2col",
    .fits = always,
    .estimate = estimate_im2col,
    .weights_count = count_weights,
    .pack = pack,
    .scratch = scratch_im2col,
    .run = run_im2col,
};
