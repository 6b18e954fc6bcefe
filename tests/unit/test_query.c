#include "fcgi/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MANY "a=1&model=res%2Enet&top_k=3&x=a+b&empty=&bad=%zz&nul=%00&short=%4"

static void query_text_decodes_the_first_of_that_name(void **state) {
    (void)state;
    char out[32];
    assert_int_equal(query_text(MANY, "model", out, sizeof out, NULL), 1);
    assert_string_equal(out, "res.net");
    assert_int_equal(query_text(MANY, "x", out, sizeof out, NULL), 1);
    assert_string_equal(out, "a b");
    assert_int_equal(query_text("m=1&m=2", "m", out, sizeof out, NULL), 1);
    assert_string_equal(out, "1");
    assert_int_equal(query_text(MANY, "empty", out, sizeof out, NULL), 1);
    assert_string_equal(out, "");
}

static void query_text_knows_whole_names_only(void **state) {
    (void)state;
    char out[32];
    assert_int_equal(query_text(MANY, "k", out, sizeof out, NULL), 0);
    assert_int_equal(query_text(MANY, "mode", out, sizeof out, NULL), 0);
    assert_int_equal(query_text("model", "model", out, sizeof out, NULL), 0);
    assert_int_equal(query_text("", "model", out, sizeof out, NULL), 0);
    assert_int_equal(query_text("&&", "model", out, sizeof out, NULL), 0);
}

static void query_text_refuses_what_is_malformed_or_too_long(void **state) {
    (void)state;
    char out[4];
    struct err err = {0};
    assert_int_equal(query_text(MANY, "bad", out, sizeof out, &err), -1);
    assert_string_equal(err.problem, "bad-parameter");
    assert_non_null(strstr(err.text, "bad"));
    assert_int_equal(query_text(MANY, "nul", out, sizeof out, NULL), -1);
    assert_int_equal(query_text(MANY, "short", out, sizeof out, NULL), -1);
    assert_int_equal(query_text("m=abc", "m", out, sizeof out, NULL), 1);
    assert_int_equal(query_text("m=abcd", "m", out, sizeof out, NULL), -1);
}

static void query_number_keeps_to_its_bounds(void **state) {
    (void)state;
    int n = 5;
    assert_int_equal(query_number("", "k", 1, 32, &n, NULL), 0);
    assert_int_equal(n, 5);
    assert_int_equal(query_number("k=32", "k", 1, 32, &n, NULL), 1);
    assert_int_equal(n, 32);
    const char *bad[] = {"k=0",   "k=33",        "k=-1", "k=",
                         "k=1.5", "k=999999999", "k=x",  "k=4294967297"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(query_number(bad[i], "k", 1, 32, &n, NULL), -1);
    assert_int_equal(n, 32);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(query_text_decodes_the_first_of_that_name),
        cmocka_unit_test(query_text_knows_whole_names_only),
        cmocka_unit_test(query_text_refuses_what_is_malformed_or_too_long),
        cmocka_unit_test(query_number_keeps_to_its_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
