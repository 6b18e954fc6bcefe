#include "models/nn/conv_algorithm.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CACHE_LINE 64 /* and AVX-512's vector */
#define HUGE_PAGE ((size_t)2 << 20)
#define PART_BYTES ((size_t)4 << 20) /* of weights */

const struct conv_algorithm *const conv_algorithms[] = {
    &conv_pointwise,  &conv_depthwise,  &conv_direct, &conv_im2col,
    &conv_winograd_2, &conv_winograd_4, NULL,
};

int conv_out_size(int size, int kernel, int stride, int dilation,
                  int pad_before, int pad_after) {
    long long room = (long long)size + pad_before + pad_after -
                     ((long long)kernel - 1) * dilation - 1;
    return room < 0 ? 0 : (int)(room / stride + 1);
}

double conv_flops(const struct conv_shape *s) {
    return 2.0 * s->out_height * s->out_width * s->channels_out * s->kernel[0] *
           s->kernel[1] * (s->channels_in / s->groups);
}

/* Everything is counted in int inside a row of a matrix and in size_t beyond;
 * this keeps both far from their ends. */
static int check_size(const struct conv_shape *s, int batch_max,
                      struct err *err) {
    double pixels_in =
        (double)(s->height + (double)s->pad_top + s->pad_bottom) *
        (s->width + (double)s->pad_left + s->pad_right);
    double pixels_out = (double)s->out_height * s->out_width;
    double window = (double)s->kernel[0] * s->kernel[1] * s->channels_in;

    if (pixels_in * s->channels_in > INT32_MAX / 4 ||
        pixels_out * s->channels_out > INT32_MAX / 4 ||
        pixels_out * s->out_pitch > INT32_MAX / 4 ||
        window * s->channels_out > INT32_MAX / 4 ||
        pixels_out * batch_max > INT32_MAX / 4)
        return err_set(err,
                       "a convolution of %d to %d channels on %dx%d is "
                       "too large",
                       s->channels_in, s->channels_out, s->height, s->width);
    return 0;
}

int conv_check(const struct conv_shape *s, int batch_max, struct err *err) {
    if (s->channels_in < 1 || s->channels_out < 1 || s->groups < 1 ||
        s->height < 1 || s->width < 1 || batch_max < 1)
        return err_set(err, "a convolution needs at least one channel, pixel, "
                            "group and image");
    if (s->channels_in % s->groups != 0 || s->channels_out % s->groups != 0)
        return err_set(err,
                       "%d input and %d output channels of a convolution do "
                       "not divide into %d groups",
                       s->channels_in, s->channels_out, s->groups);
    for (int i = 0; i < 2; i++)
        if (s->kernel[i] < 1 || s->stride[i] < 1 || s->dilation[i] < 1)
            return err_set(err, "a convolution's kernel, stride and dilation "
                                "must be 1 or more");
    if (s->out_pitch != 0 && s->out_pitch < s->channels_out)
        return err_set(err,
                       "%d output channels of a convolution do not fit into "
                       "pixels of %d",
                       s->channels_out, s->out_pitch);
    if (s->pad_top < 0 || s->pad_left < 0 || s->pad_bottom < 0 ||
        s->pad_right < 0)
        return err_set(err, "a convolution's padding must not be negative");
    int height = conv_out_size(s->height, s->kernel[0], s->stride[0],
                               s->dilation[0], s->pad_top, s->pad_bottom);
    int width = conv_out_size(s->width, s->kernel[1], s->stride[1],
                              s->dilation[1], s->pad_left, s->pad_right);
    if (height < 1 || width < 1)
        return err_set(err,
                       "a %dx%d convolution is larger than its padded input "
                       "of %dx%d",
                       s->kernel[0], s->kernel[1], s->height, s->width);
    if (s->out_height != height || s->out_width != width)
        return err_set(err, "a convolution's output of %dx%d should be %dx%d",
                       s->out_height, s->out_width, height, width);
    return check_size(s, batch_max, err);
}

#define NOT_HIDDEN 0.2 /* of the shorter one: computing and waiting overlap */
#define SECONDS_A_WEIGHT 0.13e-9 /* from the third cache */

double conv_estimate_gemm(const struct conv *conv, double rows, double k,
                          double n) {
    double vectors = ceil(n / conv->kernels->lanes);
    double computing = rows * k * vectors * CONV_SECONDS_A_VECTOR;
    double waiting = k * vectors * conv->kernels->lanes * SECONDS_A_WEIGHT;
    double longer = computing > waiting ? computing : waiting;
    double shorter = computing > waiting ? waiting : computing;
    return longer + shorter * NOT_HIDDEN;
}

static const struct conv_algorithm *fastest(const struct conv *conv) {
    const struct conv_algorithm *best = NULL;
    double least = INFINITY;
    for (int i = 0; conv_algorithms[i]; i++) {
        if (!conv_algorithms[i]->fits(conv))
            continue;
        double seconds = conv_algorithms[i]->estimate(conv);
        if (seconds < least) {
            best = conv_algorithms[i];
            least = seconds;
        }
    }
    return best;
}

/* Weights of several megabytes pass by once a run: in pages of 4 KiB that is a
 * miss of the TLB every few hundred nanoseconds. */
static float *zeros(size_t count) {
    size_t bytes = count * sizeof(float);
    bool huge = bytes >= HUGE_PAGE;
    void *block;
    if (posix_memalign(&block, huge ? HUGE_PAGE : CACHE_LINE, bytes) != 0)
        return NULL;
    if (huge)
        madvise(block, bytes, MADV_HUGEPAGE); /* a wish, not a need */
    memset(block, 0, bytes);
    return block;
}

/* A part of the output channels at a time, so that of weights in a file only
 * that is in memory twice. */
static void pack_weights(struct conv *conv, bool in_file, const void *weights) {
    const struct conv_shape *s = &conv->shape;
    size_t kernel = (size_t)(s->channels_in / s->groups) *
                    (size_t)(s->kernel[0] * s->kernel[1]) * sizeof(float);
    int count = (int)(PART_BYTES / kernel) / CONV_PACK_UNIT * CONV_PACK_UNIT;
    count = count > 0 ? count : CONV_PACK_UNIT;
    for (int m = 0; m < s->channels_out; m += count) {
        int left = s->channels_out - m;
        int end = m + (left < count ? left : count);
        conv->algorithm->pack(conv, weights, m, end);
        if (in_file)
            tensor_give_back((const char *)weights + (size_t)m * kernel,
                             (size_t)(end - m) * kernel);
    }
}

static int pack(struct conv *conv, const struct conv_post *post,
                const void *weights) {
    size_t m = (size_t)conv->shape.channels_out;

    conv->weights_count = conv->algorithm->weights_count(conv);
    conv->weights = zeros(conv->weights_count);
    if (!conv->weights)
        return -1;
    pack_weights(conv, post->weights_in_file, weights);
    if (!post->bias)
        return 0;
    conv->bias = zeros(m);
    if (!conv->bias)
        return -1;
    memcpy(conv->bias, post->bias, m * sizeof *post->bias);
    return 0;
}

struct conv *conv_open_with(const struct conv_algorithm *algorithm,
                            const struct conv_shape *shape,
                            const struct conv_post *post, const void *weights,
                            int batch_max, struct err *err) {
    if (conv_check(shape, batch_max, err) < 0)
        return NULL;
    struct conv *conv = calloc(1, sizeof *conv);
    if (!conv)
        goto fail;
    conv->shape = *shape;
    if (shape->out_pitch == 0)
        conv->shape.out_pitch = shape->channels_out;
    conv->batch_max = batch_max;
    conv->kernels = kernels_for(isa_pick());
    conv->residual = post->residual;
    conv->activation = post->activation;
    conv->bounded =
        activation_bounds(&conv->activation, &conv->low, &conv->high);
    conv->algorithm = algorithm ? algorithm : fastest(conv);
    if (pack(conv, post, weights) < 0)
        goto fail;
    return conv;

fail:
    err_set(err, "no memory for the weights of a convolution");
    conv_close(conv);
    return NULL;
}

double conv_seconds(const struct conv_shape *shape, int batch) {
    struct conv conv = {.shape = *shape,
                        .batch_max = batch,
                        .kernels = kernels_for(isa_pick())};
    if (conv_check(shape, batch, NULL) < 0)
        return 0;
    if (shape->out_pitch == 0)
        conv.shape.out_pitch = shape->channels_out;
    return fastest(&conv)->estimate(&conv);
}

struct conv *conv_open(const struct conv_shape *shape,
                       const struct conv_post *post, const void *weights,
                       int batch_max, struct err *err) {
    return conv_open_with(NULL, shape, post, weights, batch_max, err);
}

void conv_close(struct conv *conv) {
    if (!conv)
        return;
    free(conv->bias);
    free(conv->weights);
    free(conv);
}

const char *conv_algorithm(const struct conv *conv) {
    return conv->algorithm->name;
}

size_t conv_scratch(const struct conv *conv) {
    size_t bytes = conv->algorithm->scratch(conv) * sizeof(float);
    return (bytes + 63) / 64 * 64;
}

size_t conv_memory(const struct conv *conv) {
    return conv->weights_count * sizeof(float);
}

void conv_finish(const struct conv *conv, float *y, size_t pixels) {
    size_t channels = (size_t)conv->shape.channels_out;
    size_t pitch = (size_t)conv->shape.out_pitch;

    if (conv->bounded)
        return;
    if (pitch == channels) {
        conv->kernels->activate(&conv->activation, y, y, pixels * channels);
        return;
    }
    for (; pixels > 0; pixels--, y += pitch)
        conv->kernels->activate(&conv->activation, y, y, channels);
}

void conv_run(const struct conv *conv, int batch, const float *x,
              const float *residual, float *y, void *scratch) {
    conv->algorithm->run(conv, batch, x, conv->residual ? residual : NULL, y,
                         scratch);
}
