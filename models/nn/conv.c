#include "models/nn/conv.h"

#include "models/nn/vmath.h"

#include <stdlib.h>
#include <string.h>

struct conv {
    struct conv_shape shape;
    struct activation activation;
    size_t memory;
    float *bias;    /* (channels_out), zeros where there is none */
    float *weights; /* (rows, columns, channels_in / groups, channels_out) */
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

static int check(const struct conv_shape *s, int batch_max, struct err *err) {
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
    return 0;
}

static void pack(struct conv *conv, const float *weights) {
    const struct conv_shape *s = &conv->shape;
    int depth = s->channels_in / s->groups, taps = s->kernel[0] * s->kernel[1];
    for (int m = 0; m < s->channels_out; m++)
        for (int c = 0; c < depth; c++)
            for (int t = 0; t < taps; t++)
                conv->weights[((size_t)t * depth + c) * s->channels_out + m] =
                    weights[((size_t)m * depth + c) * taps + t];
}

struct conv *conv_open(const struct conv_shape *shape,
                       const struct conv_post *post, const float *weights,
                       int batch_max, struct err *err) {
    if (check(shape, batch_max, err) < 0)
        return NULL;
    struct conv *conv = calloc(1, sizeof *conv);
    if (!conv)
        goto no_memory;
    conv->shape = *shape;
    conv->activation = post->activation;
    size_t m = (size_t)shape->channels_out;
    size_t count = m * (size_t)(shape->channels_in / shape->groups) *
                   (size_t)(shape->kernel[0] * shape->kernel[1]);
    conv->memory = (m + count) * sizeof(float);
    conv->bias = calloc(m, sizeof(float));
    conv->weights = malloc(count * sizeof(float));
    if (!conv->bias || !conv->weights)
        goto no_memory;
    if (post->bias)
        memcpy(conv->bias, post->bias, m * sizeof(float));
    pack(conv, weights);
    return conv;

no_memory:
    err_set(err, "no memory for a convolution's weights");
    conv_close(conv);
    return NULL;
}

void conv_close(struct conv *conv) {
    if (!conv)
        return;
    free(conv->bias);
    free(conv->weights);
    free(conv);
}

const char *conv_algorithm(const struct conv *conv) {
    (void)conv;
    return "direct";
}

size_t conv_scratch(const struct conv *conv) {
    (void)conv;
    return 0;
}

size_t conv_memory(const struct conv *conv) {
    return conv->memory;
}

/* y (channels_out of one group) += pixel (channels of that group) * tap. */
static void add_tap(int depth, int columns, int stride, const float *pixel,
                    const float *tap, float *y) {
    for (int c = 0; c < depth; c++, tap += stride)
        for (int m = 0; m < columns; m++)
            y[m] += pixel[c] * tap[m];
}

static void output_pixel(const struct conv *conv, const float *image, int top,
                         int left, float *y) {
    const struct conv_shape *s = &conv->shape;
    int depth = s->channels_in / s->groups;
    int columns = s->channels_out / s->groups;

    for (int i = 0; i < s->kernel[0]; i++)
        for (int j = 0; j < s->kernel[1]; j++) {
            int row = top + i * s->dilation[0];
            int column = left + j * s->dilation[1];
            if (row < 0 || row >= s->height || column < 0 || column >= s->width)
                continue;
            const float *pixel =
                image + ((size_t)row * s->width + column) * s->channels_in;
            const float *tap = conv->weights + (size_t)(i * s->kernel[1] + j) *
                                                   depth * s->channels_out;
            for (int g = 0; g < s->groups; g++)
                add_tap(depth, columns, s->channels_out, pixel + g * depth,
                        tap + g * columns, y + g * columns);
        }
}

void conv_run(const struct conv *conv, int batch, const float *x,
              const float *residual, float *y, void *scratch) {
    const struct conv_shape *s = &conv->shape;
    size_t in = (size_t)s->height * s->width * s->channels_in;
    size_t m = (size_t)s->channels_out;
    size_t pixels = (size_t)s->out_height * s->out_width;
    (void)scratch;

    for (int n = 0; n < batch; n++, x += in)
        for (size_t p = 0; p < pixels; p++, y += m) {
            if (residual)
                vmath_add(residual, conv->bias, y, m, NULL);
            else
                memcpy(y, conv->bias, m * sizeof *y);
            output_pixel(
                conv, x, (int)(p / s->out_width) * s->stride[0] - s->pad_top,
                (int)(p % s->out_width) * s->stride[1] - s->pad_left, y);
            vmath_activate(&conv->activation, y, y, m);
            if (residual)
                residual += m;
        }
}
