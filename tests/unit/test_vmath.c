/* Functions on arrays, on every instruction set, against the C library in
 * double precision. */
#include "models/nn/vmath.h"

#include "tests/unit/numbers.h"

#include <float.h>

/* |y - exact| in units in the last place of the exact number. */
static double ulps(float y, double exact) {
    if (isinf((float)exact) || isnan(exact))
        return (isnan(exact) && isnan(y)) || y == (float)exact ? 0 : INFINITY;
    int exponent;
    frexp(exact, &exponent);
    double unit = ldexp(1, exponent - FLT_MANT_DIG);
    if (unit < ldexp(1, -149))
        unit = ldexp(1, -149);
    return fabs((double)y - exact) / unit;
}

/* Every 997th number of all floats from -limit to limit. */
static void sweep(void (*f)(const float *, float *, size_t),
                  double (*exact)(double), float limit, double bound) {
    for (uint64_t bits = 0; bits < UINT64_C(1) << 32; bits += 997 * 64) {
        float x[67], y[67];
        for (uint32_t i = 0; i < 67; i++) {
            uint32_t number = (uint32_t)bits + 997 * i;
            memcpy(&x[i], &number, sizeof number);
            if (!(fabsf(x[i]) <= limit))
                x[i] = limit;
        }
        f(x, y, 67);
        for (int i = 0; i < 67; i++)
            if (!(ulps(y[i], exact((double)x[i])) <= bound))
                fail_msg("at %.9g: %.9g, %g units from %.9g", (double)x[i],
                         (double)y[i], ulps(y[i], exact((double)x[i])),
                         exact((double)x[i]));
    }
}

static void exp_and_erf(void) {
    sweep(vmath_exp, exp, INFINITY, 2);
    sweep(vmath_erf, erf, INFINITY, 2);
}

static void vmath_exp_and_erf_are_within_two_units(void **state) {
    (void)state;
    on_every_isa(exp_and_erf);
}

static void v_tanh(const float *x, float *y, size_t count) {
    vmath_activate(&(struct activation){ACTIVATION_TANH, 0, 0}, x, y, count);
}

static void v_sigmoid(const float *x, float *y, size_t count) {
    vmath_activate(&(struct activation){ACTIVATION_SIGMOID, 0, 0}, x, y, count);
}

static void v_elu(const float *x, float *y, size_t count) {
    vmath_activate(&(struct activation){ACTIVATION_ELU, 1, 0}, x, y, count);
}

static double exact_sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

static double exact_elu(double x) {
    return x < 0 ? expm1(x) : x;
}

static void tanh_and_sigmoid(void) {
    sweep(v_tanh, tanh, INFINITY, 4);
    sweep(v_sigmoid, exact_sigmoid, 80, 4);
    sweep(v_elu, exact_elu, INFINITY, 4);
}

static void vmath_tanh_sigmoid_elu_are_within_four_units(void **state) {
    (void)state;
    on_every_isa(tanh_and_sigmoid);
}

/* Absolute, relative to max(1, |x|): near a zero of the function the terms
 * cancel. */
static void activations(void) {
    for (int kind = 0; kind < ACTIVATION_KINDS; kind++) {
        struct activation a = {(enum activation_kind)kind, 0.2f, 0.5f};
        for (float start = -100; start < 100; start += 1.37f) {
            float x[37], y[37];
            for (int i = 0; i < 37; i++)
                x[i] = start + (float)i * 0.037f;
            vmath_activate(&a, x, y, 37);
            for (int i = 0; i < 37; i++) {
                double exact = exact_activation(&a, (double)x[i]);
                double unit = fmax(1, fabs((double)x[i])) * 5e-7;
                if (!(fabs((double)y[i] - exact) <= unit))
                    fail_msg("activation %d at %.9g: %.9g, not %.9g", kind,
                             (double)x[i], (double)y[i], exact);
            }
        }
    }
}

static void vmath_activations_equal_the_definition(void **state) {
    (void)state;
    on_every_isa(activations);
}

static void nan_and_infinity(void) {
    for (int kind = 0; kind < ACTIVATION_KINDS; kind++) {
        struct activation a = {(enum activation_kind)kind, 0.2f, 0.5f};
        float x[2] = {NAN, 3e38f}, y[2];
        vmath_activate(&a, x, y, 2);
        if (!isnan(y[0]) || isnan(y[1]))
            fail_msg("activation %d: NaN becomes %g, 3e38 %g", kind,
                     (double)y[0], (double)y[1]);
    }
}

static void vmath_activations_keep_nan_and_only_that(void **state) {
    (void)state;
    on_every_isa(nan_and_infinity);
}

/* Every length up to three vectors, and one of several blocks. */
static void arithmetic(void) {
    uint32_t seed = 9;
    struct activation relu = {ACTIVATION_RELU, 0, 0};
    struct activation silu = {ACTIVATION_SILU, 0, 0};
    for (size_t n = 1; n < 5000; n = n < 50 ? n + 1 : n * 10) {
        float *a = random_floats(&seed, n, 3), *b = random_floats(&seed, n, 3);
        float *y = malloc(n * sizeof *y);
        assert_non_null(y);
        vmath_add(a, b, y, n, &relu);
        for (size_t i = 0; i < n; i++)
            assert_true(y[i] == fmaxf(a[i] + b[i], 0));
        vmath_mul(a, b, y, n, NULL);
        for (size_t i = 0; i < n; i++)
            assert_true(y[i] == a[i] * b[i]);
        vmath_add(a, b, y, n, &silu);
        for (size_t i = 0; i < n; i++)
            assert_true(fabs((double)y[i] -
                             exact_activation(&silu, (double)(a[i] + b[i]))) <
                        2e-6);
        vmath_add(a, b, a, n, NULL);
        vmath_mul(a, b, a, n, NULL);
        free(y);
        free(b);
        free(a);
    }
}

static void vmath_add_and_mul_take_any_length(void **state) {
    (void)state;
    on_every_isa(arithmetic);
}

static void scale_shift(void) {
    enum { ROWS = 3, COLUMNS = 45 };
    uint32_t seed = 4;
    float *x = random_floats(&seed, ROWS * COLUMNS, 2), y[ROWS * COLUMNS];
    float *scale = random_floats(&seed, COLUMNS, 2);
    float *shift = random_floats(&seed, COLUMNS, 2);
    struct activation clip = {ACTIVATION_CLIP, -1, 1.5f};
    for (int given = 0; given < 8; given++) {
        const float *s = given & 1 ? scale : NULL,
                    *t = given & 2 ? shift : NULL;
        const struct activation *then = given & 4 ? &clip : NULL;
        vmath_scale_shift(x, COLUMNS, y, ROWS, COLUMNS, s, t, then);
        for (int i = 0; i < ROWS * COLUMNS; i++) {
            int c = i % COLUMNS;
            double exact =
                (double)x[i] * (double)(s ? s[c] : 1) + (double)(t ? t[c] : 0);
            if (then)
                exact = exact_activation(then, exact);
            assert_true(fabs((double)y[i] - exact) < 1e-6);
        }
    }
    free(shift);
    free(scale);
    free(x);
}

static void vmath_scale_shift_goes_by_column(void **state) {
    (void)state;
    on_every_isa(scale_shift);
}

static void softmax(void) {
    uint32_t seed = 6;
    for (size_t n = 1; n <= 1000; n = n < 40 ? n + 1 : n * 5) {
        float *x = random_floats(&seed, 2 * n, 50);
        float *y = malloc(2 * n * sizeof *y), *l = malloc(2 * n * sizeof *l);
        assert_non_null(y);
        assert_non_null(l);
        vmath_softmax(x, y, 2, n);
        vmath_log_softmax(x, l, 2, n);
        for (size_t r = 0; r < 2; r++) {
            double sum = 0;
            for (size_t i = 0; i < n; i++)
                sum += exp((double)x[r * n + i]);
            for (size_t i = 0; i < n; i++) {
                double exact = (double)x[r * n + i] - log(sum);
                assert_true(fabs((double)l[r * n + i] - exact) < 2e-5);
                assert_true(fabs((double)y[r * n + i] - exp(exact)) < 1e-6);
            }
        }
        free(l);
        free(y);
        free(x);
    }
}

static void vmath_softmax_sums_to_one(void **state) {
    (void)state;
    on_every_isa(softmax);
}

/* Rows whose mean is large beside their deviation are the hard ones. */
static void layer_norm(void) {
    uint32_t seed = 7;
    for (size_t n = 1; n <= 1000; n = n < 70 ? n + 1 : n * 3) {
        float *x = random_floats(&seed, 2 * n, 2), means[2], inverses[2];
        float *scale = random_floats(&seed, n, 2);
        float *shift = random_floats(&seed, n, 2);
        float *y = malloc(2 * n * sizeof *y);
        assert_non_null(y);
        for (size_t i = n; i < 2 * n; i++)
            x[i] += 100;
        vmath_layer_norm(x, y, 2, n, scale, n % 2 ? shift : NULL, 1e-3f, means,
                         inverses);
        for (size_t r = 0; r < 2; r++) {
            double mean = 0, variance = 0;
            for (size_t i = 0; i < n; i++)
                mean += (double)x[r * n + i] / (double)n;
            for (size_t i = 0; i < n; i++)
                variance += pow((double)x[r * n + i] - mean, 2) / (double)n;
            double inverse = 1 / sqrt(variance + 1e-3);
            assert_true(fabs((double)means[r] - mean) <
                        1e-5 * (1 + fabs(mean)));
            assert_true(fabs((double)inverses[r] - inverse) < 1e-4 * inverse);
            for (size_t i = 0; i < n; i++) {
                double exact =
                    ((double)x[r * n + i] - mean) * inverse * (double)scale[i] +
                    (n % 2 ? (double)shift[i] : 0);
                assert_true(fabs((double)y[r * n + i] - exact) <
                            (r == 0 ? 1e-5 : 1e-3));
            }
        }
        free(y);
        free(shift);
        free(scale);
        free(x);
    }
}

static void vmath_layer_norm_equals_the_definition(void **state) {
    (void)state;
    on_every_isa(layer_norm);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vmath_exp_and_erf_are_within_two_units),
        cmocka_unit_test(vmath_tanh_sigmoid_elu_are_within_four_units),
        cmocka_unit_test(vmath_activations_equal_the_definition),
        cmocka_unit_test(vmath_activations_keep_nan_and_only_that),
        cmocka_unit_test(vmath_add_and_mul_take_any_length),
        cmocka_unit_test(vmath_scale_shift_goes_by_column),
        cmocka_unit_test(vmath_softmax_sums_to_one),
        cmocka_unit_test(vmath_layer_norm_equals_the_definition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
