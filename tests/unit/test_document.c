#include "common/document.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void document_is_what_was_put_in(void **state) {
    (void)state;
    json_t *doc = json_object(), *list = json_array();
    document_add(&list, json_integer(1));
    document_add(&list, json_null());
    document_set(&doc, "list", list);
    document_set(&doc, "name", document_text("d\xc3\xb4g"));
    char *text = document_print(doc, JSON_COMPACT);
    assert_string_equal(text, "{\"list\":[1,null],\"name\":\"d\xc3\xb4g\"}");
    free(text);
    json_decref(doc);
}

static void document_goes_with_its_first_missing_value(void **state) {
    (void)state;
    json_t *doc = json_object(), *list = json_array();
    document_set(&doc, "one", json_integer(1));
    document_set(&doc, "two", NULL);
    assert_null(doc);
    document_set(&doc, "three", json_integer(3)); /* freed */
    assert_null(doc);
    document_add(&list, NULL);
    document_add(&list, json_integer(3));
    assert_null(list);
    assert_null(document_print(doc, 0));
}

static void document_prints_what_is_larger_than_its_first_buffer(void **state) {
    (void)state;
    json_t *list = json_array();
    for (int i = 0; i < 10000; i++)
        document_add(&list, json_integer(i));
    char *text = document_print(list, JSON_COMPACT);
    char *expected = json_dumps(list, JSON_COMPACT);
    assert_string_equal(text, expected);
    free(text);
    free(expected);
    json_decref(list);
}

/* The bounds of RFC 3629, section 4. */
static void document_text_takes_utf8_alone(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *becomes; /* NULL: itself */
    } rows[] = {
        {"", NULL},
        {"plain", NULL},
        {"\xc2\x80", NULL},
        {"\xc1\xbf", "??"}, /* too long for what it is */
        {"\xe0\xa0\x80", NULL},
        {"\xe0\x9f\xbf", "???"},
        {"\xed\x9f\xbf", NULL},
        {"\xed\xa0\x80", "???"}, /* half of a pair */
        {"\xef\xbf\xbf", NULL},
        {"\xf0\x90\x80\x80", NULL},
        {"\xf0\x8f\xbf\xbf", "????"},
        {"\xf4\x8f\xbf\xbf", NULL},
        {"\xf4\x90\x80\x80", "????"}, /* beyond U+10FFFF */
        {"\xf5\x80\x80\x80", "????"},
        {"\x80", "?"},
        {"cut \xe2\x82", "cut ??"},
        {"cut \xe2", "cut ?"},
        {"\xff", "?"},
        {"caf\xe9 d\xc3\xb4g", "caf? d\xc3\xb4g"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *text = document_text(rows[i].text);
        assert_string_equal(json_string_value(text),
                            rows[i].becomes ? rows[i].becomes : rows[i].text);
        json_decref(text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(document_is_what_was_put_in),
        cmocka_unit_test(document_goes_with_its_first_missing_value),
        cmocka_unit_test(document_prints_what_is_larger_than_its_first_buffer),
        cmocka_unit_test(document_text_takes_utf8_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
