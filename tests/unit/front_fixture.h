/*
 * front_fixture: the parts of a front behind FastCGI, with a private Redis and
 * timeouts as short as a test wants them.
 *
 *     struct front front;
 *     front_open(&front);            the whole group's Redis is started at the
 *     ...                            first one and emptied by each
 *     front_close(&front);
 *     front_end();                   at the end of the group
 */
#ifndef CONVOY_FRONT_FIXTURE_H
#define CONVOY_FRONT_FIXTURE_H

#include "common/clock.h"
#include "common/prediction.h"
#include "fcgi/dispatch.h"
#include "tests/unit/fake_worker.h"
#include "tests/unit/private_redis.h"

#include <poll.h>

#define FRONT_VERSION "3f2a9c1b7d4e"
#define FRONT_SOON_MS 20000 /* never waited for in full: it comes at once */

static struct private_redis front_redis;

struct front {
    char endpoint[128];
    struct catalogue *catalogue;
    struct waiters *waiters;
    struct dispatch *dispatch;
    struct store *store;
};

static inline struct dispatch_options front_options(const struct front *front) {
    return (struct dispatch_options){
        .endpoints = front->endpoint,
        .redis = front_redis.address,
        .sweep_ms = 50,
        .stop_ms = 200,
        .schedule = {.lease_ms = 3000,
                     .job_timeout_ms = 60000,
                     .orphan_ms = 60000,
                     .deadline_ms = 60000,
                     .attempts_max = 3,
                     .pending_max = 100,
                     .keep_bytes = 1000,
                     .out_bytes = 1000},
    };
}

static inline void front_open_with(struct front *front,
                                   const struct dispatch_options *options) {
    struct err err = {0};
    front->catalogue = catalogue_open();
    front->waiters = waiters_open(4);
    front->store = store_open(front_redis.address, &err);
    front->dispatch =
        dispatch_open(options, front->catalogue, front->waiters, &err);
    if (!front->dispatch) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
}

/* A fresh Redis, and the endpoint that options are to have. */
static inline void front_prepare(struct front *front) {
    if (!front_redis.pid) {
        private_redis_start(&front_redis);
    } else {
        private_redis_stop(&front_redis);
        private_redis_again(&front_redis);
    }
    snprintf(front->endpoint, sizeof front->endpoint, "ipc://%s/jobs.sock",
             front_redis.folder);
}

static inline void front_open(struct front *front) {
    front_prepare(front);
    struct dispatch_options options = front_options(front);
    front_open_with(front, &options);
}

static inline void front_close(struct front *front) {
    dispatch_close(front->dispatch);
    waiters_close(front->waiters);
    catalogue_close(front->catalogue);
    store_close(front->store);
}

static inline void front_end(void) {
    private_redis_end(&front_redis);
}

/* ---- jobs and results ---- */

static inline struct id front_id(unsigned n) {
    char sha256[ID_IMAGE_LEN + 1];
    struct id id;
    snprintf(sha256, sizeof sha256, "%064x", n);
    id_make(sha256, FRONT_VERSION, &id);
    return id;
}

static inline void front_submit(struct front *front, unsigned n,
                                const char *bytes) {
    struct store_job job = {.id = front_id(n),
                            .bytes = bytes,
                            .size = strlen(bytes),
                            .request = "req-1",
                            .created_ms = clock_wall_ms()};
    struct store_state state;
    struct err err = {0};
    if (store_accept(front->store, &job, 3000, 0, &state, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    store_state_free(&state);
    dispatch_submit(front->dispatch, &job);
}

/* What a worker does when it has an answer. */
static inline void front_finish(struct front *front, const struct id *id) {
    struct prediction p = {.id = *id,
                           .succeeded = true,
                           .model_name = "net",
                           .image = {.format = "png", .width = 8, .height = 8},
                           .top_count = 1,
                           .top = {{"cat", 0, 1}},
                           .created_ms = clock_wall_ms(),
                           .completed_ms = clock_wall_ms()};
    char *json = prediction_encode(&p);
    store_finish(front->store, id, json, strlen(json), 60, NULL, NULL);
    free(json);
}

static inline void front_rest(void) {
    poll(NULL, 0, 5);
}

/* Waits until the stats say so; 0: they never did. */
#define FRONT_UNTIL(front, condition)                                          \
    ({                                                                         \
        int64_t until = clock_ms() + FRONT_SOON_MS;                            \
        struct schedule_stats stats = dispatch_stats((front)->dispatch);       \
        while (!(condition) && clock_ms() < until) {                           \
            front_rest();                                                      \
            stats = dispatch_stats((front)->dispatch);                         \
        }                                                                      \
        (condition);                                                           \
    })

#endif
