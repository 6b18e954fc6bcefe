/*
 * GELU, the exact form x * Phi(x) with the normal distribution's Phi
 * (Hendrycks and Gimpel 2016, arXiv 1606.08415), as PyTorch computes it by
 * default. Phi comes from Abramowitz and Stegun 7.1.26 (absolute error below
 * 1.5e-7), whose exponential is the one that the derivative
 * Phi(x) + x * exp(-x^2 / 2) / sqrt(2 pi) needs as well.
 */
#include "models/train/layer.h"
#include "models/train/simd.h"

#define INV_SQRT2 0.70710678f
#define INV_SQRT_2PI 0.39894228f

/* exp(x) for x in [-87, 0], relative error about 1e-7: 2^n * 2^f with f in
 * [-1/2, 1/2] by its Taylor polynomial. */
SIMD_INLINE void vec_exp(const vec *x, vec *out) {
    vec scaled = *x * 1.44269504f;
    vec shifted = scaled + 12582912.0f; /* 1.5 * 2^23: rounds to an integer */
    vec n = shifted - 12582912.0f;
    vec f = (scaled - n) * 0.69314718f;
    vec p = 1.0f / 720 + f * (1.0f / 5040);
    p = 1.0f / 120 + f * p;
    p = 1.0f / 24 + f * p;
    p = 1.0f / 6 + f * p;
    p = 0.5f + f * p;
    p = 1.0f + f * p;
    p = 1.0f + f * p;
    vec_int exponent = __builtin_convertvector(n, vec_int) << 23;
    *out = (vec)((vec_int)p + exponent);
}

/* Phi(x), and exp(-x^2 / 2). */
SIMD_INLINE void vec_normal(const vec *x, vec *phi, vec *density) {
    vec_int negative = *x < 0.0f;
    vec z = (vec)((vec_int)*x & 0x7fffffff);
    vec_int far = z > 13.0f; /* exp(-84.5): the tail is nothing */
    z = (vec)(((vec_int)z & ~far) | ((vec_int)(vec){0} & far));
    vec power = z * z * -0.5f;
    vec e;
    vec_exp(&power, &e);
    e = (vec)((vec_int)e & ~far);
    vec t = 1.0f / (1.0f + (0.3275911f * INV_SQRT2) * z);
    vec p = -1.453152027f + t * 1.061405429f;
    p = 1.421413741f + t * p;
    p = -0.284496736f + t * p;
    p = 0.254829592f + t * p;
    vec tail = 0.5f * (p * t * e);
    vec upper = 1.0f - tail;
    *phi = (vec)(((vec_int)tail & negative) | ((vec_int)upper & ~negative));
    *density = e;
}

static int gelu_plan(struct layer *l, struct err *err) {
    (void)err;
    l->out = l->in;
    return 0;
}

SIMD_CLONES
static void gelu(const float *x, float *y, size_t count) {
    size_t i = 0;
    vec in, phi, density;
    for (; i + SIMD_LANES <= count; i += SIMD_LANES) {
        in = *(const vec *)(x + i);
        vec_normal(&in, &phi, &density);
        *(vec *)(y + i) = in * phi;
    }
    if (i < count) {
        size_t left = (count - i) * sizeof *x;
        in = (vec){0};
        memcpy(&in, x + i, left);
        vec_normal(&in, &phi, &density);
        in *= phi;
        memcpy(y + i, &in, left);
    }
}

SIMD_CLONES
static void gelu_gradient(const float *x, const float *dy, float *dx,
                          size_t count) {
    size_t i = 0;
    vec in, phi, density;
    for (; i + SIMD_LANES <= count; i += SIMD_LANES) {
        in = *(const vec *)(x + i);
        vec_normal(&in, &phi, &density);
        *(vec *)(dx + i) =
            *(const vec *)(dy + i) * (phi + in * density * INV_SQRT_2PI);
    }
    if (i < count) {
        size_t left = (count - i) * sizeof *x;
        vec dout = {0};
        in = (vec){0};
        memcpy(&in, x + i, left);
        memcpy(&dout, dy + i, left);
        vec_normal(&in, &phi, &density);
        dout *= phi + in * density * INV_SQRT_2PI;
        memcpy(dx + i, &dout, left);
    }
}

static void gelu_forward(struct layer *l, const struct slice *s, const float *x,
                         float *y) {
    gelu(x, y, (size_t)s->count * shape_size(l->in));
}

static void gelu_backward(struct layer *l, const struct slice *s,
                          const float *x, const float *dy, float *dx) {
    if (dx)
        gelu_gradient(x, dy, dx, (size_t)s->count * shape_size(l->in));
}

const struct layer_kind layer_gelu = {
    .name = "gelu",
    .keeps_input = true,
    .plan = gelu_plan,
    .forward = gelu_forward,
    .backward = gelu_backward,
};
