/* What nginx does by itself: the page, headers, caching, a front that is
 * away. */
#include "tests/integration/http.h"
#include "tests/integration/stack.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static void assert_header(struct reply *reply, const char *name,
                          const char *text) {
    const char *value = reply_header(reply, name);
    assert_non_null(value);
    if (!strstr(value, text))
        fail_msg("%s is %s, without %s", name, value, text);
}

static void site_page_is_served(void **state) {
    (void)state;
    struct reply reply;
    char match[256];
    http_get("/", &reply);
    assert_int_equal(reply.status, 200);
    assert_header(&reply, "Content-Type", "text/html");
    assert_header(&reply, "Cache-Control", "no-cache");
    snprintf(match, sizeof match, "If-None-Match: %s",
             reply_header(&reply, "ETag"));
    reply_free(&reply);
    http(&(struct request){.path = "/", .headers = {match}}, &reply);
    assert_int_equal(reply.status, 304);
    reply_free(&reply);
}

static void site_security_headers(void **state) {
    (void)state;
    static const char *const paths[] = {"/", "/api/v1/models", "/nothing",
                                        "/api/v1/nothing"};
    for (int i = 0; i < 4; i++) {
        struct reply reply;
        http_get(paths[i], &reply);
        assert_header(&reply, "Content-Security-Policy", "default-src 'none'");
        assert_header(&reply, "Content-Security-Policy",
                      "frame-ancestors 'none'");
        const char *policy = reply_header(&reply, "Content-Security-Policy");
        assert_null(strstr(policy, "unsafe"));
        assert_header(&reply, "X-Content-Type-Options", "nosniff");
        assert_header(&reply, "Referrer-Policy", "no-referrer");
        assert_non_null(reply_header(&reply, "X-Request-ID"));
        reply_free(&reply);
    }
}

static void site_keeps_finished_predictions(void **state) {
    (void)state;
    struct reply reply;
    char path[256];
    predict_new(path, sizeof path);
    assert_int_equal(await_status(path, 200, 5), 0);
    stack_signal("front", SIGSTOP);
    http_get(path, &reply);
    stack_signal("front", SIGCONT);
    assert_int_equal(reply.status, 200);
    assert_header(&reply, "Cache-Control", "immutable");
    reply_free(&reply);
}

static void site_front_away(void **state) {
    (void)state;
    struct reply reply;
    stack_kill("front");
    http_get("/api/v1/models", &reply);
    assert_problem(&reply, 503, "front-unavailable");
    assert_non_null(reply_header(&reply, "Retry-After"));
    reply_free(&reply);
    stack_await_ready();
}

int main(int argc, char **argv) {
    (void)argc;
    stack_enter(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(site_page_is_served),
        cmocka_unit_test(site_security_headers),
        cmocka_unit_test(site_keeps_finished_predictions),
        cmocka_unit_test(site_front_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
