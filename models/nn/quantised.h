/*
 * quantised: the arithmetic of quantised numbers, as ONNX defines it and ONNX
 * Runtime computes it, so that both give the same bytes.
 *
 *     real = scale * (byte - zero)
 *
 * All of it is in float32 and rounds to nearest, ties to even; what does not
 * fit a byte becomes the nearest that does, and NaN the lowest one.
 */
#ifndef CONVOY_NN_QUANTISED_H
#define CONVOY_NN_QUANTISED_H

#include "models/nn/tensor.h"

#include <math.h>

#define TYPES_BYTE (1u << NN_UINT8 | 1u << NN_INT8)

/* The range of a byte, and where zero is in it. */
struct byte_range {
    enum nn_type type; /* NN_UINT8 or NN_INT8 */
    int zero;
    float low, high; /* of a number before the zero point is added */
};

static inline struct byte_range byte_range(enum nn_type type, int zero) {
    const int least = type == NN_INT8 ? -128 : 0;
    return (struct byte_range){type, zero, (float)(least - zero),
                               (float)(least + 255 - zero)};
}

/* x counts steps of the scale. */
static inline uint8_t byte_put(const struct byte_range *range, float x) {
    const float bounded = fminf(fmaxf(x, range->low), range->high);
    return (uint8_t)((int)rintf(bounded) + range->zero);
}

/* Bytes a and b of one type, of different scales and zero points, added:
 *
 *     y = round(shift + a * of_a + b * of_b)
 *
 * with the zero points of all three in `shift`. */
struct byte_sum {
    enum nn_type type;
    float of_a, of_b, shift;
};

/* From the inputs of QLinearAdd: a, its scale and zero point, b and its, and
 * those of the result. */
struct byte_sum byte_sum_of(const struct tensor *const inputs[8]);

/* Bytes of one scale as bytes of another: DequantizeLinear and QuantizeLinear
 * one after the other. */
struct byte_rescale {
    struct byte_range from, to;
    float from_scale, to_scale;
};

/* From the inputs of QLinearRescale: x, its scale and zero point, and those of
 * the result; x itself is not looked at. */
struct byte_rescale byte_rescale_of(const struct tensor *const inputs[5]);

/* Where an operator of ops_qlinear.c (its row's `kernel`) has which input; -1:
 * nowhere. */
struct byte_operands {
    int x, w, x_zero, w_zero;
    int x_scale, w_scale, y_scale, y_zero, bias;
};

#endif
