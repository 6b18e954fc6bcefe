#include "worker/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct settings settings;
static struct err err;

static enum options_result read_words(const char *const *words) {
    char *argv[16] = {"convoy-worker"};
    int argc = 1;
    memset(&err, 0, sizeof err);
    while (words[argc - 1]) {
        argv[argc] = (char *)words[argc - 1];
        argc++;
    }
    return settings_read(&settings, argc, argv, &err);
}
#define read_settings(...) read_words((const char *const[]){__VA_ARGS__, NULL})

static void settings_have_defaults(void **state) {
    (void)state;
    char pid[16];
    unsetenv("CONVOY_HANDS");
    assert_int_equal(read_words((const char *const[]){NULL}), OPTIONS_RUN);
    assert_true(settings.hands >= 1);
    assert_int_equal(settings.batch, 8);
    assert_int_equal(settings.result_ttl_ms, INT64_C(30) * 24 * 3600 * 1000);
    assert_int_equal(settings.log_level, LOG_INFO);
    snprintf(pid, sizeof pid, ".%d", (int)getpid());
    assert_non_null(strstr(settings.name, pid));
}

static void settings_are_taken_from_flags_and_environment(void **state) {
    (void)state;
    setenv("CONVOY_HANDS", "3", 1);
    assert_int_equal(read_settings("--batch=32", "--name", "one.two",
                                   "--job-timeout=500ms", "--result-ttl=1h",
                                   "--log-level=warn"),
                     OPTIONS_RUN);
    assert_int_equal(settings.hands, 3);
    assert_int_equal(settings.batch, 32);
    assert_string_equal(settings.name, "one.two");
    assert_int_equal(settings.job_timeout_ms, 500);
    assert_int_equal(settings.result_ttl_ms, 3600000);
    assert_int_equal(settings.log_level, LOG_WARN);
    unsetenv("CONVOY_HANDS");
}

static void settings_that_make_no_sense_are_refused(void **state) {
    (void)state;
    assert_int_equal(read_settings("--hands=0"), OPTIONS_BAD);
    assert_int_equal(read_settings("--batch=257"), OPTIONS_BAD);
    assert_int_equal(read_settings("--name=a b"), OPTIONS_BAD);
    assert_string_equal(err.text, "--name: \"a b\" is not 1 to 127 of A-Z a-z "
                                  "0-9 . _ -");
    assert_int_equal(read_settings("--log-level=loud"), OPTIONS_BAD);
    assert_string_equal(err.text, "--log-level: \"loud\" is not debug, info, "
                                  "warn or error");
    assert_int_equal(read_settings("--fronst=x"), OPTIONS_BAD);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_have_defaults),
        cmocka_unit_test(settings_are_taken_from_flags_and_environment),
        cmocka_unit_test(settings_that_make_no_sense_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
