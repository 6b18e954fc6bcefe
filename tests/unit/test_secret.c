#include "common/secret.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char path[64];
static struct secret secret;
static struct err err;

static void put(const void *bytes, size_t size, mode_t mode) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, bytes, size), size);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static int make_path(void **state) {
    (void)state;
    snprintf(path, sizeof path, "/tmp/convoy-secret-XXXXXX");
    int fd = mkstemp(path);
    close(fd);
    return fd < 0 ? -1 : 0;
}

static int drop_path(void **state) {
    (void)state;
    return unlink(path);
}

static void secret_is_read_without_line_ends(void **state) {
    (void)state;
    put("a\0b c \r\n\n", 9, 0600);
    assert_int_equal(secret_read(path, &secret, &err), 0);
    assert_int_equal(secret.size, 6);
    assert_memory_equal(secret.text, "a\0b c ", 7);
    put("x", 1, 0400);
    assert_int_equal(secret_read(path, &secret, &err), 0);
    secret_forget(&secret);
    assert_int_equal(secret.size, 0);
    assert_int_equal(secret.text[0], 0);
}

static void secret_that_others_may_use_is_refused(void **state) {
    (void)state;
    static const mode_t modes[] = {0640, 0604, 0660,    0644,
                                   0620, 0610, 0700 | 1};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        put("abc", 3, modes[i]);
        assert_int_equal(secret_read(path, &secret, &err), -1);
        assert_non_null(strstr(err.text, path));
        assert_non_null(strstr(err.text, "chmod 600"));
        assert_int_equal(secret.size, 0);
    }
}

static void secret_of_no_use_is_refused(void **state) {
    (void)state;
    static char long_one[SECRET_MAX + 1];
    assert_int_equal(secret_read("/nonexistent", &secret, &err), -1);
    assert_int_equal(secret_read("/tmp", &secret, &err), -1);
    put("\n\n", 2, 0600);
    assert_int_equal(secret_read(path, &secret, &err), -1);
    assert_non_null(strstr(err.text, "empty"));
    memset(long_one, 'x', sizeof long_one);
    put(long_one, SECRET_MAX + 1, 0600);
    assert_int_equal(secret_read(path, &secret, &err), -1);
    put(long_one, SECRET_MAX, 0600);
    assert_int_equal(secret_read(path, &secret, &err), 0);
    assert_int_equal(secret.size, SECRET_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_path, drop_path)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(secret_is_read_without_line_ends),
        TEST(secret_that_others_may_use_is_refused),
        TEST(secret_of_no_use_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
