#include "fcgi/problem.h"

#include <stdio.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct request request = {
    .method = "GET", .path = "/api/v1/x", .id = "req-1"};

static const char *text(json_t *doc, const char *key) {
    const char *value = json_string_value(json_object_get(doc, key));
    return value ? value : "";
}

static void problem_response_has_the_members_of_the_rfc(void **state) {
    (void)state;
    struct response response = {0};
    response_problem(&response, &request, "queue-full", "%d wait", 9);
    assert_int_equal(response.status, 503);
    assert_string_equal(response.content_type, "application/problem+json");
    assert_non_null(response_header_value(&response, "Retry-After"));
    assert_string_equal(response_header_value(&response, "Cache-Control"),
                        "no-store");
    json_t *doc = json_loads(response.body, 0, NULL);
    assert_string_equal(text(doc, "type"), "/problems/queue-full");
    assert_string_equal(text(doc, "title"), "Queue full");
    assert_string_equal(text(doc, "detail"), "9 wait");
    assert_string_equal(text(doc, "instance"), "/api/v1/x");
    assert_string_equal(text(doc, "request_id"), "req-1");
    assert_int_equal(json_integer_value(json_object_get(doc, "status")), 503);
    json_decref(doc);
    response_free(&response);
}

static void problem_takes_members(void **state) {
    (void)state;
    struct response response = {0};
    response_problem(&response, &request, "not-ready", "wait");
    response_problem_member(&response, "missing", json_pack("[s]", "redis"));
    assert_int_equal(response.status, 503);
    assert_string_equal(response.content_type, "application/problem+json");
    assert_non_null(strstr(response.body, "\"missing\":[\"redis\"]"));
    response_free(&response);
}

static void problem_of_an_error_without_slug_is_internal(void **state) {
    (void)state;
    struct response response = {0};
    const struct err err = {.text = "out of memory"};
    response_error(&response, &request, &err);
    assert_int_equal(response.status, 500);
    assert_null(response_header_value(&response, "Retry-After"));
    response_free(&response);
}

static void problem_of_the_store_says_no_address(void **state) {
    (void)state;
    struct response response = {0};
    const struct err err = {.problem = "store-unavailable",
                            .text = "Redis at 10.1.2.3: refused"};
    response_error(&response, &request, &err);
    assert_int_equal(response.status, 503);
    assert_null(strstr(response.body, "10.1.2.3"));
    response_free(&response);
}

static void problem_unknown_slugs_keep_their_type(void **state) {
    (void)state;
    json_t *doc = problem_json("from-the-future", "x\xff");
    assert_string_equal(text(doc, "type"), "/problems/from-the-future");
    assert_string_equal(text(doc, "title"), "Internal error");
    assert_string_equal(text(doc, "detail"), "Internal error");
    assert_int_equal(problem_status("from-the-future"), 500);
    json_decref(doc);
}

static void problem_rows_differ_and_have_their_page(void **state) {
    (void)state;
    for (int i = 0; problem_row(i); i++) {
        char path[128];
        const struct problem *row = problem_row(i);
        assert_ptr_equal(problem_find(row->slug), row);
        assert_true(row->status >= 400 && row->status < 600);
        assert_true(*http_reason(row->status));
        snprintf(path, sizeof path, "static/problems/%s.html", row->slug);
        if (access(path, R_OK) != 0)
            fail_msg("there is no %s", path);
    }
    assert_null(problem_find("no-such-thing"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(problem_response_has_the_members_of_the_rfc),
        cmocka_unit_test(problem_takes_members),
        cmocka_unit_test(problem_of_an_error_without_slug_is_internal),
        cmocka_unit_test(problem_of_the_store_says_no_address),
        cmocka_unit_test(problem_unknown_slugs_keep_their_type),
        cmocka_unit_test(problem_rows_differ_and_have_their_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
