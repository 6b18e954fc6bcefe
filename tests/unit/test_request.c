/* The pool against a FastCGI client of the test's own, record by record (the
 * FastCGI specification 1.0, sections 3 and 5). */
#include "fcgi/request.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

enum { BEGIN_REQUEST = 1, END_REQUEST = 3, PARAMS = 4, STDIN = 5, STDOUT = 6 };

static char folder[64], address[128];
static struct request_pool *pool;
static int client;

/* What the handler does and has seen. */
static atomic_bool hold; /* the request is not answered while this is set */
static atomic_int handled;
static char seen[512];

/* ---- the handler ---- */

static void *begin(void *context) {
    return context;
}

static void handle(void *state, struct request *request,
                   struct response *response) {
    (void)state;
    atomic_fetch_add(&handled, 1);
    while (atomic_load(&hold))
        poll(NULL, 0, 5);
    snprintf(seen, sizeof seen, "%s %s ? %s type=%s prefer=%s body=%.*s",
             request->method, request->path, request->query,
             request->content_type, request->prefer, (int)request->body.size,
             request->body.bytes ? (char *)request->body.bytes : "");
    response_json(response, 200, json_pack("{s:s}", "id", request->id));
    response_header(response, "X-Test", "%s", "yes");
}

static void end(void *state) {
    (void)state;
}

/* ---- the client ---- */

static void dial(void) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof name.sun_path, "%s/front.sock", folder);
    client = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&name, sizeof name), 0);
}

static void send_all(const void *bytes, size_t size) {
    const char *p = bytes;
    while (size > 0) {
        ssize_t n = write(client, p, size);
        assert_true(n > 0);
        p += n;
        size -= (size_t)n;
    }
}

static void send_record(int type, const void *content, size_t size) {
    const uint8_t head[8] = {
        1, (uint8_t)type, 0, 1, (uint8_t)(size >> 8), (uint8_t)size, 0, 0};
    send_all(head, sizeof head);
    send_all(content, size);
}

static size_t put_param(char *out, const char *name, const char *value) {
    out[0] = (char)strlen(name);
    out[1] = (char)strlen(value);
    memcpy(out + 2, name, strlen(name));
    memcpy(out + 2 + strlen(name), value, strlen(value));
    return 2 + strlen(name) + strlen(value);
}

/* Sends the head of a POST, and so much of the body; `length` is what
 * Content-Length says. */
static void send_request(const char *id, const char *length, const char *body,
                         size_t size) {
    const uint8_t start[8] = {0, 1, 1 /* keep the connection */};
    char params[1024];
    size_t len = 0;
    send_record(BEGIN_REQUEST, start, sizeof start);
    len += put_param(params + len, "REQUEST_METHOD", "POST");
    len += put_param(params + len, "DOCUMENT_URI", "/a/b");
    len += put_param(params + len, "QUERY_STRING", "c=d");
    len += put_param(params + len, "CONTENT_TYPE", "image/png");
    len += put_param(params + len, "HTTP_PREFER", "wait=1");
    len += put_param(params + len, "HTTP_X_REQUEST_ID", id);
    len += put_param(params + len, "CONTENT_LENGTH", length);
    send_record(PARAMS, params, len);
    send_record(PARAMS, "", 0);
    for (size_t at = 0; at < size; at += 60000)
        send_record(STDIN, body + at, size - at < 60000 ? size - at : 60000);
    send_record(STDIN, "", 0);
}

static int read_all(void *bytes, size_t size) {
    char *p = bytes;
    while (size > 0) {
        struct pollfd fd = {.fd = client, .events = POLLIN};
        if (poll(&fd, 1, 20000) != 1)
            return -1;
        ssize_t n = read(client, p, size);
        if (n <= 0)
            return -1;
        p += n;
        size -= (size_t)n;
    }
    return 0;
}

/* The answer's text; -1: the connection ended instead. */
static int read_answer(char *text, size_t size) {
    uint8_t head[8];
    char content[65536 + 255];
    size_t len = 0;
    while (read_all(head, sizeof head) == 0) {
        size_t n = (size_t)(head[4] << 8 | head[5]);
        if (read_all(content, n + head[6]) < 0)
            return -1;
        if (head[1] == STDOUT && len + n < size) {
            memcpy(text + len, content, n);
            len += n;
        }
        text[len] = 0;
        if (head[1] == END_REQUEST)
            return 0;
    }
    return -1;
}

static char answer[8192];

static void ask(const char *id, const char *body) {
    char length[16];
    snprintf(length, sizeof length, "%zu", strlen(body));
    send_request(id, length, body, strlen(body));
    assert_int_equal(read_answer(answer, sizeof answer), 0);
}

/* ---- set-up ---- */

static struct request_pool_options options(void) {
    return (struct request_pool_options){
        .address = address,
        .threads = 2,
        .body_max = 100000,
        .body_memory = 100000,
        .handler = {&pool, begin, handle, end}};
}

static int open_pool(void **state) {
    (void)state;
    struct request_pool_options o = options();
    struct err err = {0};
    atomic_store(&hold, false);
    atomic_store(&handled, 0);
    pool = request_pool_open(&o, &err);
    assert_non_null(pool);
    dial();
    return 0;
}

static int close_pool(void **state) {
    (void)state;
    atomic_store(&hold, false);
    request_pool_stop(pool);
    request_pool_close(pool);
    close(client);
    return 0;
}

/* ---- tests ---- */

static void request_goes_in_and_out(void **state) {
    (void)state;
    ask("req-7", "hello");
    assert_string_equal(
        seen, "POST /a/b ? c=d type=image/png prefer=wait=1 body=hello");
    assert_non_null(strstr(answer, "Status: 200 OK\r\n"));
    assert_non_null(strstr(answer, "X-Request-ID: req-7\r\n"));
    assert_non_null(strstr(answer, "Content-Type: application/json\r\n"));
    assert_non_null(strstr(answer, "Content-Length: 14\r\n"));
    assert_non_null(strstr(answer, "X-Test: yes\r\n"));
    assert_non_null(strstr(answer, "\r\n\r\n{\"id\":\"req-7\"}"));
}

static void request_connection_is_kept(void **state) {
    (void)state;
    ask("one", "1");
    ask("two", "");
    assert_non_null(strstr(answer, "X-Request-ID: two\r\n"));
    assert_non_null(strstr(seen, "body="));
}

static void request_body_may_take_many_records(void **state) {
    (void)state;
    char *body = calloc(1, 90001);
    memset(body, 'x', 90000);
    ask("one", body);
    assert_non_null(strstr(answer, "Status: 200"));
    free(body);
}

static void request_malformed_id_is_replaced(void **state) {
    (void)state;
    ask("a b", "1");
    assert_null(strstr(answer, "a b"));
    assert_non_null(strstr(answer, "X-Request-ID: "));
}

static void request_too_large_is_refused_and_the_next_answered(void **state) {
    (void)state;
    char *body = calloc(1, 150000);
    send_request("big", "150000", body, 150000);
    assert_int_equal(read_answer(answer, sizeof answer), 0);
    assert_non_null(strstr(answer, "Status: 413"));
    assert_non_null(strstr(answer, "/problems/too-large"));
    free(body);
    ask("next", "1");
    assert_non_null(strstr(answer, "X-Request-ID: next"));
}

static void request_incomplete_body_is_refused(void **state) {
    (void)state;
    send_request("short", "10", "123", 3);
    assert_int_equal(read_answer(answer, sizeof answer), 0);
    assert_non_null(strstr(answer, "/problems/bad-request"));
    const char *bad[] = {"x", "-1", "1x", "99999999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        send_request("bad", bad[i], "", 0);
        assert_int_equal(read_answer(answer, sizeof answer), 0);
        assert_non_null(strstr(answer, "/problems/bad-request"));
    }
    assert_int_equal(atomic_load(&handled), 0);
}

static void request_garbage_ends_its_connection_only(void **state) {
    (void)state;
    char byte;
    send_all("GET / HTTP/1.1\r\n\r\n", 18);
    assert_int_equal(read_all(&byte, 1), -1);
    close(client);
    dial();
    ask("one", "1");
    assert_non_null(strstr(answer, "Status: 200"));
}

static void *stop_pool(void *arg) {
    (void)arg;
    request_pool_stop(pool);
    request_pool_close(pool);
    return NULL;
}

static void request_that_runs_is_finished_at_the_end(void **state) {
    (void)state;
    pthread_t stopper;
    char byte;
    atomic_store(&hold, true);
    send_request("last", "1", "1", 1);
    while (!atomic_load(&handled))
        poll(NULL, 0, 5);
    pthread_create(&stopper, NULL, stop_pool, NULL);
    poll(NULL, 0, 50);
    atomic_store(&hold, false);
    assert_int_equal(read_answer(answer, sizeof answer), 0);
    assert_non_null(strstr(answer, "X-Request-ID: last"));
    assert_int_equal(read_all(&byte, 1), -1); /* not kept */
    pthread_join(stopper, NULL);
    close(client);
    open_pool(NULL); /* the address is free again */
    ask("one", "1");
}

static void request_address_of_another_is_not_taken(void **state) {
    (void)state;
    struct request_pool_options o = options();
    struct err err = {0};
    assert_null(request_pool_open(&o, &err));
    assert_non_null(strstr(err.text, "another front"));
    ask("one", "1"); /* which goes on */
}

static void request_bad_addresses_are_refused(void **state) {
    (void)state;
    const char *bad[] = {"unix:/nowhere/at/all", "localhost:no-port",
                         "127.0.0.1:99999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct request_pool_options o = options();
        struct err err = {0};
        o.address = bad[i];
        assert_null(request_pool_open(&o, &err));
        assert_true(*err.text);
    }
}

static void request_listens_on_tcp_too(void **state) {
    (void)state;
    struct request_pool_options o = options();
    struct err err = {0};
    o.address = "127.0.0.1:0";
    struct request_pool *tcp = request_pool_open(&o, &err);
    assert_non_null(tcp);
    request_pool_stop(tcp);
    request_pool_close(tcp);
}

static int make_folder(void **state) {
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    snprintf(folder, sizeof folder, "/tmp/convoy-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(address, sizeof address, "unix:%s/front.sock", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    return rmdir(folder); /* fails where a socket was left behind */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_pool, close_pool)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(request_goes_in_and_out),
        TEST(request_connection_is_kept),
        TEST(request_body_may_take_many_records),
        TEST(request_malformed_id_is_replaced),
        TEST(request_too_large_is_refused_and_the_next_answered),
        TEST(request_incomplete_body_is_refused),
        TEST(request_garbage_ends_its_connection_only),
        TEST(request_that_runs_is_finished_at_the_end),
        TEST(request_address_of_another_is_not_taken),
        TEST(request_bad_addresses_are_refused),
        cmocka_unit_test(request_listens_on_tcp_too),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
