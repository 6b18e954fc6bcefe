/* Whitening: eigenvectors of a known matrix, and unit variance of what comes
 * out. */
#include "tests/unit/train_gradients.h"

#include "models/train/whiten.h"

/* [[2, 1], [1, 2]] has the eigenvalues 1 and 3 with (1, -1) and (1, 1). */
static void train_whiten_eigen_solves_a_known_matrix(void **state) {
    (void)state;
    double a[4] = {2, 1, 1, 2}, vectors[4];
    whiten_eigen(a, 2, vectors);
    for (int i = 0; i < 2; i++) {
        double x = vectors[2 * i], y = vectors[2 * i + 1];
        double value = a[3 * i];
        assert_float_equal((float)(x * x + y * y), 1, 1e-6f);
        assert_float_equal((float)(x * y), value > 2 ? 0.5f : -0.5f, 1e-6f);
    }
    assert_float_equal((float)(a[0] + a[3]), 4, 1e-6f);
    assert_float_equal((float)(a[0] * a[3]), 3, 1e-6f);
}

static const struct layer_spec spec = {
    .kind = &layer_conv, .channels = 24, .kernel = 2, .whiten = true};
static const struct shape input = {9, 9, 3};

/* Neighbours alike, channels too: far from white. */
static void fill_correlated(float *x, int images) {
    check_fill(x, (size_t)images * shape_size(input), 21);
    for (size_t i = 1; i < (size_t)images * shape_size(input); i++)
        x[i] = 0.3f * x[i] + 0.7f * x[i - 1];
}

static void train_whiten_gives_uncorrelated_unit_variance(void **state) {
    (void)state;
    enum { IMAGES = 200, SIDE = 12, OUT = 24 };
    struct gradient_check c;
    struct err err = {0};
    double covariance[SIDE][SIDE] = {{0}};
    check_open(&c, &spec, input, IMAGES);
    fill_correlated(c.x, IMAGES);
    assert_int_equal(whiten_conv(c.l, c.x, IMAGES, &err), 0);
    check_forward(&c);
    size_t pixels = IMAGES * 8 * 8;
    for (size_t p = 0; p < pixels; p++)
        for (int i = 0; i < SIDE; i++) {
            assert_float_equal(c.y[p * OUT + (size_t)i],
                               -c.y[p * OUT + SIDE + (size_t)i], 1e-5f);
            for (int j = 0; j < SIDE; j++)
                covariance[i][j] += (double)c.y[p * OUT + (size_t)i] *
                                    (double)c.y[p * OUT + (size_t)j];
        }
    /* A little below 1: a constant is added to the eigenvalues. */
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            double value = covariance[i][j] / (double)pixels;
            assert_float_equal((float)value, i == j ? 1 : 0, 0.06f);
        }
    check_close(&c);
}

static void train_whiten_refuses_other_shapes(void **state) {
    (void)state;
    struct gradient_check c;
    struct err err = {0};
    struct layer_spec wrong = spec;
    wrong.channels = 20;
    check_open(&c, &wrong, input, 1);
    assert_int_equal(whiten_conv(c.l, c.x, 1, &err), -1);
    assert_non_null(strstr(err.text, "needs 24 outputs, not 20"));
    check_close(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(train_whiten_eigen_solves_a_known_matrix),
        cmocka_unit_test(train_whiten_gives_uncorrelated_unit_variance),
        cmocka_unit_test(train_whiten_refuses_other_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
