#include "models/nn/vmath.h"

#include "models/nn/kernels/kernels.h"

#include <math.h>

/* Numbers that are still in the first cache when an activation follows. */
#define BLOCK 2048

static const struct kernels *kernels(void) {
    return kernels_for(isa_pick());
}

void vmath_exp(const float *x, float *y, size_t count) {
    kernels()->exp(x, y, count);
}

void vmath_erf(const float *x, float *y, size_t count) {
    kernels()->erf(x, y, count);
}

void vmath_activate(const struct activation *a, const float *x, float *y,
                    size_t count) {
    kernels()->activate(a, x, y, count);
}

/* y = then(operation(a, b)). */
static void combine(void (*operation)(const float *a, const float *b, float *y,
                                      size_t count, float low, float high),
                    const float *a, const float *b, float *y, size_t count,
                    const struct activation *then) {
    static const struct activation none = {ACTIVATION_NONE, 0, 0};
    float low, high;
    bool bounded = activation_bounds(then ? then : &none, &low, &high);

    for (size_t at = 0; at < count; at += BLOCK) {
        size_t n = count - at < BLOCK ? count - at : BLOCK;
        operation(a + at, b + at, y + at, n, low, high);
        if (!bounded)
            kernels()->activate(then, y + at, y + at, n);
    }
}

void vmath_add(const float *a, const float *b, float *y, size_t count,
               const struct activation *then) {
    combine(kernels()->add, a, b, y, count, then);
}

void vmath_mul(const float *a, const float *b, float *y, size_t count,
               const struct activation *then) {
    combine(kernels()->mul, a, b, y, count, then);
}

void vmath_scale_shift(const float *x, size_t x_pitch, float *y, size_t rows,
                       size_t columns, const float *scale, const float *shift,
                       const struct activation *then) {
    static const struct activation none = {ACTIVATION_NONE, 0, 0};
    const struct kernels *k = kernels();
    float low, high;
    bool bounded = activation_bounds(then ? then : &none, &low, &high);

    for (size_t r = 0; r < rows; r++, x += x_pitch, y += columns) {
        k->scale_shift(x, scale, shift, y, columns, low, high);
        if (!bounded)
            k->activate(then, y, y, columns);
    }
}

void vmath_quantise(const float *x, float scale, const struct byte_range *range,
                    void *y, size_t count) {
    kernels()->quantise(x, scale, range, y, count);
}

void vmath_dequantise(const void *x, const struct byte_range *range,
                      float scale, float *y, size_t count) {
    kernels()->dequantise(x, range, scale, y, count);
}

void vmath_rescale(const struct byte_rescale *by, const void *x, void *y,
                   size_t count) {
    kernels()->rescale(by, x, y, count);
}

void vmath_add_bytes(const struct byte_sum *sum, const void *a, const void *b,
                     void *y, size_t count) {
    kernels()->add_bytes(sum, a, b, y, count);
}

void vmath_softmax(const float *x, float *y, size_t rows, size_t columns) {
    const struct kernels *k = kernels();
    for (size_t r = 0; r < rows; r++, x += columns, y += columns) {
        float sum = k->exp_sum(x, k->largest(x, columns), y, columns);
        for (size_t c = 0; c < columns; c++)
            y[c] /= sum;
    }
}

void vmath_log_softmax(const float *x, float *y, size_t rows, size_t columns) {
    const struct kernels *k = kernels();
    for (size_t r = 0; r < rows; r++, x += columns, y += columns) {
        float most = k->largest(x, columns);
        float rest = logf(k->exp_sum(x, most, NULL, columns));
        for (size_t c = 0; c < columns; c++)
            y[c] = x[c] - most - rest;
    }
}

void vmath_layer_norm(const float *x, float *y, size_t rows, size_t columns,
                      const float *scale, const float *shift, float epsilon,
                      float *means, float *inverses) {
    const struct kernels *k = kernels();
    float moments[2];
    for (size_t r = 0; r < rows; r++, x += columns, y += columns) {
        k->normalise(x, scale, shift, y, columns, epsilon, moments);
        if (means)
            means[r] = moments[0];
        if (inverses)
            inverses[r] = moments[1];
    }
}
