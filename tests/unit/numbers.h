/* What the tests of the numeric kernels share: random numbers, and every
 * instruction set in turn. */
#ifndef CONVOY_TESTS_NUMBERS_H
#define CONVOY_TESTS_NUMBERS_H

#include "models/nn/activation.h"
#include "models/nn/isa.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static inline uint32_t random_bits(uint32_t *state) {
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

/* In low..high. */
static inline int random_int(uint32_t *state, int low, int high) {
    return low + (int)(random_bits(state) % (uint32_t)(high - low + 1));
}

/* In -scale..scale; a block of exactly this size, so that a sanitizer sees a
 * read beyond it. */
static inline float *random_floats(uint32_t *state, size_t count, float scale) {
    float *x = malloc(count * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < count; i++)
        x[i] = ((float)random_bits(state) / (1 << 23) - 1.0f) * scale;
    return x;
}

/* Calls test() once for each instruction set that this processor has. */
static inline void on_every_isa(void (*test)(void)) {
    for (int i = ISA_GENERIC; i <= ISA_AVX512; i++) {
        setenv("CONVOY_ISA", isa_name((enum isa)i), 1);
        if (isa_pick() != (enum isa)i) {
            print_message("no %s here\n", isa_name((enum isa)i));
            continue;
        }
        test();
    }
    unsetenv("CONVOY_ISA");
}

/* The definition of an activation, by the C library in double precision. */
static inline double exact_activation(const struct activation *a, double x) {
    double gate = 1 / (1 + exp(-x));
    switch (a->kind) {
    case ACTIVATION_RELU:
        return fmax(x, 0);
    case ACTIVATION_CLIP:
        return fmin(fmax(x, (double)a->alpha), (double)a->beta);
    case ACTIVATION_LEAKY_RELU:
        return x < 0 ? (double)a->alpha * x : x;
    case ACTIVATION_ELU:
        return x < 0 ? (double)a->alpha * expm1(x) : x;
    case ACTIVATION_SIGMOID:
        return gate;
    case ACTIVATION_HARD_SIGMOID:
        return fmin(fmax((double)a->alpha * x + (double)a->beta, 0), 1);
    case ACTIVATION_TANH:
        return tanh(x);
    case ACTIVATION_GELU:
        return x / 2 * (1 + erf(x / sqrt(2)));
    case ACTIVATION_GELU_TANH:
        return x / 2 *
               (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
    case ACTIVATION_SILU:
        return x * gate;
    case ACTIVATION_HARD_SWISH:
        return x * fmin(fmax(x / 6 + 0.5, 0), 1);
    case ACTIVATION_MISH:
        return x * tanh(log1p(exp(x)));
    default:
        return x;
    }
}

#endif
