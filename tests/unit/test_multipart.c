#include "fcgi/multipart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TYPE "multipart/form-data; boundary=XX"
#define HEAD(name)                                                             \
    "Content-Disposition: form-data; name=\"" name                             \
    "\"; filename=\"a\\\"b;c\"\r\n"                                            \
    "Content-Type: image/png\r\n\r\n"

static struct multipart_part parts[4];
static struct err err;

static int parse_bytes(const char *text, size_t size) {
    /* A copy of exactly that size, for the address sanitizer's sake. */
    static uint8_t *body;
    free(body);
    body = malloc(size ? size : 1);
    memcpy(body, text, size);
    memset(&err, 0, sizeof err);
    return multipart_parse(body, size, "XX", parts, 4, &err);
}

static int parse(const char *text) {
    return parse_bytes(text, strlen(text));
}

static void assert_part(int i, const char *name, const char *bytes) {
    assert_string_equal(parts[i].name, name);
    assert_int_equal(parts[i].size, strlen(bytes));
    assert_memory_equal(parts[i].bytes, bytes, strlen(bytes));
}

static void multipart_tells_its_type_and_boundary(void **state) {
    (void)state;
    char boundary[MULTIPART_BOUNDARY_MAX + 1];
    assert_true(multipart_is(TYPE));
    assert_true(multipart_is("Multipart/Form-Data;boundary=x"));
    assert_false(multipart_is("multipart/form-database"));
    assert_false(multipart_is("image/png"));
    assert_int_equal(multipart_boundary(TYPE, boundary, &err), 0);
    assert_string_equal(boundary, "XX");
    const char *quoted = "multipart/form-data; charset=utf-8; "
                         "Boundary=\"a b:c\"";
    assert_int_equal(multipart_boundary(quoted, boundary, &err), 0);
    assert_string_equal(boundary, "a b:c");
}

static void multipart_needs_a_boundary_of_70_at_most(void **state) {
    (void)state;
    char boundary[MULTIPART_BOUNDARY_MAX + 1];
    char type[200] = "multipart/form-data; boundary=";
    const char *bad[] = {
        "multipart/form-data", "multipart/form-data; boundary",
        "multipart/form-data; boundary=", "multipart/form-data; boundary=\"x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(multipart_boundary(bad[i], boundary, &err), -1);
        assert_string_equal(err.problem, "malformed-multipart");
    }
    memset(type + strlen(type), 'b', 70);
    assert_int_equal(multipart_boundary(type, boundary, &err), 0);
    type[strlen(type)] = 'b';
    assert_int_equal(multipart_boundary(type, boundary, &err), -1);
}

static void multipart_parts_point_into_the_body(void **state) {
    (void)state;
    assert_int_equal(
        parse("--XX\r\n" HEAD("image") "one\r\n--X\r\n--XX\r\n" HEAD(
            "other") "\r\n--XX--\r\n"),
        2);
    assert_part(0, "image", "one\r\n--X");
    assert_part(1, "other", "");
}

static void multipart_passes_over_preamble_and_epilogue(void **state) {
    (void)state;
    assert_int_equal(
        parse("hello\r\n--XX \t\r\n" HEAD("image") "1\r\n--XX--bye --XX"), 1);
    assert_part(0, "image", "1");
    assert_int_equal(parse("--XX--"), 0);
}

static void multipart_takes_names_of_every_form(void **state) {
    (void)state;
    assert_int_equal(parse("--XX\r\ncontent-disposition:form-data;NAME=image"
                           "\r\n\r\n1\r\n--XX\r\nContent-Disposition: "
                           "form-data\r\n\r\n2\r\n--XX\r\n\r\n3\r\n--XX--"),
                     3);
    assert_part(0, "image", "1");
    assert_part(1, "", "2");
    assert_part(2, "", "3");
}

static void multipart_empty_parts_are_parts(void **state) {
    (void)state;
    assert_int_equal(parse("--XX\r\n" HEAD("image") "--XX--"), 1);
    assert_part(0, "image", "");
}

static void multipart_binary_bytes_stay(void **state) {
    (void)state;
    static const char body[] = "--XX\r\n" HEAD("image") "a\0\r\n\r\0\r\n--XX--";
    assert_int_equal(parse_bytes(body, sizeof body - 1), 1);
    assert_int_equal(parts[0].size, 6);
    assert_memory_equal(parts[0].bytes, "a\0\r\n\r\0", 6);
}

static void multipart_refuses_what_is_malformed(void **state) {
    (void)state;
    const char *bad[] = {
        "",
        "nothing",
        "--XX",
        "--XXjunk\r\n\r\n--XX--",
        "--XX\r\n",
        "--XX\r\n" HEAD("image") "never closed",
        "--XX\r\n" HEAD("image") "1\r\n--XX",
        "--XX\r\nContent-Disposition: form-data; name=\"x\r\n\r\n1\r\n--XX--",
        "--XX\r\nContent-Disposition: attachment; name=x\r\n\r\n1\r\n--XX--",
        "--XX\r\nno end of headers",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(parse(bad[i]), -1);
        assert_string_equal(err.problem, "malformed-multipart");
    }
}

static void multipart_every_truncation_is_refused(void **state) {
    (void)state;
    static const char body[] = "--XX\r\n" HEAD("image") "one\r\n--XX\r\n" HEAD(
        "image") "two\r\n--XX--";
    for (size_t size = 0; size < sizeof body - 1; size++)
        assert_int_equal(parse_bytes(body, size), -1);
    assert_int_equal(parse_bytes(body, sizeof body - 1), 2);
}

static void multipart_bounds_parts_and_headers(void **state) {
    (void)state;
    char *many = calloc(1, 20000);
    for (int i = 0; i < 4; i++)
        strcat(many, "--XX\r\n\r\n1\r\n");
    strcat(many, "--XX--");
    assert_int_equal(parse(many), 4);
    strcpy(many + strlen(many) - 2, "\r\n\r\n1\r\n--XX--");
    assert_int_equal(parse(many), -1);
    strcpy(many, "--XX\r\nX: ");
    memset(many + strlen(many), 'x', MULTIPART_HEADER_MAX);
    strcat(many, "\r\n\r\n1\r\n--XX--");
    assert_int_equal(parse(many), -1);
    free(many);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(multipart_tells_its_type_and_boundary),
        cmocka_unit_test(multipart_needs_a_boundary_of_70_at_most),
        cmocka_unit_test(multipart_parts_point_into_the_body),
        cmocka_unit_test(multipart_passes_over_preamble_and_epilogue),
        cmocka_unit_test(multipart_takes_names_of_every_form),
        cmocka_unit_test(multipart_empty_parts_are_parts),
        cmocka_unit_test(multipart_binary_bytes_stay),
        cmocka_unit_test(multipart_refuses_what_is_malformed),
        cmocka_unit_test(multipart_every_truncation_is_refused),
        cmocka_unit_test(multipart_bounds_parts_and_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
