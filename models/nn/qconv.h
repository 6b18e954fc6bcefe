/*
 * qconv: two-dimensional convolution of bytes, channels last, with constant
 * weights; the sums are exact in int32.
 *
 *     struct qconv_numbers numbers = {.x = NN_UINT8, .w = NN_INT8,
 *                                     .w_zeros = zeros, .bias = bias,
 *                                     .scales = scales,
 *                                     .y = byte_range(NN_UINT8, 3)};
 *     struct qconv *q = qconv_open(&shape, &numbers, weights, 8, &err);
 *     void *scratch = aligned_alloc(64, qconv_scratch(q));
 *     qconv_run(q, 8, x, 128, y, scratch);
 *     qconv_close(q);
 *
 * With the zero points taken off x and w,
 *
 *     y = convolution(x, w) + bias                                 (int32)
 *     y = round((convolution(x, w) + bias) * scales) + zero of y   (bytes)
 *
 * The shape, opening, sharing and running are as conv.h has them. Where the
 * processor multiplies bytes (AVX-512 VNNI) and the weights less their zero
 * points fit int8, it does; otherwise both sides are widened to int16.
 */
#ifndef CONVOY_NN_QCONV_H
#define CONVOY_NN_QCONV_H

#include "models/nn/conv.h"
#include "models/nn/quantised.h"

struct qconv_numbers {
    enum nn_type x, w;   /* NN_UINT8 or NN_INT8 */
    const int *w_zeros;  /* (channels_out) */
    const int32_t *bias; /* (channels_out), or NULL */
    const float *scales; /* (channels_out); NULL: y is int32 */
    struct byte_range y;
};

struct qconv;

/* weights (channels_out, channels_in / groups, kernel rows, columns) */
struct qconv *qconv_open(const struct conv_shape *shape,
                         const struct qconv_numbers *numbers,
                         const void *weights, int batch_max, struct err *err);
void qconv_close(struct qconv *q);

const char *qconv_algorithm(const struct qconv *q); /* "vnni", "words" ... */
size_t qconv_scratch(const struct qconv *q);
size_t qconv_memory(const struct qconv *q);

/* x_zero: the zero point of x. */
void qconv_run(const struct qconv *q, int batch, const void *x, int x_zero,
               void *y, void *scratch);

#endif
