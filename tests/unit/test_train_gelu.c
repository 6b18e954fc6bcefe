#include "tests/unit/train_gradients.h"

static void train_gelu_gradients(void **state) {
    (void)state;
    struct layer_spec spec = {.kind = &layer_gelu, .momentum = 0.6f};
    check_gradients(&spec, (struct shape){3, 5, 19}, 18);
}
int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(train_gelu_gradients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
