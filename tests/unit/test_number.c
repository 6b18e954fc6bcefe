#include "models/nn/number.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Bits of IEEE 754-2019 binary16. */
static void number_rounds_to_float16(void **state) {
    static const float x[] = {1,        65504,    65520,       0x1p-24f,
                              0x1p-26f, 1.00049f, 1.00048828f, -2};
    static const uint16_t want[] = {0x3c00, 0x7bff, 0x7c00, 0x0001,
                                    0x0000, 0x3c01, 0x3c00, 0xc000};
    uint16_t got[8];
    float back[8];
    (void)state;
    number_convert(got, NN_FLOAT16, x, NN_FLOAT32, 8);
    assert_memory_equal(got, want, sizeof want);
    number_convert(back, NN_FLOAT32, want, NN_FLOAT16, 8);
    assert_true(back[1] == 65504 && isinf(back[2]) && back[3] == 0x1p-24f);
}

static void number_keeps_large_integers(void **state) {
    int64_t x[] = {INT64_MAX, INT64_MIN, (1LL << 53) + 1};
    int64_t got[3];
    int32_t narrow[3];
    (void)state;
    number_ints(got, x, NN_INT64, 1, 3);
    assert_memory_equal(got, x, sizeof x);
    number_convert(narrow, NN_INT32, x, NN_INT64, 3);
    assert_int_equal(narrow[0], -1);
    assert_int_equal(narrow[2], 1);
}

/* Towards zero; what no int64 holds stays at its ends. */
static void number_truncates_floats(void **state) {
    float x[] = {-1.9f, 1.9f, 1e30f, -1e30f, NAN};
    int64_t want[] = {-1, 1, INT64_MAX, INT64_MIN, 0}, got[5];
    (void)state;
    number_convert(got, NN_INT64, x, NN_FLOAT32, 5);
    assert_memory_equal(got, want, sizeof want);
}

static void number_makes_bools(void **state) {
    float x[] = {0, 0.25f, -3, NAN};
    bool want[] = {false, true, true, true}, got[4];
    (void)state;
    number_convert(got, NN_BOOL, x, NN_FLOAT32, 4);
    assert_memory_equal(got, want, sizeof want);
}

static void number_converts_more_than_a_chunk(void **state) {
    uint8_t x[2 * NUMBER_CHUNK + 7];
    float got[2 * NUMBER_CHUNK + 7];
    (void)state;
    for (size_t i = 0; i < sizeof x; i++)
        x[i] = (uint8_t)(i * 7);
    number_convert(got, NN_FLOAT32, x, NN_UINT8, sizeof x);
    for (size_t i = 0; i < sizeof x; i++)
        assert_true(got[i] == (float)x[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(number_rounds_to_float16),
        cmocka_unit_test(number_keeps_large_integers),
        cmocka_unit_test(number_truncates_floats),
        cmocka_unit_test(number_makes_bools),
        cmocka_unit_test(number_converts_more_than_a_chunk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
