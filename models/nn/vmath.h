/*
 * vmath: functions on arrays of floats, as fast as the processor allows.
 *
 *     vmath_exp(x, y, count);
 *     vmath_add(a, b, y, count, &(struct activation){ACTIVATION_RELU});
 *     vmath_softmax(scores, probabilities, batch, classes);
 *
 * y may be one of the inputs. No alignment is needed, and nothing beyond
 * `count` numbers is read or written. Results are within 2 units in the last
 * place of the exact ones (4 for tanh, sigmoid and what is built on them),
 * infinities and NaN go where the C library takes them.
 *
 * The instruction set is the best that the processor has, or CONVOY_ISA (see
 * isa.h).
 */
#ifndef CONVOY_NN_VMATH_H
#define CONVOY_NN_VMATH_H

#include "models/nn/activation.h"
#include "models/nn/quantised.h"

#include <stddef.h>

void vmath_exp(const float *x, float *y, size_t count);
void vmath_erf(const float *x, float *y, size_t count);

/* y = a(x): tanh, sigmoid, GELU and the others are reached through this. */
void vmath_activate(const struct activation *a, const float *x, float *y,
                    size_t count);

/* y = then(a + b), y = then(a * b); `then` may be NULL. */
void vmath_add(const float *a, const float *b, float *y, size_t count,
               const struct activation *then);
void vmath_mul(const float *a, const float *b, float *y, size_t count,
               const struct activation *then);

/* y = then(x * scale + shift) with scale and shift (columns) the same for every
 * row of x (rows, columns); each of the three may be NULL. Channels last this
 * is batch normalisation, and with one call an image the gate of
 * squeeze-and-excitation. */
void vmath_scale_shift(const float *x, size_t x_pitch, float *y, size_t rows,
                       size_t columns, const float *scale, const float *shift,
                       const struct activation *then);

/* Bytes of quantised.h from floats, x / scale, and back. */
void vmath_quantise(const float *x, float scale, const struct byte_range *range,
                    void *y, size_t count);
void vmath_dequantise(const void *x, const struct byte_range *range,
                      float scale, float *y, size_t count);
void vmath_rescale(const struct byte_rescale *by, const void *x, void *y,
                   size_t count);
void vmath_add_bytes(const struct byte_sum *sum, const void *a, const void *b,
                     void *y, size_t count);

/* Every row of x (rows, columns) becomes exp(x) / sum(exp(x)), or the
 * logarithm of that; the largest number of the row is taken off first. */
void vmath_softmax(const float *x, float *y, size_t rows, size_t columns);
void vmath_log_softmax(const float *x, float *y, size_t rows, size_t columns);

/* Rows of `columns` numbers to mean 0 and deviation 1, then scale (columns) and
 * shift (columns, or NULL). means and inverses (of the deviations): (rows), or
 * NULL. */
void vmath_layer_norm(const float *x, float *y, size_t rows, size_t columns,
                      const float *scale, const float *shift, float epsilon,
                      float *means, float *inverses);

#endif
