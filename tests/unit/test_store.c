#include "common/store.h"

#include "tests/unit/private_redis.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#define IMAGE "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define GOOD "{\"status\":\"succeeded\"}"
#define BAD_IMAGE "{\"status\":\"failed\",\"permanent\":true}"
#define BAD_DAY "{\"status\":\"failed\",\"permanent\":false}"

static struct private_redis server;
static struct store *store;
static struct err err;

static struct id an_id(int n) {
    char version[ID_VERSION_LEN + 1];
    struct id id;
    snprintf(version, sizeof version, "%012x", (unsigned)n);
    assert_int_equal(id_make(IMAGE, version, &id), 0);
    return id;
}

static struct store_job a_job(int n) {
    return (struct store_job){.id = an_id(n),
                              .bytes = "a\0b\r\n",
                              .size = 5,
                              .request = "req-1",
                              .created_ms = 1795492761123};
}

static enum store_kind accept_job(int n, int64_t lease_ms) {
    struct store_job job = a_job(n);
    struct store_state state;
    assert_int_equal(store_accept(store, &job, lease_ms, 0, &state, &err), 0);
    enum store_kind kind = state.kind;
    store_state_free(&state);
    return kind;
}

static int claim(const struct id *id, bool with_bytes, struct store_job *job) {
    struct store_claim one = {.id = *id, .with_bytes = with_bytes};
    store_claim_all(store, &one, 1, 60000, &err);
    *job = one.job;
    return one.claimed;
}

/* One command straight to the server, past the store; its reply as a number
 * (integers) or a length (texts), -1 for nil. */
static long long ask(const char *format, ...) {
    redisContext *redis = redisConnectUnix(server.socket);
    va_list args;
    va_start(args, format);
    redisReply *reply = redisvCommand(redis, format, args);
    va_end(args);
    assert_non_null(reply);
    long long value = reply->type == REDIS_REPLY_INTEGER ? reply->integer
                      : reply->type == REDIS_REPLY_STRING
                          ? (long long)reply->len
                      : reply->type == REDIS_REPLY_NIL ? -1
                                                       : 0;
    freeReplyObject(reply);
    redisFree(redis);
    return value;
}

static int fresh_store(void **state) {
    (void)state;
    ask("FLUSHALL");
    memset(&err, 0, sizeof err);
    store = store_open(server.address, &err);
    return store ? 0 : -1;
}

static int close_store(void **state) {
    (void)state;
    store_close(store);
    return 0;
}

static void store_accepts_once_and_keeps_the_bytes(void **state) {
    (void)state;
    assert_int_equal(accept_job(1, 60000), STORE_ACCEPTED);
    assert_int_equal(accept_job(1, 60000), STORE_PENDING);
    assert_int_equal(store_pending_count(store, &err), 1);

    struct id id = an_id(1);
    struct store_state seen;
    assert_int_equal(store_lookup(store, &id, &seen, &err), 0);
    assert_int_equal(seen.kind, STORE_PENDING);
    assert_true(seen.leased);
    assert_int_equal(seen.created_ms, 1795492761123);
    assert_int_equal(seen.attempts, 0);
    assert_int_equal(seen.size, 5);

    struct store_job job;
    assert_int_equal(claim(&id, true, &job), 1);
    assert_int_equal(job.attempts, 1);
    assert_int_equal(job.size, 5);
    assert_memory_equal(job.bytes, "a\0b\r\n", 5);
    assert_string_equal(job.request, "req-1");
    assert_int_equal(job.created_ms, 1795492761123);
    store_job_free(&job);
    assert_int_equal(claim(&id, false, &job), 1);
    assert_int_equal(job.attempts, 2);
    assert_null(job.bytes);
    assert_int_equal(job.size, 5);
    /* What is owed must never go by itself. */
    assert_int_equal(ask("TTL convoy:job:%s", id.text), -1);
}

static void store_knows_nothing_of_what_it_never_saw(void **state) {
    (void)state;
    struct id id = an_id(7);
    struct store_state seen;
    struct store_job job;
    assert_int_equal(store_lookup(store, &id, &seen, &err), 0);
    assert_int_equal(seen.kind, STORE_NONE);
    assert_int_equal(claim(&id, true, &job), 0);
    assert_int_equal(store_adopt(store, &id, 1000, &job, &err), 0);
    assert_int_equal(store_forget(store, &id, &err), 0);
}

static void store_finish_ends_a_job_in_one_step(void **state) {
    (void)state;
    struct id id = an_id(2);
    bool written = false;
    accept_job(2, 60000);
    assert_int_equal(
        store_finish(store, &id, GOOD, strlen(GOOD), 100, &written, &err), 0);
    assert_true(written);
    assert_int_equal(ask("EXISTS convoy:job:%s", id.text), 0);
    assert_int_equal(store_pending_count(store, &err), 0);
    assert_in_range(ask("TTL convoy:result:%s", id.text), 90, 100);

    struct store_state seen;
    assert_int_equal(store_lookup(store, &id, &seen, &err), 0);
    assert_int_equal(seen.kind, STORE_RESULT);
    assert_string_equal(seen.json, GOOD);
    store_state_free(&seen);
    assert_int_equal(accept_job(2, 60000), STORE_RESULT);
    assert_int_equal(store_forget(store, &id, &err), 1);
    assert_int_equal(accept_job(2, 60000), STORE_ACCEPTED);
}

static void store_forgets_a_job_for_good(void **state) {
    (void)state;
    struct id id = an_id(2);
    struct store_job job;
    struct store_state seen;
    bool written = true;
    accept_job(2, 60000);
    assert_int_equal(claim(&id, false, &job), 1);
    assert_int_equal(store_forget(store, &id, &err), 1);
    assert_int_equal(store_pending_count(store, &err), 0);
    /* The worker that had it is late. */
    store_finish(store, &id, GOOD, strlen(GOOD), 100, &written, &err);
    assert_false(written);
    assert_int_equal(store_lookup(store, &id, &seen, &err), 0);
    assert_int_equal(seen.kind, STORE_NONE);
    assert_int_equal(store_forget(store, &id, &err), 0);
    /* Sent again, it is an image like any other. */
    assert_int_equal(accept_job(2, 60000), STORE_ACCEPTED);
    store_finish(store, &id, GOOD, strlen(GOOD), 100, &written, &err);
    assert_true(written);
}

static void finish_good(int n) {
    struct id id = an_id(n);
    store_finish(store, &id, GOOD, strlen(GOOD), 100, NULL, &err);
}

static void store_lists_what_ended_last(void **state) {
    (void)state;
    char *results[STORE_RECENT_MAX];
    struct id id = an_id(STORE_RECENT_MAX + 9);
    assert_int_equal(store_recent(store, results, 5, &err), 0);
    for (int i = 0; i < STORE_RECENT_MAX + 10; i++)
        finish_good(i);
    assert_int_equal(ask("LLEN convoy:recent"), STORE_RECENT_MAX);
    store_forget(store, &id, &err);
    assert_int_equal(ask("LLEN convoy:recent"), STORE_RECENT_MAX - 1);
    id = an_id(STORE_RECENT_MAX + 8);
    ask("DEL convoy:result:%s", id.text); /* it has had its time */
    assert_int_equal(store_recent(store, results, 5, &err), 4);
    for (int i = 0; i < 4; i++) {
        assert_string_equal(results[i], GOOD);
        free(results[i]);
    }
}

static void store_lists_what_ended_twice_once(void **state) {
    (void)state;
    char *results[STORE_RECENT_MAX];
    struct id id = an_id(1);
    store_finish(store, &id, BAD_DAY, strlen(BAD_DAY), 100, NULL, &err);
    finish_good(2);
    finish_good(1);
    assert_int_equal(store_recent(store, results, 5, &err), 2);
    free(results[0]);
    free(results[1]);
}

static void store_shows_workers_that_announced_themselves(void **state) {
    (void)state;
    const char *const names[] = {"a", "gone", "b"};
    char *reports[3];
    store_announce_worker(store, "a", "{\"hands\":1}", 60, &err);
    store_announce_worker(store, "b", "{\"hands\":2}", 60, &err);
    assert_int_equal(store_worker_reports(store, names, 3, reports, &err), 3);
    assert_string_equal(reports[0], "{\"hands\":1}");
    assert_null(reports[1]);
    assert_string_equal(reports[2], "{\"hands\":2}");
    free(reports[0]);
    free(reports[2]);
    assert_int_equal(store_worker_reports(store, names, 0, reports, &err), 0);
}

static void store_finish_keeps_the_first_answer(void **state) {
    (void)state;
    struct id id = an_id(3);
    bool written;
    const struct {
        const char *json;
        bool written;
    } steps[] = {{BAD_DAY, true}, /* the service failed */
                 {GOOD, true},    /* then the late worker answered after all */
                 {BAD_DAY, false},
                 {BAD_IMAGE, false}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        assert_int_equal(store_finish(store, &id, steps[i].json,
                                      strlen(steps[i].json), 100, &written,
                                      &err),
                         0);
        assert_int_equal(written, steps[i].written);
    }
}

static void store_does_not_cache_a_failure_of_the_service(void **state) {
    (void)state;
    struct id id = an_id(4);
    store_finish(store, &id, BAD_DAY, strlen(BAD_DAY), 100, NULL, &err);
    assert_int_equal(accept_job(4, 60000), STORE_ACCEPTED);
    struct store_state seen;
    assert_int_equal(store_lookup(store, &id, &seen, &err), 0);
    assert_int_equal(seen.kind, STORE_PENDING);
    store_finish(store, &id, BAD_IMAGE, strlen(BAD_IMAGE), 100, NULL, &err);
    assert_int_equal(accept_job(4, 60000), STORE_RESULT);
}

static void store_adopts_only_what_has_run_out(void **state) {
    (void)state;
    struct id id = an_id(5), ids[4];
    struct store_job job;
    accept_job(5, 60000);
    assert_int_equal(store_expired(store, 0, ids, 4, &err), 0);
    assert_int_equal(store_adopt(store, &id, 60000, &job, &err), 0);
    assert_int_equal(store_renew(store, &id, 1, 0, &err), 0); /* given up */
    assert_int_equal(store_expired(store, 0, ids, 4, &err), 1);
    assert_string_equal(ids[0].text, id.text);
    assert_int_equal(store_adopt(store, &id, 60000, &job, &err), 1);
    assert_int_equal(job.attempts, 0);
    assert_int_equal(job.size, 5);
    assert_int_equal(store_adopt(store, &id, 60000, &job, &err), 0);
    assert_int_equal(store_expired(store, 0, ids, 4, &err), 0);
}

/* By Redis's clock, so that it lasts over fronts and their starts. */
static void store_tells_how_old_a_job_is(void **state) {
    (void)state;
    struct id id = an_id(6), ids[4];
    struct store_job job;
    accept_job(6, 0);
    usleep(60000);
    assert_int_equal(store_expired(store, 600000, ids, 4, &err), 0);
    assert_int_equal(store_expired(store, 50, ids, 4, &err), 1);
    assert_int_equal(store_adopt(store, &id, 0, &job, &err), 1);
    assert_in_range(job.age_ms, 50, 600000);
    int64_t age_ms = job.age_ms;
    usleep(60000);
    assert_int_equal(store_adopt(store, &id, 0, &job, &err), 1);
    assert_in_range(job.age_ms, age_ms + 50, 600000);
}

static void store_renews_many_and_resurrects_none(void **state) {
    (void)state;
    struct id ids[300], expired[300];
    for (int i = 0; i < 300; i++) {
        ids[i] = an_id(1000 + i);
        if (i != 150)
            accept_job(1000 + i, 0);
    }
    assert_int_equal(store_expired(store, 0, expired, 300, &err), 299);
    assert_int_equal(store_renew(store, ids, 300, 60000, &err), 0);
    assert_int_equal(store_expired(store, 0, expired, 300, &err), 0);
    assert_int_equal(store_pending_count(store, &err), 299);
}

static void store_refuses_when_the_queue_is_full(void **state) {
    (void)state;
    struct store_state seen;
    struct store_job first = a_job(10), second = a_job(11);
    assert_int_equal(store_accept(store, &first, 1000, 1, &seen, &err), 0);
    assert_int_equal(store_accept(store, &second, 1000, 1, &seen, &err), -1);
    assert_string_equal(err.problem, "queue-full");
    assert_int_equal(store_accept(store, &first, 1000, 1, &seen, &err), 0);
    assert_int_equal(seen.kind, STORE_PENDING);
}

static void store_drops_a_pending_entry_without_a_job(void **state) {
    (void)state;
    struct id id = an_id(12);
    struct store_job job;
    ask("ZADD convoy:pending 1 %s", id.text);
    assert_int_equal(store_adopt(store, &id, 1000, &job, &err), 0);
    assert_int_equal(store_pending_count(store, &err), 0);
}

static void store_takes_a_large_image(void **state) {
    (void)state;
    size_t size = 20u << 20;
    char *bytes = malloc(size);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i * 31 >> 3);
    struct store_job job = a_job(13), claimed;
    job.bytes = bytes;
    job.size = size;
    struct store_state seen;
    assert_int_equal(store_accept(store, &job, 1000, 0, &seen, &err), 0);
    assert_int_equal(claim(&job.id, true, &claimed), 1);
    assert_int_equal(claimed.size, size);
    assert_memory_equal(claimed.bytes, bytes, size);
    store_job_free(&claimed);
    free(bytes);
}

static void store_survives_a_script_flush(void **state) {
    (void)state;
    accept_job(14, 1000);
    ask("SCRIPT FLUSH");
    assert_int_equal(accept_job(14, 1000), STORE_PENDING);
}

static void store_claims_many_at_once(void **state) {
    (void)state;
    struct store_claim claims[STORE_BATCH_MAX] = {0};
    for (int i = 0; i < STORE_BATCH_MAX; i++) {
        claims[i].id = an_id(100 + i);
        claims[i].with_bytes = i % 2 == 0;
        if (i != 3)
            accept_job(100 + i, 1000);
    }
    ask("SCRIPT FLUSH"); /* each is then sent once more, as text */
    store_claim_all(store, claims, STORE_BATCH_MAX, 60000, &err);
    for (int i = 0; i < STORE_BATCH_MAX; i++) {
        assert_int_equal(claims[i].claimed, i != 3);
        if (i == 3)
            continue;
        assert_string_equal(claims[i].job.id.text, claims[i].id.text);
        assert_int_equal(claims[i].job.attempts, 1);
        assert_int_equal(claims[i].job.bytes != NULL, i % 2 == 0);
        store_job_free(&claims[i].job);
    }
}

static void store_finishes_many_at_once(void **state) {
    (void)state;
    struct id ids[3];
    struct store_result results[3];
    struct store_state seen;
    for (int i = 0; i < 3; i++) {
        accept_job(120 + i, 60000);
        ids[i] = an_id(120 + i);
        results[i] = (struct store_result){
            .id = &ids[i], .json = GOOD, .len = strlen(GOOD)};
    }
    store_finish_all(store, results, 3, 60, &err);
    assert_int_equal(store_pending_count(store, &err), 0);
    for (int i = 0; i < 3; i++) {
        assert_true(results[i].finished);
        assert_int_equal(store_lookup(store, &ids[i], &seen, &err), 0);
        assert_int_equal(seen.kind, STORE_RESULT);
        assert_string_equal(seen.json, GOOD);
        store_state_free(&seen);
    }
}

static void store_tells_what_of_many_failed(void **state) {
    (void)state;
    struct id id = an_id(130);
    struct store_claim claims[2] = {{.id = id}, {.id = an_id(131)}};
    struct store_result result = {.id = &id, .json = GOOD, .len = strlen(GOOD)};
    accept_job(130, 60000);
    private_redis_stop(&server);
    store_claim_all(store, claims, 2, 60000, &err);
    assert_int_equal(claims[0].claimed, -1);
    assert_int_equal(claims[1].claimed, -1);
    assert_string_equal(err.problem, "store-unavailable");
    store_finish_all(store, &result, 1, 60, &err);
    assert_false(result.finished);
    private_redis_again(&server);
    store_finish_all(store, &result, 1, 60, &err);
    assert_true(result.finished);
    /* And at once where it was restarted between two calls. */
    private_redis_stop(&server);
    private_redis_again(&server);
    store_finish_all(store, &result, 1, 60, &err);
    assert_true(result.finished);
}

static void store_comes_back_with_redis(void **state) {
    (void)state;
    struct store_job job = a_job(15);
    struct store_state seen;
    assert_int_equal(store_ping(store, &err), 0);
    private_redis_stop(&server);
    assert_int_equal(store_accept(store, &job, 1000, 0, &seen, &err), -1);
    assert_string_equal(err.problem, "store-unavailable");
    assert_int_equal(store_ping(store, &err), -1);
    private_redis_again(&server);
    assert_int_equal(store_accept(store, &job, 1000, 0, &seen, &err), 0);
    assert_int_equal(seen.kind, STORE_ACCEPTED);
    /* And at once where it was restarted between two calls. */
    private_redis_stop(&server);
    private_redis_again(&server);
    assert_int_equal(store_ping(store, &err), 0);
}

static void store_gives_a_hung_redis_a_bounded_time(void **state) {
    (void)state;
    struct timespec before, after;
    assert_int_equal(store_ping(store, &err), 0);
    kill(server.pid, SIGSTOP);
    clock_gettime(CLOCK_MONOTONIC, &before);
    int status = store_ping(store, &err);
    clock_gettime(CLOCK_MONOTONIC, &after);
    kill(server.pid, SIGCONT);
    assert_int_equal(status, -1);
    assert_string_equal(err.problem, "store-unavailable");
    /* 2 s by design; twice that would mean that it had been tried again. */
    assert_in_range(after.tv_sec - before.tv_sec, 1, 3);
    assert_int_equal(store_ping(store, &err), 0);
}

static void store_says_when_redis_takes_no_writes(void **state) {
    (void)state;
    ask("CONFIG SET maxmemory 1");
    assert_int_equal(store_ping(store, &err), -1);
    assert_string_equal(err.problem, "store-unavailable");
    assert_non_null(strstr(err.text, "OOM"));
    ask("CONFIG SET maxmemory 0");
    assert_int_equal(store_ping(store, &err), 0);
}

static void store_logs_in(void **state) {
    (void)state;
    char address[160];
    struct store *other;
    ask("ACL SETUSER front on >s3cret ~* +@all");
    ask("CONFIG SET requirepass hidden");
    snprintf(address, sizeof address, "unix://front:s3cret@%s", server.socket);
    other = store_open(address, &err);
    assert_int_equal(store_ping(other, &err), 0);
    store_close(other);
    snprintf(address, sizeof address, "unix://:hidden@%s", server.socket);
    other = store_open(address, &err);
    assert_int_equal(store_ping(other, &err), 0);
    store_close(other);
    other = store_open(server.address, &err);
    assert_int_equal(store_ping(other, &err), -1);
    assert_string_equal(err.problem, "store-unavailable");
    store_close(other);
    setenv("CONVOY_REDIS_PASSWORD", "hidden", 1);
    other = store_open(server.address, &err);
    unsetenv("CONVOY_REDIS_PASSWORD");
    assert_int_equal(store_ping(other, &err), 0);
    store_close(other);
    private_redis_stop(&server);
    private_redis_again(&server);
}

static void store_refuses_malformed_addresses(void **state) {
    (void)state;
    const char *const bad[] = {"",
                               "localhost",
                               "localhost:",
                               "host:0",
                               "host:65536",
                               "host:6379x",
                               ":6379",
                               "unix:",
                               "redis://host",
                               "redis://pw@host:1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct store *none = store_open(bad[i], &err);
        if (none)
            fail_msg("accepted: %s", bad[i]);
    }
    const char *const good[] = {"localhost:6379", "[::1]:6379",
                                "redis://u:p@host:1", "redis://host:1"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct store *some = store_open(good[i], &err);
        if (!some)
            fail_msg("refused: %s", good[i]);
        store_close(some);
    }
}

static void *accept_from_a_thread(void *arg) {
    struct store *mine = store_open(server.address, NULL);
    int *accepted = arg;
    for (int i = 0; i < 50; i++) {
        struct store_job job = a_job(2000 + i);
        struct store_state seen;
        if (store_accept(mine, &job, 60000, 0, &seen, NULL) == 0 &&
            seen.kind == STORE_ACCEPTED)
            ++*accepted;
        store_state_free(&seen);
    }
    store_close(mine);
    return NULL;
}

static void store_accepts_for_one_of_many_at_once(void **state) {
    (void)state;
    pthread_t threads[4];
    int accepted[4] = {0};
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, accept_from_a_thread, &accepted[i]);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(accepted[0] + accepted[1] + accepted[2] + accepted[3], 50);
}

static int start_server(void **state) {
    (void)state;
    private_redis_start(&server);
    return 0;
}

static int end_server(void **state) {
    (void)state;
    private_redis_end(&server);
    return 0;
}

#define with_store(test)                                                       \
    cmocka_unit_test_setup_teardown(test, fresh_store, close_store)

int main(void) {
    const struct CMUnitTest tests[] = {
        with_store(store_accepts_once_and_keeps_the_bytes),
        with_store(store_knows_nothing_of_what_it_never_saw),
        with_store(store_finish_ends_a_job_in_one_step),
        with_store(store_forgets_a_job_for_good),
        with_store(store_lists_what_ended_last),
        with_store(store_lists_what_ended_twice_once),
        with_store(store_shows_workers_that_announced_themselves),
        with_store(store_finish_keeps_the_first_answer),
        with_store(store_does_not_cache_a_failure_of_the_service),
        with_store(store_adopts_only_what_has_run_out),
        with_store(store_tells_how_old_a_job_is),
        with_store(store_renews_many_and_resurrects_none),
        with_store(store_refuses_when_the_queue_is_full),
        with_store(store_drops_a_pending_entry_without_a_job),
        with_store(store_takes_a_large_image),
        with_store(store_survives_a_script_flush),
        with_store(store_claims_many_at_once),
        with_store(store_finishes_many_at_once),
        with_store(store_tells_what_of_many_failed),
        with_store(store_comes_back_with_redis),
        with_store(store_gives_a_hung_redis_a_bounded_time),
        with_store(store_says_when_redis_takes_no_writes),
        with_store(store_logs_in),
        with_store(store_refuses_malformed_addresses),
        with_store(store_accepts_for_one_of_many_at_once),
    };
    return cmocka_run_group_tests(tests, start_server, end_server);
}
