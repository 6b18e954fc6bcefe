/*
 * quantised: the arithmetic of quantised numbers, as ONNX defines it and ONNX
 * Runtime computes it, so that both give the same bytes.
 *
 *     real = scale * (byte - zero)
 *
 * All of it is in float32 and rounds to nearest, ties to even; what does not
 * fit a byte becomes the nearest that does.
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

/* x counts steps of the scale. NaN becomes the lowest. */
static inline uint8_t byte_put(const struct byte_range *range, float x) {
    const float bounded = fminf(fmaxf(x, range->low), range->high);
    return (uint8_t)((int)rintf(bounded) + range->zero);
}

#endif
