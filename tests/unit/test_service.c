/* The handlers for everybody. */
#include "tests/unit/service_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#define FORM "multipart/form-data; boundary=XX"
#define PART "--XX\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\n"
#define SUBMIT(...) ASK(.method = "POST", .path = PREDICTIONS, __VA_ARGS__)

static const char *member(const char *key) {
    const char *text = json_string_value(json_object_get(doc, key));
    return text ? text : "";
}

static const char *header(const char *name) {
    const char *value = response_header_value(&answer, name);
    return value ? value : "";
}

static void assert_problem(const char *slug) {
    char type[96];
    snprintf(type, sizeof type, "/problems/%s", slug);
    assert_string_equal(answer.content_type, "application/problem+json");
    assert_string_equal(member("type"), type);
}

/* ---- what a worker does ---- */

/* A result with a map of label 3, and one more label without. */
static void finish(const char *bytes) {
    static uint8_t maps[4] = {0, 80, 160, 255};
    struct prediction p = {
        .id = id_of(bytes),
        .succeeded = true,
        .model_name = "net",
        .image = {.format = "png", .width = 40, .height = 30, .bytes = 9},
        .top_count = 2,
        .top = {{"cat", 3, 0.75f}, {"dog", 5, 0.25f}},
        .map_count = 1,
        .map_width = 2,
        .map_height = 2,
        .map_region = {0, 0, 1, 1},
        .maps = maps,
        .created_ms = 1795514400123,
        .completed_ms = 1795514400456,
    };
    char *json = prediction_encode(&p);
    assert_int_equal(
        store_finish(front.store, &p.id, json, strlen(json), 60, NULL, NULL),
        0);
    free(json);
}

static void finish_failed(const char *bytes, bool permanent) {
    struct prediction p = {.id = id_of(bytes),
                           .model_name = "net",
                           .problem = "corrupt-image",
                           .detail = "It ends too early.",
                           .permanent = permanent,
                           .created_ms = 1795514400123,
                           .completed_ms = 1795514400456};
    char *json = prediction_encode(&p);
    store_finish(front.store, &p.id, json, strlen(json), 60, NULL, NULL);
    free(json);
}

/* ---- routes ---- */

static void route_matches_whole_segments(void **state) {
    (void)state;
    char segment[HTTP_SEGMENTS][HTTP_ID_MAX + 1];
    assert_true(route_matches("/a/{}/b", "/a/xyz/b", segment));
    assert_string_equal(segment[0], "xyz");
    assert_true(route_matches("/{}/{}", "/x/y.z", segment));
    assert_string_equal(segment[1], "y.z");
    const char *others[] = {"/a//b",   "/a/x/y/b", "/a/x", "/a/x/b/",
                            "/a/x/bc", "",         "/a/x/"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(route_matches("/a/{}/b", others[i], segment));
    char longest[3 + HTTP_ID_MAX + 2] = "/";
    memset(longest + 1, 'x', HTTP_ID_MAX);
    assert_true(route_matches("/{}", longest, segment));
    longest[HTTP_ID_MAX + 1] = 'x';
    assert_false(route_matches("/{}", longest, segment));
}

static void route_names_the_methods_of_an_address(void **state) {
    (void)state;
    assert_int_equal(ASK(.path = "/nowhere"), 404);
    assert_problem("not-found");
    assert_int_equal(ASK(.method = "PUT", .path = PREDICTIONS), 405);
    assert_problem("method-not-allowed");
    assert_string_equal(header("Allow"), "POST");
    assert_int_equal(ASK(.method = "POST", .path = PREDICTIONS "/x"), 405);
    assert_string_equal(header("Allow"), "GET, HEAD, DELETE");
    assert_int_equal(ASK(.method = "HEAD", .path = "/healthz"), 200);
}

/* ---- health and models ---- */

static void health_lives_whatever_is_missing(void **state) {
    (void)state;
    assert_int_equal(ASK(.path = "/healthz"), 200);
}

static void readiness_says_what_is_missing(void **state) {
    (void)state;
    assert_int_equal(ASK(.path = "/readyz"), 503);
    assert_problem("not-ready");
    json_t *missing = json_object_get(doc, "missing");
    assert_int_equal(json_array_size(missing), 1);
    assert_string_equal(json_string_value(json_array_get(missing, 0)),
                        "worker");
    ready(1);
    assert_int_equal(ASK(.path = "/readyz"), 200);
    private_redis_stop(&front_redis);
    assert_int_equal(ASK(.path = "/readyz"), 503);
    missing = json_object_get(doc, "missing");
    assert_string_equal(json_string_value(json_array_get(missing, 0)), "redis");
    assert_true(*header("Retry-After"));
    private_redis_again(&front_redis);
    assert_int_equal(ASK(.path = "/readyz"), 200);
}

static void models_are_listed_and_described(void **state) {
    (void)state;
    assert_int_equal(ASK(.path = "/api/v1/models"), 200);
    assert_int_equal(json_array_size(json_object_get(doc, "models")), 0);
    ready(1);
    assert_int_equal(ASK(.path = "/api/v1/models"), 200);
    assert_int_equal(json_array_size(json_object_get(doc, "models")), 1);
    assert_int_equal(ASK(.path = "/api/v1/models/net"), 200);
    assert_string_equal(member("version"), FRONT_VERSION);
    assert_int_equal(ASK(.path = "/api/v1/models/other"), 404);
    assert_problem("unknown-model");
}

/* ---- submissions ---- */

static void submission_is_accepted_joined_and_hit(void **state) {
    (void)state;
    struct id id = id_of(PNG "1");
    ready(0);
    assert_int_equal(SUBMIT(.body = PNG "1"), 202);
    assert_string_equal(member("id"), id.text);
    assert_string_equal(member("status"), "queued");
    assert_string_equal(header("Cache-Status"), "convoy; fwd=miss; stored");
    assert_string_equal(header("Location"), path_of(PNG "1", ""));
    assert_true(atoi(header("Retry-After")) >= 1);
    assert_true(json_integer_value(json_object_get(doc, "poll_after_ms")) >=
                100);
    assert_int_equal(SUBMIT(.body = PNG "1"), 202);
    assert_string_equal(header("Cache-Status"), "convoy; fwd=miss; collapsed");
    finish(PNG "1");
    assert_int_equal(SUBMIT(.body = PNG "1", .query = "top_k=1"), 200);
    assert_string_equal(header("Cache-Status"), "convoy; hit");
    assert_string_equal(member("status"), "succeeded");
    assert_int_equal(json_array_size(json_object_get(doc, "predictions")), 1);
    assert_string_equal(header("Retry-After"), "");
}

static void submission_reaches_a_worker_with_its_bytes(void **state) {
    (void)state;
    struct job_header job;
    ready(1);
    SUBMIT(.body = PNG "1");
    assert_true(fake_worker_job(&worker, &job, FRONT_SOON_MS));
    assert_string_equal(job.id.text, id_of(PNG "1").text);
    assert_string_equal(job.request, "req-1");
    assert_int_equal(worker.size, strlen(PNG "1"));
}

static void submission_refuses_what_is_no_image(void **state) {
    (void)state;
    char large[3000] = PNG;
    ready(1);
    assert_int_equal(SUBMIT(.body = "hello"), 415);
    assert_problem("unsupported-image-type");
    assert_int_equal(SUBMIT(.body = "hello", .type = "image/png"), 415);
    assert_int_equal(SUBMIT(.body = ""), 400);
    assert_problem("no-image");
    memset(large + strlen(large), 'x', 2500);
    assert_int_equal(SUBMIT(.body = large), 413);
    assert_problem("image-too-large");
    assert_int_equal(SUBMIT(.body = PNG, .query = "top_k=0"), 400);
    assert_problem("bad-parameter");
    assert_int_equal(SUBMIT(.body = PNG, .query = "model=other"), 404);
    assert_problem("unknown-model");
}

static void submission_reads_forms(void **state) {
    (void)state;
    ready(0);
    assert_int_equal(SUBMIT(.type = FORM, .body = PART PNG "1\r\n--XX--"), 202);
    assert_string_equal(member("id"), id_of(PNG "1").text);
    assert_int_equal(SUBMIT(.type = FORM, .body = "--XX--"), 400);
    assert_problem("no-image");
    assert_int_equal(SUBMIT(.type = FORM, .body = "--YY--"), 400);
    assert_problem("malformed-multipart");
    assert_int_equal(SUBMIT(.type = FORM, .body = PART PNG
                                          "1\r\n" PART PNG "2\r\n" PART PNG
                                          "3\r\n" PART PNG "4\r\n--XX--"),
                     400);
    assert_problem("too-many-images");
}

static void submission_of_several_answers_each_in_order(void **state) {
    (void)state;
    ready(0);
    finish(PNG "1");
    assert_int_equal(SUBMIT(.type = FORM, .body = PART PNG "1\r\n" PART
                                                           "junk\r\n" PART PNG
                                                           "2\r\n--XX--"),
                     202);
    json_t *all = json_object_get(doc, "predictions"), *entry;
    assert_int_equal(json_array_size(all), 3);
    entry = json_array_get(all, 0);
    assert_string_equal(json_string_value(json_object_get(entry, "status")),
                        "succeeded");
    entry = json_array_get(all, 1);
    assert_string_equal(json_string_value(json_object_get(entry, "type")),
                        "/problems/unsupported-image-type");
    entry = json_array_get(all, 2);
    assert_string_equal(json_string_value(json_object_get(entry, "status")),
                        "queued");
    finish(PNG "2");
    assert_int_equal(
        SUBMIT(.type = FORM, .body = PART PNG "1\r\n" PART PNG "2\r\n--XX--"),
        200);
}

static void submission_needs_a_worker_unless_it_is_cached(void **state) {
    (void)state;
    assert_int_equal(SUBMIT(.body = PNG "1"), 503);
    assert_problem("no-worker");
    ready(0);
    fake_worker_say(&worker, JOB_DRAIN, NULL, "");
    assert_true(FRONT_UNTIL(&front, stats.workers == 0));
    assert_int_equal(SUBMIT(.body = PNG "1"), 503);
    assert_problem("no-worker");
    assert_true(*header("Retry-After"));
    assert_int_equal(
        SUBMIT(.type = FORM, .body = PART PNG "1\r\n" PART PNG "2\r\n--XX--"),
        503);
    assert_problem("no-worker");
    finish(PNG "1");
    assert_int_equal(SUBMIT(.body = PNG "1"), 200);
}

static void submission_is_refused_when_the_queue_is_full(void **state) {
    (void)state;
    char body[] = PNG "0";
    ready(0);
    for (int i = 1; i <= 4; i++) {
        body[8] = (char)('0' + i);
        assert_int_equal(SUBMIT(.body = body), 202);
        assert_true(FRONT_UNTIL(&front, stats.pending == i));
    }
    assert_int_equal(SUBMIT(.body = PNG "5"), 503);
    assert_problem("queue-full");
    assert_true(*header("Retry-After"));
    assert_int_equal(SUBMIT(.body = PNG "4"), 202); /* it is in there */
}

static void submission_says_when_redis_is_away(void **state) {
    (void)state;
    ready(0);
    private_redis_stop(&front_redis);
    assert_int_equal(SUBMIT(.body = PNG "1"), 503);
    assert_problem("store-unavailable");
    assert_true(*header("Retry-After"));
    assert_int_equal(ASK(.path = path_of(PNG "1", "")), 503);
    private_redis_again(&front_redis);
    assert_int_equal(SUBMIT(.body = PNG "1"), 202);
}

/* One time-out of 2 s, not one an image. */
static void submission_asks_a_silent_redis_once(void **state) {
    (void)state;
    static const char part[] =
        "--b\r\nContent-Disposition: form-data; name=image\r\n\r\n" PNG;
    char body[1024];
    snprintf(body, sizeof body, "%s1\r\n%s2\r\n%s3\r\n--b--\r\n", part, part,
             part);
    ready(0);
    kill(front_redis.pid, SIGSTOP);
    int64_t begun = clock_ms();
    int status =
        SUBMIT(.type = "multipart/form-data; boundary=b", .body = body);
    int64_t ms = clock_ms() - begun;
    kill(front_redis.pid, SIGCONT);
    assert_int_equal(status, 503);
    assert_problem("store-unavailable");
    assert_true(ms < 5500);
}

static void submission_remembers_failures_of_the_image_only(void **state) {
    (void)state;
    ready(0);
    SUBMIT(.body = PNG "1");
    finish_failed(PNG "1", true);
    assert_int_equal(SUBMIT(.body = PNG "1"), 200);
    assert_string_equal(member("status"), "failed");
    assert_string_equal(header("Cache-Status"), "convoy; hit");
    SUBMIT(.body = PNG "2");
    finish_failed(PNG "2", false);
    assert_int_equal(SUBMIT(.body = PNG "2"), 202);
    assert_string_equal(header("Cache-Status"), "convoy; fwd=miss; stored");
}

/* ---- waiting ---- */

struct asker {
    struct ask ask;
    struct response response;
    atomic_bool answered;
    pthread_t thread;
};

static void *ask_apart(void *arg) {
    struct asker *asker = arg;
    struct store *store = store_open(front_redis.address, NULL);
    ask_into(&asker->ask, store, &asker->response);
    store_close(store);
    asker->answered = true;
    return NULL;
}

/* The rest has found a place to wait by then. */
static void await_answered(struct asker *askers, int count, int answered) {
    for (int tries = 0; tries < FRONT_SOON_MS / 10; tries++) {
        int so_far = 0;
        for (int i = 0; i < count; i++)
            so_far += askers[i].answered;
        if (so_far >= answered)
            return;
        usleep(10000);
    }
    fail_msg("fewer than %d were answered at once", answered);
}

static void submission_ten_at_once_cost_one_inference(void **state) {
    (void)state;
    struct asker askers[10] = {0};
    struct job_header job, other;
    int stored = 0, collapsed = 0;
    ready(4);
    for (int i = 0; i < 10; i++) {
        askers[i].ask = (struct ask){.method = "POST",
                                     .path = PREDICTIONS,
                                     .body = PNG "1",
                                     .prefer = "wait=20"};
        pthread_create(&askers[i].thread, NULL, ask_apart, &askers[i]);
    }
    assert_true(fake_worker_job(&worker, &job, FRONT_SOON_MS));
    await_answered(askers, 10, 6);
    assert_false(fake_worker_job(&worker, &other, 100));
    finish(PNG "1");
    fake_worker_say(&worker, JOB_DONE, &job, "");
    for (int i = 0; i < 10; i++) {
        pthread_join(askers[i].thread, NULL);
        struct response *r = &askers[i].response;
        const char *status = response_header_value(r, "Cache-Status");
        assert_non_null(status);
        stored += strcmp(status, "convoy; fwd=miss; stored") == 0;
        collapsed += strcmp(status, "convoy; fwd=miss; collapsed") == 0;
        /* There are four places to wait; the others are answered at once. */
        assert_int_equal(r->status,
                         response_header_value(r, "Preference-Applied") ? 200
                                                                        : 202);
        response_free(r);
    }
    assert_int_equal(stored, 1);
    assert_int_equal(collapsed, 9);
}

static void wait_ends_with_the_result(void **state) {
    (void)state;
    struct job_header job;
    struct asker asker = {.ask = {.method = "POST",
                                  .path = PREDICTIONS,
                                  .body = PNG "1",
                                  .prefer = "wait=99"}};
    ready(1);
    pthread_create(&asker.thread, NULL, ask_apart, &asker);
    assert_true(fake_worker_job(&worker, &job, FRONT_SOON_MS));
    finish(PNG "1");
    fake_worker_say(&worker, JOB_DONE, &job, "");
    pthread_join(asker.thread, NULL);
    assert_int_equal(asker.response.status, 200);
    assert_string_equal(
        response_header_value(&asker.response, "Preference-Applied"),
        "wait=30");
    response_free(&asker.response);
}

static void wait_ends_when_its_time_is_over(void **state) {
    (void)state;
    ready(0);
    int64_t start = clock_ms();
    assert_int_equal(SUBMIT(.body = PNG "1", .prefer = "wait=1"), 202);
    assert_true(clock_ms() - start >= 1000);
    assert_string_equal(header("Preference-Applied"), "wait=1");
    assert_int_equal(ASK(.path = path_of(PNG "1", ""), .prefer = "wait=1"),
                     200);
    assert_string_equal(member("status"), "queued");
    assert_true(clock_ms() - start >= 2000);
}

static void wait_sees_results_of_other_fronts(void **state) {
    (void)state;
    ready(0);
    SUBMIT(.body = PNG "1");
    struct asker asker = {
        .ask = {.path = path_of(PNG "1", ""), .prefer = "wait=20"}};
    pthread_create(&asker.thread, NULL, ask_apart, &asker);
    poll(NULL, 0, 50);
    finish(PNG "1"); /* and nobody says DONE */
    pthread_join(asker.thread, NULL);
    assert_int_equal(asker.response.status, 200);
    assert_non_null(strstr(asker.response.body, "\"succeeded\""));
    response_free(&asker.response);
}

/* ---- retrieval ---- */

static void retrieval_tells_unfinished_from_unknown(void **state) {
    (void)state;
    ready(0);
    assert_int_equal(ASK(.path = PREDICTIONS "/xyz"), 400);
    assert_problem("malformed-id");
    assert_int_equal(ASK(.path = path_of(PNG "1", "")), 404);
    assert_problem("unknown-prediction");
    SUBMIT(.body = PNG "1");
    assert_int_equal(ASK(.path = path_of(PNG "1", "")), 200);
    assert_string_equal(member("status"), "queued");
    assert_string_equal(header("Cache-Control"), "no-store");
    assert_true(*header("Retry-After"));
    json_t *model = json_object_get(doc, "model");
    assert_string_equal(json_string_value(json_object_get(model, "name")),
                        "net");
}

static void retrieval_of_the_finished_is_cacheable(void **state) {
    (void)state;
    finish(PNG "1");
    assert_int_equal(ASK(.path = path_of(PNG "1", "")), 200);
    assert_string_equal(member("status"), "succeeded");
    assert_non_null(strstr(header("Cache-Control"), "public"));
    assert_non_null(strstr(header("Cache-Control"), "immutable"));
    char etag[200];
    snprintf(etag, sizeof etag, "%s", header("ETag"));
    assert_int_equal(ASK(.path = path_of(PNG "1", ""), .none_match = etag),
                     304);
    assert_null(answer.body);
    assert_string_equal(header("ETag"), etag);
    assert_int_equal(ASK(.path = path_of(PNG "1", ""), .query = "top_k=1",
                         .none_match = etag),
                     200);
}

static void retrieval_of_a_failed_service_is_not_cacheable(void **state) {
    (void)state;
    finish_failed(PNG "1", false);
    assert_int_equal(ASK(.path = path_of(PNG "1", "")), 200);
    assert_string_equal(member("status"), "failed");
    assert_string_equal(header("Cache-Control"), "no-store");
    assert_string_equal(header("ETag"), "");
}

static void heatmap_is_a_picture(void **state) {
    (void)state;
    const char *rest = "/heatmap.png";
    ready(0);
    assert_int_equal(ASK(.path = path_of(PNG "1", rest)), 404);
    assert_problem("unknown-prediction");
    SUBMIT(.body = PNG "1");
    assert_int_equal(ASK(.path = path_of(PNG "1", rest)), 409);
    assert_problem("not-finished");
    finish(PNG "1");
    assert_int_equal(ASK(.path = path_of(PNG "1", rest)), 200);
    assert_string_equal(answer.content_type, "image/png");
    assert_memory_equal(answer.body, PNG, 8);
    char etag[200];
    snprintf(etag, sizeof etag, "%s", header("ETag"));
    assert_int_equal(ASK(.path = path_of(PNG "1", rest), .none_match = etag),
                     304);
    assert_int_equal(ASK(.path = path_of(PNG "1", rest), .query = "label=3"),
                     200);
    assert_int_equal(ASK(.path = path_of(PNG "1", rest), .query = "label=5"),
                     404);
    assert_problem("no-heatmap");
    assert_int_equal(ASK(.path = path_of(PNG "1", rest), .query = "label=x"),
                     400);
    finish_failed(PNG "2", true);
    assert_int_equal(ASK(.path = path_of(PNG "2", rest)), 404);
    assert_problem("no-heatmap");
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, open_service, close_service)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(route_matches_whole_segments),
        TEST(route_names_the_methods_of_an_address),
        TEST(health_lives_whatever_is_missing),
        TEST(readiness_says_what_is_missing),
        TEST(models_are_listed_and_described),
        TEST(submission_is_accepted_joined_and_hit),
        TEST(submission_reaches_a_worker_with_its_bytes),
        TEST(submission_refuses_what_is_no_image),
        TEST(submission_reads_forms),
        TEST(submission_of_several_answers_each_in_order),
        TEST(submission_needs_a_worker_unless_it_is_cached),
        TEST(submission_is_refused_when_the_queue_is_full),
        TEST(submission_says_when_redis_is_away),
        TEST(submission_asks_a_silent_redis_once),
        TEST(submission_remembers_failures_of_the_image_only),
        TEST(submission_ten_at_once_cost_one_inference),
        TEST(wait_ends_with_the_result),
        TEST(wait_ends_when_its_time_is_over),
        TEST(wait_sees_results_of_other_fronts),
        TEST(retrieval_tells_unfinished_from_unknown),
        TEST(retrieval_of_the_finished_is_cacheable),
        TEST(retrieval_of_a_failed_service_is_not_cacheable),
        TEST(heatmap_is_a_picture),
    };
    return cmocka_run_group_tests(tests, NULL, end_group);
}
