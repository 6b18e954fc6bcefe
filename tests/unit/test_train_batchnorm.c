/* Batch normalisation: the numbers it leaves, and gradients by differences. */
#include "tests/unit/train_gradients.h"

static const struct layer_spec spec = {.kind = &layer_batchnorm,
                                       .momentum = 0.6f};

static void train_batchnorm_gradients(void **state) {
    (void)state;
    check_gradients(&spec, (struct shape){3, 5, 19}, 18);
}

/* 18 images of one pixel: 2, 4, 2, 4 ... times the channel, plus 1. */
static void open_alternating(struct gradient_check *c) {
    check_open(c, &spec, (struct shape){1, 1, 3}, 18);
    for (int n = 0; n < 18; n++)
        for (int k = 0; k < 3; k++)
            c->x[n * 3 + k] = (float)((n % 2 ? 4 : 2) * k + 1);
}

static void train_batchnorm_normalises_by_the_batch(void **state) {
    (void)state;
    struct gradient_check c;
    open_alternating(&c);
    layer_param(c.l, "bias")->value[2] = 0.5f;
    check_forward(&c);
    for (int n = 0; n < 18; n++) {
        float side = n % 2 ? 1 : -1;
        assert_float_equal(c.y[n * 3], 0, 1e-6f); /* no variance: no blow-up */
        assert_float_equal(c.y[n * 3 + 1], side, 1e-4f);
        assert_float_equal(c.y[n * 3 + 2], side + 0.5f, 1e-4f);
    }
    check_close(&c);
}

/* Running numbers start at 0 and 1; 0.6 of them stays. The variance is the
 * unbiased one, 18/17 of 1 and of 4. */
static void train_batchnorm_keeps_running_statistics(void **state) {
    (void)state;
    struct gradient_check c;
    open_alternating(&c);
    check_forward(&c);
    const float *mean = layer_param(c.l, "mean")->value;
    const float *variance = layer_param(c.l, "variance")->value;
    const float means[3] = {1, 4, 7};
    for (int k = 0; k < 3; k++) {
        float unbiased = (float)(k * k) * 18 / 17;
        assert_float_equal(mean[k], 0.4f * means[k], 1e-5f);
        assert_float_equal(variance[k], 0.6f + 0.4f * unbiased, 1e-5f);
    }
    check_close(&c);
}

static void train_batchnorm_infers_with_running_statistics(void **state) {
    (void)state;
    struct gradient_check c;
    open_alternating(&c);
    for (int k = 0; k < 3; k++) {
        layer_param(c.l, "mean")->value[k] = 1;
        layer_param(c.l, "variance")->value[k] = 4;
    }
    c.l->kind->begin(c.l, c.team, false);
    struct slice s = check_slice(&c, LAYER_SLICES - 1);
    c.l->kind->infer(c.l, &s, c.x + s.first * 3, c.y);
    float last = s.first % 2 ? 4 : 2;
    assert_float_equal(c.y[1], (last + 1 - 1) / 2, 1e-4f);
    assert_float_equal(c.y[2], (2 * last + 1 - 1) / 2, 1e-4f);
    check_close(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(train_batchnorm_gradients),
        cmocka_unit_test(train_batchnorm_normalises_by_the_batch),
        cmocka_unit_test(train_batchnorm_keeps_running_statistics),
        cmocka_unit_test(train_batchnorm_infers_with_running_statistics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
