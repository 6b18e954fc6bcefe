#include "common/descriptors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <cmocka.h>

static void descriptors_takes_what_is_allowed(void **state) {
    (void)state;
    struct err err = {0};
    const struct rlimit given = {16, 64};
    struct rlimit limit;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &given), 0);
    assert_int_equal(descriptors_allow(64, &err), 0);
    getrlimit(RLIMIT_NOFILE, &limit);
    assert_int_equal(limit.rlim_cur, 64);
    assert_int_equal(descriptors_allow(65, &err), -1);
    assert_non_null(strstr(err.text, "64 open files are allowed, but 65"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptors_takes_what_is_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
