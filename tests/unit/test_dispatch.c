#include "fcgi/dispatch.h"

#include "tests/unit/front_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct front front;
static struct fake_worker worker;
static struct job_header job;

static int open_front(void **state) {
    (void)state;
    front_open(&front);
    fake_worker_open(&worker, front.endpoint);
    return 0;
}

static int close_front(void **state) {
    (void)state;
    fake_worker_close(&worker);
    front_close(&front);
    return 0;
}

static int end_group(void **state) {
    (void)state;
    front_end();
    return 0;
}

static void ready(uint32_t credits) {
    fake_worker_ready(&worker, "w1", "net", FRONT_VERSION, credits);
    assert_true(FRONT_UNTIL(&front, stats.workers == 1));
}

static void assert_job(unsigned n, int attempt, const char *bytes) {
    struct id id = front_id(n);
    assert_true(fake_worker_job(&worker, &job, FRONT_SOON_MS));
    assert_string_equal(job.id.text, id.text);
    assert_int_equal(job.attempt, attempt);
    assert_string_equal(job.request, "req-1");
    assert_true(job.created_ms > 0);
    assert_int_equal(worker.size, strlen(bytes));
    assert_memory_equal(worker.body, bytes, strlen(bytes));
}

static void assert_no_job(void) {
    assert_false(fake_worker_job(&worker, &job, 100));
}

static void done(void) {
    front_finish(&front, &job.id);
    fake_worker_say(&worker, JOB_DONE, &job, "");
}

static enum store_kind look(unsigned n, struct prediction *p) {
    struct id id = front_id(n);
    struct store_state state;
    assert_int_equal(store_lookup(front.store, &id, &state, NULL), 0);
    enum store_kind kind = state.kind;
    if (p && kind == STORE_RESULT)
        assert_int_equal(prediction_decode(state.json, state.json_len, p, NULL),
                         0);
    store_state_free(&state);
    return kind;
}

/* ---- the plain way ---- */

static void dispatch_job_goes_to_a_worker_and_ends(void **state) {
    (void)state;
    ready(2);
    front_submit(&front, 1, "image one");
    assert_job(1, 1, "image one");
    assert_true(FRONT_UNTIL(&front, stats.in_flight == 1));
    done();
    assert_true(FRONT_UNTIL(&front, stats.pending == 0));
    assert_true(FRONT_UNTIL(&front, stats.credits == 2));
}

static void dispatch_job_waits_for_a_worker(void **state) {
    (void)state;
    front_submit(&front, 1, "image one");
    assert_true(FRONT_UNTIL(&front, stats.queued == 1));
    ready(1);
    assert_job(1, 1, "image one");
}

static void dispatch_sends_against_credit_only(void **state) {
    (void)state;
    ready(1);
    front_submit(&front, 1, "one");
    front_submit(&front, 2, "two");
    front_submit(&front, 3, "three");
    assert_job(1, 1, "one");
    assert_no_job();
    done(); /* gives its credit back */
    assert_job(2, 1, "two");
    assert_no_job();
    const struct job_header credit = {.type = JOB_CREDIT, .number = 1};
    fake_worker_send(&worker, &credit, "");
    assert_job(3, 1, "three");
}

static void dispatch_fetches_what_memory_did_not_keep(void **state) {
    (void)state;
    char large[800];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = 0;
    front_submit(&front, 1, large); /* 1000 bytes are kept, no more */
    front_submit(&front, 2, large);
    front_submit(&front, 3, large);
    assert_true(FRONT_UNTIL(&front, stats.queued == 3));
    ready(3);
    for (unsigned n = 1; n <= 3; n++)
        assert_job(n, 1, large);
}

static void dispatch_wakes_who_waits(void **state) {
    (void)state;
    struct waiter waiter;
    struct id id = front_id(1);
    ready(1);
    waiters_add(front.waiters, &waiter, &id);
    front_submit(&front, 1, "one");
    assert_job(1, 1, "one");
    done();
    assert_true(
        waiters_wait(front.waiters, &waiter, clock_ms() + FRONT_SOON_MS));
    waiters_remove(front.waiters, &waiter);
}

static void dispatch_learns_models(void **state) {
    (void)state;
    struct catalogue_model model;
    ready(1);
    assert_int_equal(catalogue_find(front.catalogue, "", &model),
                     CATALOGUE_FOUND);
    assert_string_equal(model.name, "net");
    assert_int_equal(model.workers, 1);
    fake_worker_say(&worker, JOB_DRAIN, NULL, "");
    assert_true(FRONT_UNTIL(&front, stats.workers == 0));
    catalogue_find(front.catalogue, "net", &model);
    assert_int_equal(model.workers, 0);
}

static void dispatch_other_models_do_not_stand_in_the_way(void **state) {
    (void)state;
    struct fake_worker other;
    front_submit(&front, 1, "one"); /* nobody serves it */
    fake_worker_open(&other, front.endpoint);
    fake_worker_ready(&other, "w2", "old", "000000000000", 1);
    assert_true(FRONT_UNTIL(&front, stats.workers == 1));
    assert_false(fake_worker_job(&other, &job, 100));
    fake_worker_ready(&worker, "w1", "net", FRONT_VERSION, 1);
    assert_job(1, 1, "one");
    fake_worker_close(&other);
}

/* ---- heartbeats and strangers ---- */

static void dispatch_sends_heartbeats(void **state) {
    (void)state;
    ready(1);
    assert_true(fake_worker_await(&worker, JOB_HEARTBEAT, &job, FRONT_SOON_MS));
    assert_true(fake_worker_await(&worker, JOB_HEARTBEAT, &job, FRONT_SOON_MS));
}

static void dispatch_asks_strangers_who_they_are(void **state) {
    (void)state;
    fake_worker_say(&worker, JOB_HEARTBEAT, NULL, "");
    assert_true(fake_worker_await(&worker, JOB_WHO, &job, FRONT_SOON_MS));
    fake_worker_ready(&worker, "w1", "net", FRONT_VERSION, 1);
    assert_true(FRONT_UNTIL(&front, stats.workers == 1));
}

static void dispatch_survives_garbage(void **state) {
    (void)state;
    zmq_send(worker.socket, "x", 1, 0);
    zmq_send(worker.socket, "x", 1, ZMQ_SNDMORE);
    zmq_send(worker.socket, "y", 1, 0);
    for (int i = 0; i < 6; i++)
        zmq_send(worker.socket, "z", 1, i < 5 ? ZMQ_SNDMORE : 0);
    const struct job_header bad = {.type = JOB_READY, .number = 1};
    fake_worker_send(&worker, &bad, "{\"name\":1}");
    ready(1);
    front_submit(&front, 1, "one");
    assert_job(1, 1, "one");
}

/* ---- when something goes wrong ---- */

static void dispatch_failed_attempts_are_tried_again(void **state) {
    (void)state;
    struct prediction p;
    ready(1);
    front_submit(&front, 1, "one");
    for (int attempt = 1; attempt <= 3; attempt++) {
        assert_job(1, attempt, "one");
        fake_worker_say(&worker, JOB_FAILED, &job, "hand died of signal 11");
    }
    assert_true(FRONT_UNTIL(&front, stats.pending == 0));
    assert_int_equal(look(1, &p), STORE_RESULT);
    assert_false(p.succeeded);
    assert_false(p.permanent);
    assert_string_equal(p.problem, "worker-failed");
    assert_string_equal(p.model_name, "net");
    assert_non_null(strstr(p.detail, "signal 11"));
    assert_int_equal(p.attempts, 3);
    prediction_free(&p);
}

static void dispatch_failures_of_old_attempts_do_not_count(void **state) {
    (void)state;
    ready(1);
    front_submit(&front, 1, "one");
    assert_job(1, 1, "one");
    fake_worker_say(&worker, JOB_FAILED, &job, "first");
    assert_job(1, 2, "one");
    struct job_header second = job;
    job.attempt = 1;
    fake_worker_say(&worker, JOB_FAILED, &job, "first, again");
    assert_no_job();
    job = second;
    done();
    assert_true(FRONT_UNTIL(&front, stats.pending == 0));
}

static void dispatch_jobs_of_a_lost_worker_go_to_another(void **state) {
    (void)state;
    ready(1);
    front_submit(&front, 1, "one");
    assert_job(1, 1, "one");
    fake_worker_close(&worker); /* the heartbeat meets nobody */
    fake_worker_open(&worker, front.endpoint);
    fake_worker_ready(&worker, "w2", "net", FRONT_VERSION, 1);
    assert_job(1, 2, "one");
}

static void dispatch_silent_worker_is_gone(void **state) {
    (void)state;
    ready(1);
    front_submit(&front, 1, "one");
    assert_job(1, 1, "one"); /* connected, but says nothing from now on */
    assert_true(FRONT_UNTIL(&front, stats.workers == 0));
    assert_true(FRONT_UNTIL(&front, stats.queued == 1));
    fake_worker_say(&worker, JOB_HEARTBEAT, NULL, "");
    assert_true(fake_worker_await(&worker, JOB_WHO, &job, FRONT_SOON_MS));
}

static void dispatch_late_answer_ends_the_job(void **state) {
    (void)state;
    ready(0);
    front_submit(&front, 1, "one");
    assert_true(FRONT_UNTIL(&front, stats.queued == 1));
    job = (struct job_header){.id = front_id(1), .attempt = 1};
    done(); /* of a worker that was taken for gone, say */
    assert_true(FRONT_UNTIL(&front, stats.pending == 0));
}

static void dispatch_drops_what_was_answered_elsewhere(void **state) {
    (void)state;
    struct id id = front_id(1);
    front_submit(&front, 1, "one");
    front_finish(&front, &id);
    ready(1);
    assert_no_job();
    assert_true(FRONT_UNTIL(&front, stats.pending == 0 && stats.credits == 1));
}

static void dispatch_draining_worker_gets_nothing_new(void **state) {
    (void)state;
    ready(2);
    front_submit(&front, 1, "one");
    assert_job(1, 1, "one");
    fake_worker_say(&worker, JOB_DRAIN, NULL, "");
    assert_true(FRONT_UNTIL(&front, stats.workers == 0));
    front_submit(&front, 2, "two");
    struct job_header other;
    assert_false(fake_worker_job(&worker, &other, 100));
    done(); /* what it has may end */
    assert_true(FRONT_UNTIL(&front, stats.pending == 1));
    ready(1); /* and it may come back */
    assert_job(2, 1, "two");
}

static void dispatch_waits_while_redis_is_away(void **state) {
    (void)state;
    ready(1);
    private_redis_stop(&front_redis);
    struct store_job lost = {.id = front_id(1),
                             .bytes = "one",
                             .size = 3,
                             .request = "req-1",
                             .created_ms = 1};
    dispatch_submit(front.dispatch, &lost);
    assert_no_job();
    assert_true(FRONT_UNTIL(&front, stats.pending == 1));
    private_redis_again(&front_redis);
    struct store_state kind;
    assert_int_equal(store_accept(front.store, &lost, 3000, 0, &kind, NULL), 0);
    assert_true(fake_worker_job(&worker, &job, FRONT_SOON_MS));
}

/* ---- leases ---- */

/* A job whose front dies at once. */
static void leave(unsigned n) {
    struct store_job left = {.id = front_id(n),
                             .bytes = "left",
                             .size = 4,
                             .request = "req-1",
                             .created_ms = 1};
    struct store_state accepted;
    store_accept(front.store, &left, 1, 0, &accepted, NULL);
}

static void dispatch_adopts_what_a_dead_front_left(void **state) {
    (void)state;
    leave(7);
    assert_no_job(); /* no worker: another front may have one */
    ready(1);
    assert_job(7, 1, "left");
}

/* Before the next sweep, however many they are. */
static void dispatch_adopts_all_that_a_dead_front_left(void **state) {
    (void)state;
    front_close(&front);
    front_prepare(&front);
    struct dispatch_options options = front_options(&front);
    options.sweep_ms = 3000;
    front_open_with(&front, &options);
    for (unsigned i = 0; i < 90; i++)
        leave(i);
    ready(0);
    assert_true(FRONT_UNTIL(&front, stats.pending > 0));
    int64_t begun = clock_ms();
    assert_true(FRONT_UNTIL(&front, stats.pending == 90));
    assert_true(clock_ms() - begun < options.sweep_ms);
}

static void dispatch_gives_up_what_had_its_attempts(void **state) {
    (void)state;
    struct prediction p;
    leave(7);
    for (int i = 0; i < 3; i++) {
        struct store_claim claim = {.id = front_id(7)};
        store_claim_all(front.store, &claim, 1, 1, NULL);
        assert_int_equal(claim.claimed, 1);
    }
    ready(1);
    int64_t until = clock_ms() + FRONT_SOON_MS;
    while (look(7, NULL) != STORE_RESULT && clock_ms() < until)
        front_rest();
    assert_int_equal(look(7, &p), STORE_RESULT);
    assert_no_job();
    assert_string_equal(p.problem, "worker-failed");
    prediction_free(&p);
}

static void dispatch_takes_over_an_orphan_at_once(void **state) {
    (void)state;
    front_close(&front);
    front_prepare(&front);
    struct dispatch_options options = front_options(&front);
    options.sweep_ms = 600000;
    front_open_with(&front, &options);
    leave(7);
    ready(1);
    assert_no_job();
    struct id id = front_id(7);
    dispatch_orphan(front.dispatch, &id);
    assert_job(7, 1, "left");
}

static void dispatch_renews_leases(void **state) {
    (void)state;
    front_submit(&front, 1, "one");
    int64_t until = clock_ms() + 3500; /* longer than a lease */
    while (clock_ms() < until)
        front_rest();
    struct id ids[1];
    assert_int_equal(store_expired(front.store, 0, ids, 1, NULL), 0);
}

static void dispatch_close_gives_leases_up(void **state) {
    (void)state;
    struct id ids[2];
    ready(1);
    front_submit(&front, 1, "one");
    front_submit(&front, 2, "two");
    assert_job(1, 1, "one");
    assert_int_equal(store_expired(front.store, 0, ids, 2, NULL), 0);
    dispatch_close(front.dispatch);
    front.dispatch = NULL;
    assert_int_equal(store_expired(front.store, 0, ids, 2, NULL), 2);
}

/* ---- times that are set short ---- */

static void reopen(int64_t job_timeout_ms, int64_t orphan_ms) {
    front_close(&front);
    front_prepare(&front);
    struct dispatch_options options = front_options(&front);
    options.schedule.job_timeout_ms = job_timeout_ms;
    options.schedule.orphan_ms = orphan_ms;
    front_open_with(&front, &options);
}

static void dispatch_takes_a_job_from_a_worker_that_is_stuck(void **state) {
    (void)state;
    reopen(300, 60000);
    ready(2);
    front_submit(&front, 1, "one");
    assert_job(1, 1, "one");
    assert_job(1, 2, "one");
    done();
    assert_true(FRONT_UNTIL(&front, stats.pending == 0));
}

static void dispatch_gives_up_what_nobody_serves_any_more(void **state) {
    (void)state;
    struct prediction p;
    reopen(60000, 200);
    front_submit(&front, 1, "one");
    assert_true(FRONT_UNTIL(&front, stats.pending == 1));
    assert_true(FRONT_UNTIL(&front, stats.pending == 0));
    assert_int_equal(look(1, &p), STORE_RESULT);
    assert_non_null(strstr(p.detail, "no worker"));
    prediction_free(&p);
}

static void dispatch_refuses_an_endpoint_that_is_none(void **state) {
    (void)state;
    struct dispatch_options options = front_options(&front);
    struct err err = {0};
    const char *bad[] = {"", "ipc:///nowhere/at/all", "x://y", "ipc:///tmp/a,"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        options.endpoints = bad[i];
        assert_null(
            dispatch_open(&options, front.catalogue, front.waiters, &err));
        assert_true(*err.text);
    }
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, open_front, close_front)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(dispatch_job_goes_to_a_worker_and_ends),
        TEST(dispatch_job_waits_for_a_worker),
        TEST(dispatch_sends_against_credit_only),
        TEST(dispatch_fetches_what_memory_did_not_keep),
        TEST(dispatch_wakes_who_waits),
        TEST(dispatch_learns_models),
        TEST(dispatch_other_models_do_not_stand_in_the_way),
        TEST(dispatch_sends_heartbeats),
        TEST(dispatch_asks_strangers_who_they_are),
        TEST(dispatch_survives_garbage),
        TEST(dispatch_failed_attempts_are_tried_again),
        TEST(dispatch_failures_of_old_attempts_do_not_count),
        TEST(dispatch_jobs_of_a_lost_worker_go_to_another),
        TEST(dispatch_silent_worker_is_gone),
        TEST(dispatch_late_answer_ends_the_job),
        TEST(dispatch_drops_what_was_answered_elsewhere),
        TEST(dispatch_draining_worker_gets_nothing_new),
        TEST(dispatch_waits_while_redis_is_away),
        TEST(dispatch_adopts_what_a_dead_front_left),
        TEST(dispatch_adopts_all_that_a_dead_front_left),
        TEST(dispatch_gives_up_what_had_its_attempts),
        TEST(dispatch_takes_over_an_orphan_at_once),
        TEST(dispatch_renews_leases),
        TEST(dispatch_close_gives_leases_up),
        TEST(dispatch_takes_a_job_from_a_worker_that_is_stuck),
        TEST(dispatch_gives_up_what_nobody_serves_any_more),
        TEST(dispatch_refuses_an_endpoint_that_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, end_group);
}
