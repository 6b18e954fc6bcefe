/*
 * service_fixture: the handlers, by way of the route table, on the front of
 * front_fixture.h; without FastCGI and nginx.
 *
 *     ASK(.path = "/healthz")    the status; the rest is in answer and doc
 *     ASK(.method = "POST", .path = PREDICTIONS, .body = PNG "1")
 *
 *     cmocka_unit_test_setup_teardown(a_test, open_service, close_service)
 *     cmocka_run_group_tests(tests, NULL, end_group)
 */
#ifndef CONVOY_SERVICE_FIXTURE_H
#define CONVOY_SERVICE_FIXTURE_H

#include "common/digest.h"
#include "fcgi/route.h"
#include "fcgi/service.h"
#include "tests/unit/front_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PREDICTIONS "/api/v1/predictions"
#define PNG "\x89PNG\r\n\x1a\n"

static struct front front;
static struct fake_worker worker;
static struct service service;

/* The last answer. */
static struct response answer;
static json_t *doc;

static inline int open_service(void **state) {
    (void)state;
    struct metrics *metrics = metrics_open();
    front_prepare(&front);
    struct dispatch_options options = front_options(&front);
    options.schedule.metrics = metrics;
    front_open_with(&front, &options);
    fake_worker_open(&worker, front.endpoint);
    service = (struct service){.limits = {.image_bytes = 2000,
                                          .images = 3,
                                          .pending = 4,
                                          .wait_ms = 30000,
                                          .lease_ms = 3000},
                               .catalogue = front.catalogue,
                               .waiters = front.waiters,
                               .dispatch = front.dispatch,
                               .metrics = metrics};
    return 0;
}

static inline int close_service(void **state) {
    (void)state;
    json_decref(doc);
    doc = NULL;
    response_free(&answer);
    fake_worker_close(&worker);
    front_close(&front);
    metrics_close(service.metrics);
    return 0;
}

static inline int end_group(void **state) {
    (void)state;
    front_end();
    return 0;
}

/* The worker says what it has, and is there. */
static inline void ready(uint32_t credits) {
    fake_worker_ready(&worker, "w1", "net", FRONT_VERSION, credits);
    assert_true(FRONT_UNTIL(&front, stats.workers == 1));
}

/* ---- asking ---- */

struct ask {
    const char *method, *path, *query, *type, *prefer, *none_match, *body;
    const char *origin, *site; /* of the page that asks */
};

static inline const char *or_else(const char *text, const char *fallback) {
    return text ? text : fallback;
}

static inline void ask_into(const struct ask *ask, struct store *store,
                            struct response *response) {
    struct request request = {
        .method = or_else(ask->method, "GET"),
        .path = ask->path,
        .query = or_else(ask->query, ""),
        .content_type = or_else(ask->type, ""),
        .prefer = or_else(ask->prefer, ""),
        .if_none_match = or_else(ask->none_match, ""),
        .host = "convoy.test",
        .origin = or_else(ask->origin, ""),
        .fetch_site = or_else(ask->site, ""),
        .id = "req-1",
    };
    struct body_gate *gate = body_gate_open(1 << 20);
    size_t size = ask->body ? strlen(ask->body) : 0;
    assert_int_equal(body_take(gate, size, &request.body), 0);
    if (size)
        memcpy(request.body.bytes, ask->body, size);
    struct call call = {&service, store, &request, response};
    route(&call);
    metrics_request(service.metrics, request.route, response->status);
    body_free(&request.body);
    body_gate_close(gate);
}

static inline int ask_with(struct ask ask) {
    json_decref(doc);
    response_free(&answer);
    ask_into(&ask, front.store, &answer);
    doc =
        answer.body ? json_loadb(answer.body, answer.body_len, 0, NULL) : NULL;
    return answer.status;
}

#define ASK(...) ask_with((struct ask){__VA_ARGS__})

/* ---- images ---- */

static inline struct id id_of(const char *bytes) {
    char sha256[DIGEST_HEX];
    struct id id;
    digest_sha256_hex(bytes, strlen(bytes), sha256);
    id_make(sha256, FRONT_VERSION, &id);
    return id;
}

/* The prediction's path with `rest` behind it, until the next call. */
static inline const char *path_of(const char *bytes, const char *rest) {
    static char path[256];
    snprintf(path, sizeof path, PREDICTIONS "/%s%s", id_of(bytes).text, rest);
    return path;
}

#endif
