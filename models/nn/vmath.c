#include "models/nn/vmath.h"

#include <math.h>

static float clip(float x, float low, float high) {
    return x < low ? low : x > high ? high : x;
}

static float sigmoid(float x) {
    return 1.0f / (1.0f + expf(-x));
}

static float activate(const struct activation *a, float x) {
    switch (a->kind) {
    case ACTIVATION_RELU:
        return x < 0 ? 0 : x;
    case ACTIVATION_CLIP:
        return clip(x, a->alpha, a->beta);
    case ACTIVATION_LEAKY_RELU:
        return x < 0 ? a->alpha * x : x;
    case ACTIVATION_ELU:
        return x < 0 ? a->alpha * expm1f(x) : x;
    case ACTIVATION_SIGMOID:
        return sigmoid(x);
    case ACTIVATION_HARD_SIGMOID:
        return clip(a->alpha * x + a->beta, 0, 1);
    case ACTIVATION_TANH:
        return tanhf(x);
    case ACTIVATION_GELU:
        return 0.5f * x * (1 + erff(x * 0.70710678f));
    case ACTIVATION_GELU_TANH:
        return 0.5f * x *
               (1 + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
    case ACTIVATION_SILU:
        return x * sigmoid(x);
    case ACTIVATION_HARD_SWISH:
        return x * clip(x / 6 + 0.5f, 0, 1);
    case ACTIVATION_MISH:
        return x * tanhf(log1pf(expf(x)));
    default:
        return x;
    }
}

void vmath_exp(const float *x, float *y, size_t count) {
    for (size_t i = 0; i < count; i++)
        y[i] = expf(x[i]);
}

void vmath_erf(const float *x, float *y, size_t count) {
    for (size_t i = 0; i < count; i++)
        y[i] = erff(x[i]);
}

void vmath_activate(const struct activation *a, const float *x, float *y,
                    size_t count) {
    for (size_t i = 0; i < count; i++)
        y[i] = activate(a, x[i]);
}

void vmath_add(const float *a, const float *b, float *y, size_t count,
               const struct activation *then) {
    for (size_t i = 0; i < count; i++)
        y[i] = a[i] + b[i];
    if (then)
        vmath_activate(then, y, y, count);
}

void vmath_mul(const float *a, const float *b, float *y, size_t count,
               const struct activation *then) {
    for (size_t i = 0; i < count; i++)
        y[i] = a[i] * b[i];
    if (then)
        vmath_activate(then, y, y, count);
}

void vmath_scale_shift(const float *x, float *y, size_t rows, size_t columns,
                       const float *scale, const float *shift,
                       const struct activation *then) {
    for (size_t r = 0; r < rows; r++, x += columns, y += columns)
        for (size_t c = 0; c < columns; c++) {
            float v = x[c] * (scale ? scale[c] : 1) + (shift ? shift[c] : 0);
            y[c] = then ? activate(then, v) : v;
        }
}

static float largest(const float *x, size_t count) {
    float most = x[0];
    for (size_t i = 1; i < count; i++)
        most = x[i] > most ? x[i] : most;
    return most;
}

void vmath_softmax(const float *x, float *y, size_t rows, size_t columns) {
    for (size_t r = 0; r < rows; r++, x += columns, y += columns) {
        float most = largest(x, columns), sum = 0;
        for (size_t c = 0; c < columns; c++)
            sum += y[c] = expf(x[c] - most);
        for (size_t c = 0; c < columns; c++)
            y[c] /= sum;
    }
}

void vmath_log_softmax(const float *x, float *y, size_t rows, size_t columns) {
    for (size_t r = 0; r < rows; r++, x += columns, y += columns) {
        float most = largest(x, columns), sum = 0;
        for (size_t c = 0; c < columns; c++)
            sum += expf(x[c] - most);
        float shift = most + logf(sum);
        for (size_t c = 0; c < columns; c++)
            y[c] = x[c] - shift;
    }
}
