/* Depthwise convolution: a group for every channel. Row by row, so that what
 * remains of the activation is done while the row is in cache. */
#include "models/nn/conv_algorithm.h"

#include <string.h>

static bool fits(const struct conv *conv) {
    const struct conv_shape *s = &conv->shape;
    return s->groups == s->channels_in && s->channels_out == s->channels_in;
}

static size_t count_weights(const struct conv *conv) {
    const struct conv_shape *s = &conv->shape;
    return (size_t)s->kernel[0] * (size_t)s->kernel[1] * (size_t)s->channels_in;
}

static double estimate(const struct conv *conv) {
    (void)conv;
    return 0; /* nothing else comes near */
}

static void pack(struct conv *conv, const void *weights, int first, int end) {
    const struct conv_shape *s = &conv->shape;
    int taps = s->kernel[0] * s->kernel[1];
    for (int c = first; c < end; c++)
        for (int t = 0; t < taps; t++)
            conv->weights[(size_t)t * (size_t)s->channels_in + (size_t)c] =
                tensor_float(weights, (size_t)(c * taps + t));
}

/* Zeros for a pixel of padding. */
static size_t scratch(const struct conv *conv) {
    return (size_t)conv->shape.channels_in;
}

static void run(const struct conv *conv, int batch, const float *x,
                const float *residual, float *y, float *zeros) {
    const struct conv_shape *s = &conv->shape;
    size_t channels = (size_t)s->channels_in;
    size_t row = (size_t)s->out_width * (size_t)s->out_pitch;
    size_t image = (size_t)s->out_height * row;
    memset(zeros, 0, channels * sizeof *zeros);

    for (int n = 0; n < batch; n++) {
        struct depthwise_call call = {
            .shape = s,
            .x =
                x + (size_t)n * (size_t)s->height * (size_t)s->width * channels,
            .weights = conv->weights,
            .bias = conv->bias,
            .residual = residual ? residual + (size_t)n * image : NULL,
            .zeros = zeros,
            .y = y + (size_t)n * image,
            .low = conv->low,
            .high = conv->high,
        };
        for (; call.row < s->out_height; call.row++) {
            conv->kernels->depthwise(&call);
            conv_finish(conv, call.y + (size_t)call.row * row,
                        (size_t)s->out_width);
        }
    }
}

const struct conv_algorithm conv_depthwise = {
    .name = "depthwise",
    .fits = fits,
    .estimate = estimate,
    .weights_count = count_weights,
    .pack = pack,
    .scratch = scratch,
    .run = run,
};
