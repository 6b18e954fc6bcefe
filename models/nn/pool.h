/*
 * pool: maximum and average over windows, channels last.
 *
 *     struct pool_shape shape = {.channels = 64, .height = 112, .width = 112,
 *                                .kernel = {3, 3}, .stride = {2, 2},
 *                                .dilation = {1, 1}, .pad_top = 1,
 *                                .pad_left = 1, ...};
 *     shape.out_height = pool_out_size(112, 3, 2, 1, 1, 1, false);
 *     shape.out_width = ...
 *     pool_max(&shape, batch, x, y);
 *
 * x (batch, height, width, channels), y (batch, out_height, out_width,
 * channels), float32 where nothing else is said. Nothing is allocated; any
 * number of threads.
 */
#ifndef CONVOY_NN_POOL_H
#define CONVOY_NN_POOL_H

#include <stdbool.h>

struct pool_shape {
    int channels, height, width;
    int kernel[2], stride[2], dilation[2]; /* rows, columns */
    int pad_top, pad_left, pad_bottom, pad_right;
    int out_height, out_width;
    bool count_include_pad; /* of the average: padding counts as zeros */
};

/* Outputs along one side. With ceil_mode a last window that is only partly
 * inside counts, but not one that would start in the padding behind. 0 or less
 * where the kernel does not fit. */
int pool_out_size(int size, int kernel, int stride, int dilation,
                  int pad_before, int pad_after, bool ceil_mode);

/* The maximum of what is inside; padding never wins. NaN where there is one. */
void pool_max(const struct pool_shape *shape, int batch, const float *x,
              float *y);

/* The same of int8 or uint8; the least byte where nothing is inside. */
void pool_max_bytes(const struct pool_shape *shape, int batch, bool is_signed,
                    const void *x, void *y);

/* The mean of what is inside; with count_include_pad the divisor counts padding
 * as well, but not what ceil_mode adds beyond it (as PyTorch has it). */
void pool_average(const struct pool_shape *shape, int batch, const float *x,
                  float *y);

/* y (batch, channels): the mean of each channel over `pixels` positions. */
void pool_global_average(int batch, int pixels, int channels, const float *x,
                         float *y);

/* The same with the maximum. */
void pool_global_max(int batch, int pixels, int channels, const float *x,
                     float *y);

#endif
