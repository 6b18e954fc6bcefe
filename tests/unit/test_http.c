#include "fcgi/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void http_request_id_takes_plain_words_only(void **state) {
    (void)state;
    char id[HTTP_ID_MAX + 1], longest[HTTP_ID_MAX + 2] = "";
    http_request_id("Abc-1._", id);
    assert_string_equal(id, "Abc-1._");
    memset(longest, 'x', HTTP_ID_MAX);
    http_request_id(longest, id);
    assert_string_equal(id, longest);
    longest[HTTP_ID_MAX] = 'x';
    const char *bad[] = {"", "a b", "a\nb", "\"", "ä", longest};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        http_request_id(bad[i], id);
        assert_int_equal(strlen(id), 32);
        assert_int_equal(strspn(id, "0123456789abcdef"), 32);
    }
}

static void http_request_ids_differ(void **state) {
    (void)state;
    char one[HTTP_ID_MAX + 1], two[HTTP_ID_MAX + 1];
    http_request_id("", one);
    http_request_id("", two);
    assert_string_not_equal(one, two);
}

/* RFC 9110, 13.1.2 */
static void http_etag_matches_lists_weakly(void **state) {
    (void)state;
    assert_true(http_etag_matches("\"a\"", "\"a\""));
    assert_true(http_etag_matches("W/\"a\"", "\"a\""));
    assert_true(http_etag_matches("\"x,\", \"b\" , W/\"a\"", "\"a\""));
    assert_true(http_etag_matches("*", "\"a\""));
    assert_false(http_etag_matches("", "\"a\""));
    assert_false(http_etag_matches("\"ab\"", "\"a\""));
    assert_false(http_etag_matches("a", "\"a\""));
    assert_false(http_etag_matches("\"open", "\"a\""));
}

static void http_response_replaces_its_body(void **state) {
    (void)state;
    struct response response = {0};
    response_json(&response, 200, json_pack("{s:i}", "a", 1));
    response_json(&response, 202, json_pack("{s:f}", "b", 0.25));
    assert_int_equal(response.status, 202);
    assert_string_equal(response.body, "{\"b\":0.25}");
    assert_int_equal(response.body_len, strlen(response.body));
    response_header(&response, "Retry-After", "%d", 7);
    assert_string_equal(response_header_value(&response, "Retry-After"), "7");
    assert_null(response_header_value(&response, "Allow"));
    response_json(&response, 200, NULL);
    assert_int_equal(response.status, 500);
    response_free(&response);
}

static void http_headers_beyond_the_room_are_left_out(void **state) {
    (void)state;
    struct response response = {0};
    for (int i = 0; i < HTTP_HEADERS_MAX + 3; i++)
        response_header(&response, "X", "%d", i);
    assert_int_equal(response.header_count, HTTP_HEADERS_MAX);
}

static void http_knows_pages_of_other_sites(void **state) {
    (void)state;
    static const struct {
        const char *site, *origin;
        bool cross;
    } rows[] = {
        {"", "", false}, /* a program, not a browser */
        {"same-origin", "http://convoy.test", false},
        {"none", "", false}, /* typed by the user */
        {"same-site", "http://convoy.test", true},
        {"cross-site", "", true},
        {"anything", "", true},
        {"", "http://convoy.test", false}, /* a browser without the other */
        {"", "https://CONVOY.test", false},
        {"", "http://convoy.test:8080", true},
        {"", "http://convoy.test.evil", true},
        {"", "http://evil", true},
        {"", "null", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct request request = {.host = "convoy.test",
                                        .origin = rows[i].origin,
                                        .fetch_site = rows[i].site};
        assert_int_equal(http_is_cross_site(&request), rows[i].cross);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http_request_id_takes_plain_words_only),
        cmocka_unit_test(http_request_ids_differ),
        cmocka_unit_test(http_etag_matches_lists_weakly),
        cmocka_unit_test(http_response_replaces_its_body),
        cmocka_unit_test(http_headers_beyond_the_room_are_left_out),
        cmocka_unit_test(http_knows_pages_of_other_sites),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
