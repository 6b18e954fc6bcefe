/* Every operation on Redis, when memory runs out anywhere in it: refused with
 * 503's problem, and right when it is tried again. */
#include "common/store.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/alloc.h"
#include "tests/unit/private_redis.h"

#define RESULT "{\"status\":\"succeeded\"}"

static struct private_redis redis;
static struct store *store;
static unsigned number; /* of the next image */

static int start(void **state) {
    (void)state;
    private_redis_start(&redis);
    return 0;
}

static int stop(void **state) {
    (void)state;
    private_redis_end(&redis);
    return 0;
}

static int open_store(void **state) {
    (void)state;
    store = store_open(redis.address, NULL);
    return store ? 0 : -1;
}

static int close_store(void **state) {
    (void)state;
    store_close(store);
    return 0;
}

static struct store_job job_of(unsigned n) {
    char sha256[ID_IMAGE_LEN + 1];
    struct store_job job = {
        .bytes = "image", .size = 5, .request = "req-1", .created_ms = 1};
    snprintf(sha256, sizeof sha256, "%064x", n);
    assert_int_equal(id_make(sha256, "3f2a9c1b7d4e", &job.id), 0);
    return job;
}

/* An operation with its memory: how things stand before and after it. */
static enum store_kind look(const struct id *id) {
    struct alloc_state before = alloc_pause();
    struct store_state state;
    struct err err = {0};
    if (store_lookup(store, id, &state, &err) < 0)
        fail_msg("%s", err.text);
    enum store_kind kind = state.kind;
    store_state_free(&state);
    alloc_resume(before);
    return kind;
}

static int refused(const struct err *err) {
    assert_string_equal(err->problem, "store-unavailable");
    return -1;
}

static int open_anew(struct err *err) {
    struct store *another = store_open(redis.address, err);
    if (!another)
        return -1;
    int status = store_ping(another, err);
    store_close(another);
    return status;
}

static int accept_one(struct err *err) {
    struct store_state state;
    struct store_job job = job_of(number);
    if (store_accept(store, &job, 60000, 0, &state, err) < 0) {
        enum store_kind kind = look(&job.id);
        assert_true(kind == STORE_NONE || kind == STORE_PENDING);
        number++;
        return refused(err);
    }
    assert_true(state.kind == STORE_ACCEPTED);
    store_state_free(&state);
    assert_int_equal(look(&job.id), STORE_PENDING);
    number++;
    return 0;
}

static int claim_one(struct err *err) {
    struct store_job job = job_of(1);
    struct store_claim claims[2] = {{.id = job.id, .with_bytes = true},
                                    {.id = job_of(2).id}};
    store_claim_all(store, claims, 2, 60000, err);
    int status = 0;
    for (int i = 0; i < 2; i++) {
        if (claims[i].claimed < 0)
            status = -1;
        assert_int_not_equal(claims[i].claimed, 0);
        store_job_free(&claims[i].job);
    }
    return status < 0 ? refused(err) : 0;
}

static int sweep(struct err *err) {
    struct id ids[4], gone = job_of(1).id;
    struct store_job job;
    if (store_renew(store, &gone, 1, 0, err) < 0 ||
        store_expired(store, 0, ids, 4, err) < 0 ||
        store_adopt(store, &gone, 60000, &job, err) < 0)
        return refused(err);
    store_job_free(&job);
    return store_pending_count(store, err) < 0 ? refused(err) : 0;
}

static int finish(struct err *err) {
    struct store_state state;
    struct id id = job_of(number).id, other = job_of(number + 1).id;
    struct store_result results[1] = {
        {.id = &other, .json = RESULT, .len = strlen(RESULT)}};
    number += 2;
    store_finish_all(store, results, 1, 60, err);
    if (!results[0].finished ||
        store_finish(store, &id, RESULT, strlen(RESULT), 60, NULL, err) < 0)
        return refused(err);
    assert_int_equal(look(&id), STORE_RESULT);
    assert_int_equal(look(&other), STORE_RESULT);
    if (store_lookup(store, &id, &state, err) < 0)
        return refused(err);
    assert_string_equal(state.json, RESULT);
    store_state_free(&state);
    return store_forget(store, &id, err) < 0 ? refused(err) : 0;
}

static int announce(struct err *err) {
    return store_announce_worker(store, "w1", "{}", 60, err);
}

static void store_refuses_and_goes_on(void **state) {
    (void)state;
    number = 1;
    alloc_each(open_anew);
    alloc_each(accept_one);
    alloc_each(claim_one);
    alloc_each(sweep);
    number += 1000;
    alloc_each(finish);
    alloc_each(announce);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(store_refuses_and_goes_on, open_store,
                                        close_store),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
