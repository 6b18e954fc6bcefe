/* What only whoever runs the service may ask. */
#include "tests/unit/service_fixture.h"

#define SUBMIT(bytes) ASK(.method = "POST", .path = PREDICTIONS, .body = bytes)

static int open_with_worker(void **state) {
    open_service(state);
    ready(5);
    return 0;
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
    assert_int_equal(ASK(.method = "DELETE", .path = path_of(PNG "1", "")),
                     404);
    finish(PNG "1");
    assert_int_equal(ASK(.path = path_of(PNG "1", "")), 200);
    assert_int_equal(ASK(.method = "DELETE", .path = path_of(PNG "1", "")),
                     204);
    assert_null(answer.body);
    assert_int_equal(ASK(.path = path_of(PNG "1", "")), 404);
}

static void forgetting_takes_jobs_too(void **state) {
    (void)state;
    assert_int_equal(SUBMIT(PNG "1"), 202);
    assert_int_equal(ASK(.method = "DELETE", .path = path_of(PNG "1", "")),
                     204);
    assert_int_equal(ASK(.path = path_of(PNG "1", "")), 404);
    assert_int_equal(ASK(.method = "DELETE", .path = path_of(PNG "1", "")),
                     404);
}

static void forgetting_is_not_for_pages_of_other_sites(void **state) {
    (void)state;
    finish(PNG "1");
    const char *path = path_of(PNG "1", "");
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
    cmocka_unit_test_setup_teardown(name, open_with_worker, close_service)

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
