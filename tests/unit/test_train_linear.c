#include "tests/unit/train_gradients.h"

static void train_linear_gradients(void **state) {
    (void)state;
    struct layer_spec spec = {
        .kind = &layer_linear, .channels = 7, .scale = 0.4f, .bias = true};
    check_gradients(&spec, (struct shape){1, 1, 13}, 18);
}

static void train_linear_flattens_its_input(void **state) {
    (void)state;
    struct layer_spec spec = {.kind = &layer_linear, .channels = 3};
    struct gradient_check c;
    check_open(&c, &spec, (struct shape){2, 2, 2}, 1);
    for (size_t i = 0; i < 8; i++)
        c.x[i] = (float)i;
    for (size_t i = 0; i < 24; i++)
        c.l->params[0].value[i] = i % 3 == 0 ? 1 : (float)(i % 3) * 0.5f;
    check_forward(&c);
    assert_float_equal(c.y[0], 28, 1e-5f);
    assert_float_equal(c.y[1], 14, 1e-5f);
    assert_float_equal(c.y[2], 28, 1e-5f);
    check_close(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(train_linear_gradients),
        cmocka_unit_test(train_linear_flattens_its_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
