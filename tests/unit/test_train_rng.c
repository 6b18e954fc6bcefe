#include "models/train/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* The demonstration of the author's pcg32: seed 42, stream 54. */
static void train_rng_gives_the_published_numbers(void **state) {
    (void)state;
    static const uint32_t published[] = {0xa15c02b7, 0x7b47f409, 0xba1d3330,
                                         0x83d2f293, 0xbfa4784b, 0xcbed606e};
    struct rng rng;
    rng_seed(&rng, 42, 54);
    for (int i = 0; i < 6; i++)
        assert_int_equal(rng_next(&rng), published[i]);
}

static void train_rng_stays_below_the_bound(void **state) {
    (void)state;
    struct rng rng;
    int counts[5] = {0};
    rng_seed(&rng, 1, 2);
    for (int i = 0; i < 5000; i++) {
        uint32_t value = rng_below(&rng, 5);
        assert_true(value < 5);
        counts[value]++;
    }
    for (int i = 0; i < 5; i++) /* 1000 +- 6 standard deviations */
        assert_in_range(counts[i], 830, 1170);
    for (int i = 0; i < 1000; i++) {
        float value = rng_uniform(&rng, -2, 3);
        assert_true(value >= -2 && value < 3);
    }
}

static void train_rng_shuffles_without_losing_any(void **state) {
    (void)state;
    struct rng rng;
    uint32_t values[100];
    int seen[100] = {0}, moved = 0;
    for (uint32_t i = 0; i < 100; i++)
        values[i] = i;
    rng_seed(&rng, 3, 4);
    rng_shuffle(&rng, values, 100);
    for (uint32_t i = 0; i < 100; i++) {
        seen[values[i]]++;
        moved += values[i] != i;
    }
    for (int i = 0; i < 100; i++)
        assert_int_equal(seen[i], 1);
    assert_true(moved > 80);
}

static void train_rng_streams_differ(void **state) {
    (void)state;
    struct rng a, b;
    int same = 0;
    rng_seed(&a, 9, 0);
    rng_seed(&b, 9, 1);
    for (int i = 0; i < 1000; i++)
        same += rng_next(&a) == rng_next(&b);
    assert_true(same < 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(train_rng_gives_the_published_numbers),
        cmocka_unit_test(train_rng_stays_below_the_bound),
        cmocka_unit_test(train_rng_shuffles_without_losing_any),
        cmocka_unit_test(train_rng_streams_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
