#include "fcgi/prefer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Forms of RFC 7240, section 2. */
static void prefer_wait_reads_every_form(void **state) {
    (void)state;
    assert_int_equal(prefer_wait("wait=5"), 5);
    assert_int_equal(prefer_wait("respond-async, wait=10"), 10);
    assert_int_equal(prefer_wait("Wait = 7"), 7);
    assert_int_equal(prefer_wait("wait=\"8\""), 8);
    assert_int_equal(prefer_wait("foo; bar, wait=9; x=y"), 9);
    assert_int_equal(prefer_wait("x=\"a, wait=1\", wait=2"), 2);
    assert_int_equal(prefer_wait("wait=3, wait=4"), 3);
    assert_int_equal(prefer_wait("wait=99999999999999999999"), 86400);
    assert_int_equal(prefer_wait("wait=0"), 0);
}

static void prefer_wait_ignores_what_is_malformed(void **state) {
    (void)state;
    const char *bad[] = {"",        "wait",     "wait=",      "wait=x",
                         "wait=5x", "wait=-1",  "waits=5",    "await=5",
                         ",,",      "wait=\"5", "x=\"wait=5", "wait=5 6"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(prefer_wait(bad[i]), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prefer_wait_reads_every_form),
        cmocka_unit_test(prefer_wait_ignores_what_is_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
