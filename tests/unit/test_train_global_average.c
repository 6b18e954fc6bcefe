#include "tests/unit/train_gradients.h"

static void train_global_average_is_the_mean(void **state) {
    (void)state;
    struct layer_spec spec = {.kind = &layer_global_average};
    struct gradient_check c;
    check_open(&c, &spec, (struct shape){2, 3, 2}, 1);
    for (size_t i = 0; i < 12; i++)
        c.x[i] = i % 2 == 0 ? (float)i : -1.0f;
    check_forward(&c);
    assert_float_equal(c.y[0], 5, 1e-6f); /* of 0 2 4 6 8 10 */
    assert_float_equal(c.y[1], -1, 1e-6f);
    check_close(&c);
}

static void train_global_average_gradients(void **state) {
    (void)state;
    struct layer_spec spec = {.kind = &layer_global_average};
    check_gradients(&spec, (struct shape){3, 5, 9}, 18);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(train_global_average_is_the_mean),
        cmocka_unit_test(train_global_average_gradients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
