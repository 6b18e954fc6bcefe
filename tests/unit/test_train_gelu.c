/* GELU: against libm's erf, and gradients by differences. */
#include "tests/unit/train_gradients.h"

static const struct layer_spec spec = {.kind = &layer_gelu};

static void train_gelu_gradients(void **state) {
    (void)state;
    check_gradients(&spec, (struct shape){3, 5, 19}, 18);
}

/* From the deep negative tail to large numbers; 1001 is no multiple of the
 * vectors' width. */
static void train_gelu_equals_the_definition(void **state) {
    (void)state;
    struct gradient_check c;
    check_open(&c, &spec, (struct shape){1, 1001, 1}, 1);
    for (int i = 0; i < 1001; i++)
        c.x[i] = (float)(i - 500) * 0.04f;
    c.x[0] = -1e30f;
    c.x[1000] = 1e30f;
    check_forward(&c);
    for (int i = 0; i < 1001; i++) {
        double x = (double)c.x[i];
        double expected = 0.5 * x * (1 + erf(x * 0.70710678118654752));
        assert_float_equal((float)expected, c.y[i],
                           2e-6f * fmaxf(1, fabsf((float)expected)));
    }
    check_close(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(train_gelu_gradients),
        cmocka_unit_test(train_gelu_equals_the_definition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
