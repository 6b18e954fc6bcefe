/*
 * Requests that are no good: each is refused with a status that says so, and
 * no part is harmed.
 */
#include "common/clock.h"
#include "tests/integration/http.h"
#include "tests/integration/picture.h"
#include "tests/integration/stack.h"
#include "tests/integration/unharmed.h"
#include "tests/integration/wire.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GOOD "127.0.0.1"
#define GATE "Host: x\r\nConnection: close\r\n"
#define POST "POST /api/v1/predictions HTTP/1.1\r\n" GATE
#define ID "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

static int ask(const char *text) {
    return wire_ask(GOOD, text, strlen(text));
}

static void http_lengths(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int status;
    } rows[] = {
        {POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400},
        {POST "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400},
        {POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
              "3\r\nabc\r\n0\r\n\r\n",
         400},
        {POST "Content-Length: -1\r\n\r\n", 400},
        {POST "Content-Length: +3\r\n\r\nabc", 400},
        {POST "Content-Length: 0x3\r\n\r\nabc", 400},
        {POST "Content-Length: 99999999999999999999\r\n\r\n", 400},
        {POST "Content-Length: 9999999999\r\n\r\n", 413},
        {POST "Content-Length: 0\r\n\r\n", 400},
        {POST "\r\n", 400},
        {POST "Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n", 400},
        {POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
        {POST "Transfer-Encoding: chunked\r\n\r\n"
              "ffffffffffffffff\r\nabc\r\n0\r\n\r\n",
         400},
        /* well-formed, but no image */
        {POST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 415},
        {POST "Content-Length: 3\r\n\r\nabcdefgh", 415},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int status = ask(rows[i].text);
        if (status != rows[i].status)
            fail_msg("%s\nis answered %d, not %d", rows[i].text, status,
                     rows[i].status);
    }
}

static void http_chunked_image_is_taken(void **state) {
    (void)state;
    struct picture picture;
    char request[16384];
    picture_random(&picture, PICTURE_JPEG);
    int used = snprintf(request, sizeof request,
                        POST "Prefer: wait=20\r\nTransfer-Encoding: chunked"
                             "\r\n\r\n");
    for (size_t at = 0; at < picture.size; at += 100) {
        size_t n = picture.size - at < 100 ? picture.size - at : 100;
        used += sprintf(request + used, "%zx\r\n", n);
        memcpy(request + used, picture.bytes + at, n);
        used += (int)n;
        used += sprintf(request + used, "\r\n");
        assert_true((size_t)used + 256 < sizeof request);
    }
    used += sprintf(request + used, "0\r\n\r\n");
    assert_int_equal(wire_ask(GOOD, request, (size_t)used), 200);
    picture_free(&picture);
}

/* A byte that ends a string, and a line, where a name is expected. */
static void http_names_with_nul_and_newlines(void **state) {
    (void)state;
    static const struct {
        const char *path;
        int status;
    } rows[] = {
        {"/api/v1/predictions/%00", 400},
        {"/api/v1/predictions/" ID "%00-0123456789ab", 400},
        {"/api/v1/predictions/" ID "-0123456789ab%0d%0aX-Evil:1", 400},
        {"/api/v1/predictions/" ID "-0123456789ab%0a", 400},
        {"/api/v1/models/a%0d%0aSet-Cookie:b=c", 404},
        {"/api/v1/models/%ff%fe", 404},
        {"/api/v1/predictions/%2e%2e/%2e%2e/admin/", 404},
        {"/api/%2e%2e/admin/", 403},
        {"/static/../../etc/passwd", 400},
        {"/..%2f..%2fetc/passwd", 400},
        {"/%", 400},
    };
    char text[512], answer[8192];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(text, sizeof text, "GET %s HTTP/1.1\r\n" GATE "\r\n",
                 rows[i].path);
        int fd = wire_open(GOOD);
        assert_int_equal(wire_send(fd, text), 0);
        wire_read(fd, answer, sizeof answer, 10000);
        close(fd);
        if (wire_status(answer) != rows[i].status)
            fail_msg("%s: %.300s", rows[i].path, answer);
        assert_null(strstr(answer, "\nX-Evil"));
        assert_null(strstr(answer, "\nSet-Cookie"));
    }
    assert_int_equal(ask("GET /api/v1/pre\0dictions HTTP/1.1\r\n" GATE "\r\n"),
                     0);
    static const char nul[] = "GET /api/\0x HTTP/1.1\r\n" GATE "\r\n";
    assert_int_equal(wire_ask(GOOD, nul, sizeof nul - 1), 400);
}

static void http_ids_cannot_forge_lines(void **state) {
    (void)state;
    char answer[4096];
    int fd = wire_open(GOOD);
    wire_send(fd, "GET /healthz HTTP/1.1\r\n" GATE
                  "X-Request-ID: a level=error\x0b\x01 event=forged\r\n\r\n");
    wire_read(fd, answer, sizeof answer, 10000);
    close(fd);
    assert_int_equal(wire_status(answer), 200);
    assert_null(strstr(answer, "forged"));
    assert_int_equal(stack_log_lines("front", "event=forged", NULL), 0);
}

static void http_proxy_header_means_nothing(void **state) {
    (void)state;
    assert_int_equal(ask("GET /readyz HTTP/1.1\r\n" GATE
                         "Proxy: http://127.0.0.1:1/\r\n\r\n"),
                     200);
}

static void http_absurd_headers(void **state) {
    (void)state;
    enum { SIZE = 128 << 10 };
    char *text = malloc(SIZE);
    assert_non_null(text);
    /* one of 100 KB */
    int used = sprintf(text, "GET /healthz HTTP/1.1\r\n" GATE "X-Long: ");
    memset(text + used, 'a', 100 << 10);
    strcpy(text + used + (100 << 10), "\r\n\r\n");
    assert_int_equal(ask(text), 431);
    /* 5,000 of them */
    used = sprintf(text, "GET /healthz HTTP/1.1\r\n" GATE);
    for (int i = 0; i < 5000; i++)
        used += sprintf(text + used, "X-%d: %d\r\n", i, i);
    strcpy(text + used, "\r\n");
    assert_int_equal(ask(text), 431);
    /* an address of 100 KB, a method of 10 */
    used = sprintf(text, "GET /");
    memset(text + used, 'a', 100 << 10);
    strcpy(text + used + (100 << 10), " HTTP/1.1\r\n" GATE "\r\n");
    assert_int_equal(ask(text), 414);
    memset(text, 'G', 10 << 10);
    strcpy(text + (10 << 10), " / HTTP/1.1\r\n" GATE "\r\n");
    int status = ask(text);
    assert_true(status == 400 || status == 405 || status == 414);
    assert_int_equal(ask("GET / HTTP/9.9\r\n" GATE "\r\n"), 505);
    assert_int_equal(ask("\x16\x03\x01\x02\x01\x01\r\n\r\n"), 400);
    free(text);
}

static void http_ten_thousand_parts(void **state) {
    (void)state;
    enum { COUNT = 10000 };
    char *body = malloc(COUNT * 80 + 200), *request;
    assert_non_null(body);
    int used = 0;
    for (int i = 0; i < COUNT; i++)
        used += sprintf(body + used, "--edge\r\nContent-Disposition: "
                                     "form-data; name=\"image\"\r\n\r\n\r\n");
    used += sprintf(body + used, "--edge--\r\n");
    int size = asprintf(&request,
                        POST "Content-Type: multipart/form-data; "
                             "boundary=edge\r\nContent-Length: %d\r\n\r\n%s",
                        used, body);
    assert_true(size > 0);
    double start = clock_seconds();
    int status = wire_ask(GOOD, request, (size_t)size);
    print_message("10,000 parts: %d after %.0f ms\n", status,
                  (clock_seconds() - start) * 1000);
    assert_int_equal(status, 400);
    free(body);
    free(request);
}

static void http_part_names_with_nul_and_newlines(void **state) {
    (void)state;
    static const char body[] =
        "--edge\r\nContent-Disposition: form-data; name=\"im\0age\"; "
        "filename=\"a\r\nX-Evil: 1\"\r\n\r\nabc\r\n--edge--\r\n";
    struct reply reply;
    http(
        &(struct request){
            .path = "/api/v1/predictions",
            .headers = {"Content-Type: multipart/form-data; boundary=edge"},
            .body = body,
            .size = sizeof body - 1},
        &reply);
    assert_problem(&reply, 400, NULL);
    reply_free(&reply);
}

static void http_pipelining(void **state) {
    (void)state;
    enum { COUNT = 50 };
    char text[COUNT * 64], answer[65536];
    int used = 0, answers = 0;
    for (int i = 0; i < COUNT; i++)
        used += sprintf(text + used, "GET /%s HTTP/1.1\r\nHost: x\r\n%s\r\n",
                        i % 2 ? "healthz" : "nothing",
                        i == COUNT - 1 ? "Connection: close\r\n" : "");
    int fd = wire_open(GOOD);
    assert_int_equal(wire_send(fd, text), 0);
    wire_read(fd, answer, sizeof answer, 20000);
    close(fd);
    for (const char *at = answer; (at = strstr(at, "HTTP/1.1 "));
         at++, answers++)
        assert_int_equal(wire_status(at), answers % 2 ? 200 : 404);
    assert_int_equal(answers, COUNT);
}

int main(int argc, char **argv) {
    (void)argc;
    stack_enter(argv);
    const struct CMUnitTest tests[] = {
        UNHARMED(http_lengths),
        UNHARMED(http_chunked_image_is_taken),
        UNHARMED(http_names_with_nul_and_newlines),
        UNHARMED(http_ids_cannot_forge_lines),
        UNHARMED(http_proxy_header_means_nothing),
        UNHARMED(http_absurd_headers),
        UNHARMED(http_ten_thousand_parts),
        UNHARMED(http_part_names_with_nul_and_newlines),
        UNHARMED(http_pipelining),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
