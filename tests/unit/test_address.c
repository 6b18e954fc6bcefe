#include "common/address.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/convoy-login-XXXXXX";
static struct err err;

static void put(const char *text) {
    int fd = open(path, O_WRONLY | O_TRUNC);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void address_takes_the_login_of_a_file(void **state) {
    (void)state;
    static const struct {
        const char *address, *login, *whole;
    } rows[] = {
        {"unix:redis/redis.sock", "convoy:pw\n",
         "unix://convoy:pw@redis/redis.sock"},
        {"unix:/run/redis.sock", ":pw", "unix://:pw@/run/redis.sock"},
        {"10.0.0.1:6379", "convoy:p@s:s", "redis://convoy:p@s:s@10.0.0.1:6379"},
        {"redis://host:1", "u:p", "redis://u:p@host:1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        put(rows[i].login);
        char *whole = address_with_login(rows[i].address, path, &err);
        assert_string_equal(whole, rows[i].whole);
        free(whole);
        whole = address_with_login(rows[i].address, "", &err);
        assert_string_equal(whole, rows[i].address);
        free(whole);
    }
}

static void address_refuses_what_is_no_login(void **state) {
    (void)state;
    static const char *const bad[] = {"password", "", "u:p\nv:q"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put(bad[i]);
        assert_null(address_with_login("unix:x", path, &err));
        assert_null(strstr(err.text, "password\"")); /* not repeated */
    }
    put("u:p");
    assert_null(address_with_login("redis://u:p@host:1", path, &err));
    assert_null(address_with_login("unix:x", "/nonexistent", &err));
    chmod(path, 0644);
    assert_null(address_with_login("unix:x", path, &err));
    chmod(path, 0600);
}

static void address_on_the_command_line_is_exposed(void **state) {
    (void)state;
    char program[] = "convoy", word[] = "--redis=redis://u:p@host:1";
    char *argv[] = {program, word, NULL};
    assert_int_equal(address_check(word + 8, 2, argv, &err), -1);
    assert_non_null(strstr(err.text, "--redis-login"));
    assert_int_equal(address_check("redis://u:p@host:1", 2, argv, &err), 0);
    strcpy(word, "--redis=unix:redis.sock");
    assert_int_equal(address_check(word + 8, 2, argv, &err), 0);
}

static int make_file(void **state) {
    (void)state;
    int fd = mkstemp(path);
    close(fd);
    return fd < 0 ? -1 : 0;
}

static int drop_file(void **state) {
    (void)state;
    return unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(address_takes_the_login_of_a_file),
        cmocka_unit_test(address_refuses_what_is_no_login),
        cmocka_unit_test(address_on_the_command_line_is_exposed),
    };
    return cmocka_run_group_tests(tests, make_file, drop_file);
}
