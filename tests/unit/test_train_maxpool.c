/* Pooling: the windows' maxima, and gradients by differences. */
#include "tests/unit/train_gradients.h"

/* Values all further apart than the step of the differences, in an order that
 * a coprime stride shuffles, so that no maximum changes place. */
static void spread(float *x, size_t count) {
    for (size_t i = 0; i < count; i++)
        x[i] = (float)(i * 7919 % count) * 0.0625f - 100;
}

static void train_maxpool_takes_the_largest(void **state) {
    (void)state;
    struct layer_spec spec = {.kind = &layer_maxpool, .kernel = 2};
    struct gradient_check c;
    check_open(&c, &spec, (struct shape){5, 4, 1}, 1);
    const float x[20] = {1, 2, 0,  0,  /**/ 3, -4, 0,       -1, /**/ -9, -8,
                         5, 5, -7, -6, 5,      6,  /**/ 99, 99, 99,      99};
    memcpy(c.x, x, sizeof x);
    check_forward(&c);
    const float expected[4] = {3, 0, -6, 6};
    for (int i = 0; i < 4; i++)
        assert_float_equal(expected[i], c.y[i], 0);
    check_close(&c);
}

static void check_pool(int kernel, int stride) {
    struct layer_spec spec = {
        .kind = &layer_maxpool, .kernel = kernel, .stride = stride};
    struct gradient_check c;
    check_open(&c, &spec, (struct shape){7, 6, 19}, 18);
    spread(c.x, 18 * 7 * 6 * 19);
    check_compare(&c);
    check_close(&c);
}

static void train_maxpool_gradients(void **state) {
    (void)state;
    check_pool(2, 2);
}

static void train_maxpool_gradients_of_overlapping_windows(void **state) {
    (void)state;
    check_pool(3, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(train_maxpool_takes_the_largest),
        cmocka_unit_test(train_maxpool_gradients),
        cmocka_unit_test(train_maxpool_gradients_of_overlapping_windows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
