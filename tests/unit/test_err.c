#include "common/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void err_set_formats_and_returns_minus_one(void **state) {
    (void)state;
    struct err err = {0};
    assert_int_equal(err_set(&err, "no %s in %d", "cat", 3), -1);
    assert_string_equal(err.text, "no cat in 3");
    assert_null(err.problem);
    assert_int_equal(err_set(NULL, "nobody asks"), -1);
}

static void err_problem_keeps_the_slug_through_a_prefix(void **state) {
    (void)state;
    struct err err = {0};
    err_problem(&err, "corrupt-image", "ends early");
    err_prefix(&err, "photo %d", 2);
    assert_string_equal(err.text, "photo 2: ends early");
    assert_string_equal(err.problem, "corrupt-image");
}

static void err_prefix_cuts_what_does_not_fit(void **state) {
    (void)state;
    struct err err = {0};
    char big[600];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = 0;
    err_set(&err, "%s", big);
    err_prefix(&err, "file");
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    assert_memory_equal(err.text, "file: xxx", 9);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(err_set_formats_and_returns_minus_one),
        cmocka_unit_test(err_problem_keeps_the_slug_through_a_prefix),
        cmocka_unit_test(err_prefix_cuts_what_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
