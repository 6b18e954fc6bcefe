/*
 * store: Redis, and nothing else knows it. Every answer and every job that is
 * owed an answer lives here.
 *
 *     struct store *store = store_open("unix:run/redis.sock", &err);
 *     struct store_state state;
 *     if (store_accept(store, &job, lease_ms, 0, &state, &err) < 0) ... 503
 *     if (state.kind == STORE_RESULT) ... state.json
 *     store_state_free(&state);
 *
 * A store is one connection for one thread. It connects lazily, and again
 * after a failure: an operation that meets a lost connection is tried once
 * anew, then fails with problem "store-unavailable". Every call is bounded in
 * time (2 s to connect, 2 s for a command). All arguments are binary-safe. The
 * program must ignore SIGPIPE.
 *
 * Keys
 *   convoy:result:<id>   JSON of a prediction that ended, with a TTL
 *   convoy:job:<id>      hash: bytes, request, created (wall ms), accepted
 *                        (Redis's ms), attempts, token; no TTL, gone with the
 *                        result
 *   convoy:pending       sorted set, id -> end of its lease (ms)
 *   convoy:forgotten:<id> short TTL: no late result brings it back
 *   convoy:recent        list of ids, the latest first, for the admin page
 *   convoy:worker:<name> short TTL, for the admin page
 *
 * What takes several keys is one Lua script, so it happens whole or not at all.
 *
 * A lease is the promise of one front to see to a job: while it lives the
 * front renews it; when it has run out any front may adopt the job. Leases are
 * counted by the clock of Redis (TIME), never by that of a front: hosts whose
 * clocks differ would otherwise take each other's jobs, or none. So is the age
 * of a job, by which it has a deadline whoever sees to it.
 */
#ifndef CONVOY_STORE_H
#define CONVOY_STORE_H

#include "common/err.h"
#include "common/id.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "unix:PATH", "HOST:PORT", or with a login "redis://USER:PASSWORD@HOST:PORT"
 * and "unix://USER:PASSWORD@PATH" (USER may be empty). Without a login there,
 * the environment's CONVOY_REDIS_USER and CONVOY_REDIS_PASSWORD are used, if
 * set. Never connects, so it fails on a malformed address alone. */
struct store *store_open(const char *address, struct err *err);
void store_close(struct store *store);

/* 0 where Redis answers and takes writes. */
int store_ping(struct store *store, struct err *err);

enum store_kind {
    STORE_NONE,     /* never seen, or expired */
    STORE_PENDING,  /* owed: accepted earlier and not ended */
    STORE_ACCEPTED, /* store_accept(): written now */
    STORE_RESULT,   /* ended: json */
};

struct store_state {
    enum store_kind kind;
    char *json; /* owned, NUL-terminated; STORE_RESULT only */
    size_t json_len;
    /* STORE_PENDING */
    bool leased;        /* some front sees to it */
    int64_t created_ms; /* wall clock */
    int attempts;       /* how often it was handed to a worker */
    size_t size;        /* of the image, bytes */
};
void store_state_free(struct store_state *state);

int store_lookup(struct store *store, const struct id *id,
                 struct store_state *state, struct err *err);

struct store_job {
    struct id id;
    const void *bytes; /* the image; borrowed on accept, owned after a claim */
    size_t size;
    char request[129]; /* X-Request-ID of the submission */
    int64_t created_ms;
    int attempts;   /* after a claim, that one included */
    int64_t age_ms; /* after an adoption: since it was accepted */
};
void store_job_free(struct store_job *job); /* after a claim or adoption */

/* Durable accept: result there -> STORE_RESULT; pending -> STORE_PENDING;
 * otherwise job and pending entry are written -> STORE_ACCEPTED. A result that
 * is a failure of the service (not permanent) counts as not there and goes.
 * `pending_max` > 0: with so many pending, refused with problem "queue-full".
 * Trying again after a lost connection does not meet its own first try. */
int store_accept(struct store *store, const struct store_job *job,
                 int64_t lease_ms, int pending_max, struct store_state *state,
                 struct err *err);

/* Takes over a job whose lease has run out, without its bytes; attempts stay.
 * Returns 1 taken, 0 where it is leased or no longer pending. */
int store_adopt(struct store *store, const struct id *id, int64_t lease_ms,
                struct store_job *job, struct err *err);

/* Jobs are about to be handed to workers: attempts + 1, lease anew, the bytes
 * fetched where `with_bytes`. One round trip for up to STORE_BATCH_MAX of them;
 * `claimed` is 1 done, 0 where the job is no longer pending (answered
 * meanwhile), or -1 with `err` saying why the last of those failed. */
#define STORE_BATCH_MAX 16
struct store_claim {
    struct id id;
    bool with_bytes;
    struct store_job job; /* owned after the call, where claimed is 1 */
    int claimed;
};
void store_claim_all(struct store *store, struct store_claim *claims, int count,
                     int64_t lease_ms, struct err *err);

/* New lease for jobs that this front queues or has given to a live worker;
 * those that are no longer pending are left alone. A lease of 0 ms gives them
 * up: any front may adopt them at once. */
int store_renew(struct store *store, const struct id *ids, int count,
                int64_t lease_ms, struct err *err);

/* Up to `max` ids whose lease ran out `since_ms` ago or earlier, longest ago
 * first; returns how many, or -1. */
int store_expired(struct store *store, int64_t since_ms, struct id *ids,
                  int max, struct err *err);

int64_t store_pending_count(struct store *store, struct err *err);

/* The end: result written (ttl_s seconds), job and pending entry gone, in one
 * step. A result that is there already stays: 0 either way, *written (may be
 * NULL) tells. A failure of the service does not stay; it is replaced. */
int store_finish(struct store *store, const struct id *id, const char *json,
                 size_t len, int ttl_s, bool *written, struct err *err);

/* The same for up to STORE_BATCH_MAX results in one round trip; `finished`
 * tells of each whether it is there, `err` why the last of the others is not.
 */
struct store_result {
    const struct id *id;
    const char *json;
    size_t len;
    bool finished;
};
void store_finish_all(struct store *store, struct store_result *results,
                      int count, int ttl_s, struct err *err);

/* Forgets a prediction whole: its result with the maps, or its job where it is
 * pending; what a worker still brings of it is dropped. 1 forgotten, 0 there
 * was none. */
int store_forget(struct store *store, const struct id *id, struct err *err);

/* A worker shows itself for `ttl_s` seconds. */
int store_announce_worker(struct store *store, const char *name,
                          const char *json, int ttl_s, struct err *err);

/* Up to `max` documents of the predictions that ended last, the latest first;
 * how many, or -1. The texts are the caller's to free. */
#define STORE_RECENT_MAX 100
int store_recent(struct store *store, char **results, int max, struct err *err);

/* What those workers announced of themselves, NULL where nothing (any more);
 * how many of the names were looked at, or -1. The texts are the caller's. */
#define STORE_WORKERS_MAX 128
int store_worker_reports(struct store *store, const char *const *names,
                         int count, char **reports, struct err *err);

#endif
