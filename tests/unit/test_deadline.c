/* Nothing is owed for ever: what was accepted has ended at its deadline, with
 * or without workers, over other fronts and other starts of Redis. */
#include "tests/unit/front_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#define NEVER_MS 600000
#define OTHER_VERSION "000000000000"

static struct front front;
static struct fake_worker worker;
static struct dispatch_options options;

static int open_front(void **state) {
    (void)state;
    front_prepare(&front);
    options = front_options(&front);
    options.schedule.orphan_ms = NEVER_MS;
    options.schedule.deadline_ms = 500;
    front_open_with(&front, &options);
    fake_worker_open(&worker, front.endpoint);
    return 0;
}

static int close_front(void **state) {
    (void)state;
    char snapshot[96];
    fake_worker_close(&worker);
    front_close(&front);
    snprintf(snapshot, sizeof snapshot, "%s/dump.rdb", front_redis.folder);
    unlink(snapshot);
    return 0;
}

static int end_group(void **state) {
    (void)state;
    front_end();
    return 0;
}

static void open_another(int64_t deadline_ms, int64_t lease_ms) {
    front_close(&front);
    options.schedule.deadline_ms = deadline_ms;
    options.schedule.lease_ms = lease_ms;
    front_open_with(&front, &options);
}

/* A command of the test's own, in printf's way. */
static void redis_do(const char *format, ...) {
    va_list words;
    redisContext *redis = redisConnectUnix(front_redis.socket);
    va_start(words, format);
    redisReply *reply = redisvCommand(redis, format, words);
    va_end(words);
    assert_non_null(reply);
    assert_int_not_equal(reply->type, REDIS_REPLY_ERROR);
    freeReplyObject(reply);
    redisFree(redis);
}

static enum store_kind look(unsigned n, struct prediction *p) {
    struct id id = front_id(n);
    struct store_state state;
    if (store_lookup(front.store, &id, &state, NULL) < 0)
        return STORE_NONE; /* Redis is away */
    enum store_kind kind = state.kind;
    if (kind == STORE_RESULT)
        assert_int_equal(prediction_decode(state.json, state.json_len, p, NULL),
                         0);
    store_state_free(&state);
    return kind;
}

static void assert_failed(unsigned n, const char *reason) {
    struct prediction p;
    int64_t end = clock_ms() + FRONT_SOON_MS;
    enum store_kind kind;
    while ((kind = look(n, &p)) != STORE_RESULT && clock_ms() < end)
        front_rest();
    assert_int_equal(kind, STORE_RESULT);
    assert_false(p.succeeded);
    assert_string_equal(p.problem, "worker-failed");
    assert_non_null(strstr(p.detail, reason));
    prediction_free(&p);
    assert_true(FRONT_UNTIL(&front, stats.pending == 0));
    assert_int_equal(store_pending_count(front.store, NULL), 0);
}

/* Accepted by a front that is no more, so long ago. */
static void leave(unsigned n, int64_t age_ms) {
    struct store_state accepted;
    struct store_job job = {.id = front_id(n),
                            .bytes = "left",
                            .size = 4,
                            .request = "req-1",
                            .created_ms = 1};
    assert_int_equal(store_accept(front.store, &job, 1, 0, &accepted, NULL), 0);
    redis_do("HSET convoy:job:%s accepted %lld", job.id.text,
             (long long)(clock_wall_ms() - age_ms));
}

/* ---- workers ---- */

static void deadline_without_any_worker(void **state) {
    (void)state;
    front_submit(&front, 1, "one");
    assert_failed(1, "no worker serves its model");
}

static void deadline_without_a_worker_for_this_model(void **state) {
    (void)state;
    fake_worker_ready(&worker, "w1", "net", OTHER_VERSION, 1);
    front_submit(&front, 1, "one");
    assert_failed(1, "no worker serves its model");
}

static void deadline_where_no_worker_is_ever_free(void **state) {
    (void)state;
    fake_worker_ready(&worker, "w1", "net", FRONT_VERSION, 0);
    assert_true(FRONT_UNTIL(&front, stats.workers == 1));
    front_submit(&front, 1, "one");
    assert_failed(1, "no worker was free for it");
}

/* What the worker brings after all is an answer; the failure makes room. */
static void deadline_where_the_worker_does_not_answer(void **state) {
    (void)state;
    struct job_header job;
    struct prediction p;
    fake_worker_ready(&worker, "w1", "net", FRONT_VERSION, 1);
    front_submit(&front, 1, "one");
    assert_true(fake_worker_job(&worker, &job, FRONT_SOON_MS));
    assert_failed(1, "the worker is still at it");
    front_finish(&front, &job.id);
    fake_worker_say(&worker, JOB_DONE, &job, "");
    assert_int_equal(look(1, &p), STORE_RESULT);
    assert_true(p.succeeded);
    prediction_free(&p);
    assert_true(FRONT_UNTIL(&front, stats.credits == 1));
}

static void deadline_is_kept_when_it_is_met(void **state) {
    (void)state;
    struct job_header job;
    struct prediction p;
    open_another(NEVER_MS, 3000);
    fake_worker_ready(&worker, "w1", "net", FRONT_VERSION, 1);
    front_submit(&front, 1, "one");
    assert_true(fake_worker_job(&worker, &job, FRONT_SOON_MS));
    front_finish(&front, &job.id);
    fake_worker_say(&worker, JOB_DONE, &job, "");
    assert_true(FRONT_UNTIL(&front, stats.pending == 0));
    assert_int_equal(look(1, &p), STORE_RESULT);
    assert_true(p.succeeded);
    prediction_free(&p);
}

/* ---- other fronts, other starts of Redis ---- */

/* No worker, ever, and nobody asks for it: a front sees to it nevertheless,
 * and counts from when it was accepted, not from its own start. */
static void deadline_of_what_another_front_left(void **state) {
    (void)state;
    leave(1, NEVER_MS + 1);
    open_another(NEVER_MS, 100);
    assert_failed(1, "no worker serves its model");
}

static void deadline_of_another_front_has_not_come(void **state) {
    (void)state;
    struct prediction p;
    leave(1, 1000);
    open_another(NEVER_MS, 100);
    assert_true(FRONT_UNTIL(&front, stats.pending == 1)); /* seen to */
    assert_int_equal(look(1, &p), STORE_PENDING);
}

/* For a whole lease it is left to fronts that have workers. */
static void deadline_waits_for_fronts_with_workers(void **state) {
    (void)state;
    leave(1, 1000);
    open_another(NEVER_MS, NEVER_MS);
    for (int i = 0; i < 40; i++) {
        front_rest();
        assert_int_equal(dispatch_stats(front.dispatch).pending, 0);
    }
}

/* It comes while Redis is away: the failure is written when it is back. */
static void deadline_comes_while_redis_is_away(void **state) {
    (void)state;
    front_submit(&front, 1, "one");
    assert_true(FRONT_UNTIL(&front, stats.pending == 1));
    redis_do("SAVE");
    private_redis_stop(&front_redis);
    poll(NULL, 0, 800);
    private_redis_again(&front_redis);
    assert_failed(1, "no worker serves its model");
}

/* Redis, the front and all workers: gone, and only the first two come back. */
static void deadline_when_all_was_started_anew(void **state) {
    (void)state;
    open_another(NEVER_MS, 1000);
    leave(1, NEVER_MS + 1);
    redis_do("SAVE");
    private_redis_stop(&front_redis);
    dispatch_close(front.dispatch);
    private_redis_again(&front_redis);
    front.dispatch =
        dispatch_open(&options, front.catalogue, front.waiters, NULL);
    assert_failed(1, "no worker serves its model");
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, open_front, close_front)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(deadline_without_any_worker),
        TEST(deadline_without_a_worker_for_this_model),
        TEST(deadline_where_no_worker_is_ever_free),
        TEST(deadline_where_the_worker_does_not_answer),
        TEST(deadline_is_kept_when_it_is_met),
        TEST(deadline_of_what_another_front_left),
        TEST(deadline_of_another_front_has_not_come),
        TEST(deadline_waits_for_fronts_with_workers),
        TEST(deadline_comes_while_redis_is_away),
        TEST(deadline_when_all_was_started_anew),
    };
    return cmocka_run_group_tests(tests, NULL, end_group);
}
