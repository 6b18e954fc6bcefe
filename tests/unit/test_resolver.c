#include "worker/resolver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct err err;
static struct endpoints endpoints;

static void assert_refused(const char *fronts, const char *text) {
    memset(&err, 0, sizeof err);
    assert_null(resolver_open(fronts, &err));
    assert_string_equal(err.text, text);
}

static void resolver_refuses_what_is_no_endpoint(void **state) {
    (void)state;
    assert_refused("", "--fronts: names no front");
    assert_refused("tcp://host", "--fronts: \"tcp://host\" is not "
                                 "tcp://HOST:PORT");
    assert_refused("tcp://:1", "--fronts: \"tcp://:1\" is not tcp://HOST:PORT");
    assert_refused("tcp://h:70000",
                   "--fronts: \"tcp://h:70000\" is not tcp://HOST:PORT");
    assert_refused("ipc://a,http://h:1",
                   "--fronts: \"http://h:1\" is neither tcp://HOST:PORT nor "
                   "ipc://PATH");
    assert_refused("ipc://",
                   "--fronts: \"ipc://\" is neither tcp://HOST:PORT nor "
                   "ipc://PATH");
}

static void resolver_leaves_addresses_as_they_are(void **state) {
    (void)state;
    struct resolver *r = resolver_open(
        "tcp://10.0.0.1:5555,ipc://jobs.sock,,tcp://[::1]:7,ipc://jobs.sock",
        &err);
    assert_non_null(r);
    assert_true(resolver_take(r, &endpoints));
    assert_int_equal(endpoints.count, 3);
    assert_string_equal(endpoints.text[0], "ipc://jobs.sock");
    assert_string_equal(endpoints.text[1], "tcp://10.0.0.1:5555");
    assert_string_equal(endpoints.text[2], "tcp://[::1]:7");
    assert_false(resolver_take(r, &endpoints));
    resolver_close(r);
}

static void resolver_turns_a_name_into_its_addresses(void **state) {
    (void)state;
    struct resolver *r = resolver_open("tcp://localhost:5555", &err);
    assert_non_null(r);
    bool found = false;
    for (int i = 0; i < 1000 && !found; i++) {
        if (resolver_take(r, &endpoints))
            for (int k = 0; k < endpoints.count; k++)
                found =
                    found ||
                    strcmp(endpoints.text[k], "tcp://127.0.0.1:5555") == 0 ||
                    strcmp(endpoints.text[k], "tcp://[::1]:5555") == 0;
        usleep(5000);
    }
    assert_true(found);
    resolver_close(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resolver_refuses_what_is_no_endpoint),
        cmocka_unit_test(resolver_leaves_addresses_as_they_are),
        cmocka_unit_test(resolver_turns_a_name_into_its_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
