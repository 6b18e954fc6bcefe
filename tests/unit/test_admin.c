/* What only whoever runs the service may ask, without FastCGI and nginx. */
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
static struct response answer;
static json_t *doc;

static int open_service(void **state) {
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
    fake_worker_ready(&worker, "w1", "net", FRONT_VERSION, 5);
    assert_true(FRONT_UNTIL(&front, stats.workers == 1));
    return 0;
}

static int close_service(void **state) {
    (void)state;
    json_decref(doc);
    doc = NULL;
    response_free(&answer);
    fake_worker_close(&worker);
    front_close(&front);
    metrics_close(service.metrics);
    return 0;
}

static int end_group(void **state) {
    (void)state;
    front_end();
    return 0;
}

/* ---- asking ---- */

struct ask {
    const char *method, *path, *query, *body, *origin, *site;
};

static int ask_with(struct ask ask) {
    struct request request = {
        .method = ask.method ? ask.method : "GET",
        .path = ask.path,
        .query = ask.query ? ask.query : "",
        .content_type = "",
        .prefer = "",
        .if_none_match = "",
        .host = "convoy.test",
        .origin = ask.origin ? ask.origin : "",
        .fetch_site = ask.site ? ask.site : "",
        .id = "req-1",
    };
    struct body_gate *gate = body_gate_open(1 << 20);
    size_t size = ask.body ? strlen(ask.body) : 0;
    json_decref(doc);
    response_free(&answer);
    assert_int_equal(body_take(gate, size, &request.body), 0);
    if (size)
        memcpy(request.body.bytes, ask.body, size);
    struct call call = {&service, front.store, &request, &answer};
    route(&call);
    metrics_request(service.metrics, request.route, answer.status);
    body_free(&request.body);
    body_gate_close(gate);
    doc =
        answer.body ? json_loadb(answer.body, answer.body_len, 0, NULL) : NULL;
    return answer.status;
}

#define ASK(...) ask_with((struct ask){__VA_ARGS__})
#define SUBMIT(bytes) ASK(.method = "POST", .path = PREDICTIONS, .body = bytes)

static struct id id_of(const char *bytes) {
    char sha256[DIGEST_HEX];
    struct id id;
    digest_sha256_hex(bytes, strlen(bytes), sha256);
    id_make(sha256, FRONT_VERSION, &id);
    return id;
}

static const char *path_of(const char *bytes) {
    static char path[256];
    snprintf(path, sizeof path, PREDICTIONS "/%s", id_of(bytes).text);
    return path;
}

static void finish(const char *bytes) {
    struct id id = id_of(bytes);
    front_finish(&front, &id);
}

static json_int_t number(const char *object, const char *key) {
    return json_integer_value(
        json_object_get(json_object_get(doc, object), key));
}

/* ---- forgetting ---- */

static void forgetting_takes_results(void **state) {
    (void)state;
    assert_int_equal(ASK(.method = "DELETE", .path = path_of(PNG "1")), 404);
    finish(PNG "1");
    assert_int_equal(ASK(.path = path_of(PNG "1")), 200);
    assert_int_equal(ASK(.method = "DELETE", .path = path_of(PNG "1")), 204);
    assert_null(answer.body);
    assert_int_equal(ASK(.path = path_of(PNG "1")), 404);
}

static void forgetting_takes_jobs_too(void **state) {
    (void)state;
    assert_int_equal(SUBMIT(PNG "1"), 202);
    assert_int_equal(ASK(.method = "DELETE", .path = path_of(PNG "1")), 204);
    assert_int_equal(ASK(.path = path_of(PNG "1")), 404);
    assert_int_equal(ASK(.method = "DELETE", .path = path_of(PNG "1")), 404);
}

static void forgetting_is_not_for_pages_of_other_sites(void **state) {
    (void)state;
    finish(PNG "1");
    const char *path = path_of(PNG "1");
    assert_int_equal(
        ASK(.method = "DELETE", .path = path, .site = "cross-site"), 403);
    assert_string_equal(json_string_value(json_object_get(doc, "type")),
                        "/problems/cross-site");
    assert_int_equal(
        ASK(.method = "DELETE", .path = path, .origin = "http://evil.test"),
        403);
    /* Looking is no harm: another site's page cannot read the answer. */
    assert_int_equal(ASK(.path = path, .site = "cross-site"), 200);
    assert_int_equal(ASK(.method = "DELETE", .path = path,
                         .site = "same-origin", .origin = "http://convoy.test"),
                     204);
}

/* ---- ids that nobody can tell ---- */

static void secret_ids_are_not_hashes(void **state) {
    (void)state;
    static const struct secret secret = {"0123456789abcdef", 16};
    char hex[DIGEST_HEX], path[256];
    assert_int_equal(SUBMIT(PNG "1"), 202);
    assert_non_null(strstr(answer.body, "sha256"));
    service.id_secret = &secret;
    assert_int_equal(SUBMIT(PNG "1"), 202); /* another name: not joined */
    assert_null(strstr(answer.body, "sha256"));
    digest_hmac_hex(secret.text, secret.size, PNG "1", strlen(PNG "1"), hex);
    const char *id = json_string_value(json_object_get(doc, "id"));
    assert_memory_equal(id, hex, ID_IMAGE_LEN);
    struct id secret_id;
    id_make(hex, FRONT_VERSION, &secret_id);
    snprintf(path, sizeof path, PREDICTIONS "/%s", secret_id.text);
    assert_int_equal(ASK(.path = path), 200);
    assert_null(strstr(answer.body, "sha256"));
    front_finish(&front, &secret_id);
    assert_int_equal(ASK(.path = path), 200);
    assert_null(strstr(answer.body, "sha256"));
    assert_int_equal(SUBMIT(PNG "1"), 200);
    assert_null(strstr(answer.body, "sha256"));
    ASK(.path = "/api/v1/admin/predictions");
    assert_null(strstr(answer.body, "sha256"));
    ASK(.path = "/api/v1/models");
    assert_string_equal(json_string_value(json_object_get(doc, "ids")),
                        "secret");
}

/* ---- looking ---- */

static int has(const char *sample) {
    char line[160];
    snprintf(line, sizeof line, "\n%s\n", sample);
    return strstr(answer.body, line) != NULL;
}

static void metrics_add_up(void **state) {
    (void)state;
    finish(PNG "1");
    SUBMIT(PNG "1"); /* hit */
    SUBMIT(PNG "2"); /* miss */
    SUBMIT(PNG "2"); /* join */
    SUBMIT(PNG "3"); /* miss */
    SUBMIT("no image");
    assert_int_equal(ASK(.path = "/metrics"), 200);
    assert_string_equal(answer.content_type,
                        "text/plain; version=0.0.4; charset=utf-8");
    assert_true(has("convoy_submissions_total{cache=\"hit\"} 1"));
    assert_true(has("convoy_submissions_total{cache=\"miss\"} 2"));
    assert_true(has("convoy_submissions_total{cache=\"join\"} 1"));
    assert_true(
        has("convoy_refusals_total{problem=\"unsupported-image-type\"} 1"));
    assert_true(has("convoy_http_requests_total{route=\"/api/v1/predictions\","
                    "status=\"202\"} 3"));
    assert_true(has("convoy_workers 1"));
    assert_true(has("convoy_store_up 1"));
    assert_true(has("convoy_store_pending_jobs 2"));
}

static void metrics_without_redis(void **state) {
    (void)state;
    private_redis_stop(&front_redis);
    assert_int_equal(ASK(.path = "/metrics"), 200);
    private_redis_again(&front_redis);
    assert_true(has("convoy_store_up 0"));
    assert_null(strstr(answer.body, "convoy_store_pending_jobs"));
}

static void state_shows_queue_workers_and_models(void **state) {
    (void)state;
    store_announce_worker(front.store, "w1", "{\"busy\":1,\"refusals\":[]}", 60,
                          NULL);
    json_t *workers = NULL;
    for (int i = 0; i < 1000 && json_array_size(workers) == 0; i++) {
        front_rest();
        assert_int_equal(ASK(.path = "/api/v1/admin/state"), 200);
        workers = json_object_get(doc, "workers");
    }
    json_t *first = json_array_get(workers, 0);
    assert_string_equal(json_string_value(json_object_get(first, "name")),
                        "w1");
    assert_int_equal(json_integer_value(json_object_get(
                         json_object_get(first, "report"), "busy")),
                     1);
    json_t *model = json_array_get(json_object_get(doc, "models"), 0);
    assert_string_equal(json_string_value(json_object_get(model, "version")),
                        FRONT_VERSION);
    assert_true(json_is_true(json_object_get(doc, "redis")));
    assert_true(number("totals", "requests") > 0);
    SUBMIT(PNG "1");
    ASK(.path = "/api/v1/admin/state");
    assert_int_equal(number("queue", "owed"), 1);
    assert_int_equal(number("totals", "misses"), 1);
}

static void state_is_shown_without_redis(void **state) {
    (void)state;
    private_redis_stop(&front_redis);
    assert_int_equal(ASK(.path = "/api/v1/admin/state"), 200);
    assert_true(json_is_false(json_object_get(doc, "redis")));
    assert_int_equal(ASK(.path = "/api/v1/admin/predictions"), 503);
    private_redis_again(&front_redis);
}

static void recent_predictions_are_listed(void **state) {
    (void)state;
    assert_int_equal(ASK(.path = "/api/v1/admin/predictions"), 200);
    assert_int_equal(json_array_size(json_object_get(doc, "predictions")), 0);
    finish(PNG "1");
    finish(PNG "2");
    ASK(.path = "/api/v1/admin/predictions");
    json_t *list = json_object_get(doc, "predictions");
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(list, 0), "id")),
        id_of(PNG "2").text);
    assert_int_equal(
        ASK(.path = "/api/v1/admin/predictions", .query = "limit=1"), 200);
    assert_int_equal(json_array_size(json_object_get(doc, "predictions")), 1);
    assert_int_equal(
        ASK(.path = "/api/v1/admin/predictions", .query = "limit=0"), 400);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, open_service, close_service)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(forgetting_takes_results),
        TEST(forgetting_takes_jobs_too),
        TEST(forgetting_is_not_for_pages_of_other_sites),
        TEST(secret_ids_are_not_hashes),
        TEST(metrics_add_up),
        TEST(metrics_without_redis),
        TEST(state_shows_queue_workers_and_models),
        TEST(state_is_shown_without_redis),
        TEST(recent_predictions_are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, end_group);
}
