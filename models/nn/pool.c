#include "models/nn/pool.h"

#include <math.h>
#include <stddef.h>

int pool_out_size(int size, int kernel, int stride, int dilation,
                  int pad_before, int pad_after, bool ceil_mode) {
    long long room = (long long)size + pad_before + pad_after -
                     ((long long)kernel - 1) * dilation - 1;
    if (room < 0)
        return 0;
    long long count = (room + (ceil_mode ? stride - 1 : 0)) / stride + 1;
    if (ceil_mode && (count - 1) * stride >= (long long)size + pad_before)
        count--;
    return (int)count;
}

/* The taps first..last-1 of a window along one side that are inside, and the
 * number of those that are inside or padding. */
struct span {
    int start, first, last, padded;
};

static struct span span_at(int index, int size, int kernel, int stride,
                           int dilation, int pad_before, int pad_after) {
    struct span s = {.start = index * stride - pad_before, .last = kernel};
    if (s.start < 0)
        s.first = (-s.start + dilation - 1) / dilation;
    while (s.last > s.first && s.start + (s.last - 1) * dilation >= size)
        s.last--;
    s.padded = kernel;
    while (s.padded > 0 &&
           s.start + (s.padded - 1) * dilation >= size + pad_after)
        s.padded--;
    return s;
}

static float larger(float a, float b) {
    return a > b || isnan(a) ? a : b;
}

static float sum(float a, float b) {
    return a + b;
}

static void window(const struct pool_shape *s, const float *image,
                   struct span rows, struct span columns, float start,
                   float (*combine)(float, float), float *y) {
    for (int c = 0; c < s->channels; c++)
        y[c] = start;
    for (int i = rows.first; i < rows.last; i++)
        for (int j = columns.first; j < columns.last; j++) {
            int row = rows.start + i * s->dilation[0];
            int column = columns.start + j * s->dilation[1];
            const float *pixel =
                image + ((size_t)row * s->width + column) * s->channels;
            for (int c = 0; c < s->channels; c++)
                y[c] = combine(y[c], pixel[c]);
        }
}

static void run(const struct pool_shape *s, int batch, const float *x, float *y,
                float start, float (*combine)(float, float), bool mean) {
    size_t image = (size_t)s->height * s->width * s->channels;

    for (int n = 0; n < batch; n++, x += image)
        for (int i = 0; i < s->out_height; i++) {
            struct span rows =
                span_at(i, s->height, s->kernel[0], s->stride[0],
                        s->dilation[0], s->pad_top, s->pad_bottom);
            for (int j = 0; j < s->out_width; j++, y += s->channels) {
                struct span columns =
                    span_at(j, s->width, s->kernel[1], s->stride[1],
                            s->dilation[1], s->pad_left, s->pad_right);
                window(s, x, rows, columns, start, combine, y);
                int divisor = s->count_include_pad
                                  ? rows.padded * columns.padded
                                  : (rows.last - rows.first) *
                                        (columns.last - columns.first);
                for (int c = 0; mean && c < s->channels; c++)
                    y[c] /= (float)divisor;
            }
        }
}

void pool_max(const struct pool_shape *shape, int batch, const float *x,
              float *y) {
    run(shape, batch, x, y, -INFINITY, larger, false);
}

void pool_average(const struct pool_shape *shape, int batch, const float *x,
                  float *y) {
    run(shape, batch, x, y, 0.0f, sum, true);
}

static struct pool_shape whole(int pixels, int channels) {
    return (struct pool_shape){.channels = channels,
                               .height = 1,
                               .width = pixels,
                               .kernel = {1, pixels},
                               .stride = {1, 1},
                               .dilation = {1, 1},
                               .out_height = 1,
                               .out_width = 1};
}

void pool_global_average(int batch, int pixels, int channels, const float *x,
                         float *y) {
    struct pool_shape shape = whole(pixels, channels);
    pool_average(&shape, batch, x, y);
}

void pool_global_max(int batch, int pixels, int channels, const float *x,
                     float *y) {
    struct pool_shape shape = whole(pixels, channels);
    pool_max(&shape, batch, x, y);
}
