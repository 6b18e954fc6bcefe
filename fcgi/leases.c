#include "fcgi/leases.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/prediction.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Jobs a sweep: other fronts want some, too. After a full one the next follows
 * at once, for a front may have left a thousand. */
#define ADOPT_AT_ONCE 32

struct leases {
    struct leases_options options;
    struct store *store;
    struct mailbox *tasks, *reports;
    pthread_t thread;
    atomic_int_least64_t sweep_since_ms; /* see leases_sweep() */
    atomic_bool stopping;
    bool away; /* Redis, as far as the log was told */
};

/* ---- one task ---------------------------------------------------------- */

static void report(struct leases *leases, enum note_kind kind,
                   const struct id *id) {
    mailbox_put(leases->reports, note_about(kind, id));
}

/* Moves the job into a note. */
static void report_job(struct leases *leases, enum note_kind kind,
                       struct store_job *job) {
    struct note *note = note_new(kind);
    if (note) {
        note->job = *job;
        memset(job, 0, sizeof *job);
    }
    store_job_free(job);
    mailbox_put(leases->reports, note);
}

/* Says once that Redis has gone, and once that it is back. */
static void note_redis(struct leases *leases, int status,
                       const struct err *err) {
    if (status < 0 && !leases->away)
        log_event(LOG_WARN, "redis-away", "error", err->text, NULL);
    if (status >= 0 && leases->away)
        log_event(LOG_INFO, "redis-back", NULL);
    leases->away = status < 0;
}

/* Claims in a row, up to STORE_BATCH_MAX of them, in one round trip. Returns
 * the note behind them. */
static struct note *claim(struct leases *leases, struct note *note) {
    struct store_claim claims[STORE_BATCH_MAX];
    struct err err = {0};
    int count = 0;
    for (; note && note->kind == NOTE_CLAIM && count < STORE_BATCH_MAX;
         note = note->next)
        claims[count++] = (struct store_claim){.id = note->job.id,
                                               .with_bytes = note->with_bytes};
    store_claim_all(leases->store, claims, count, leases->options.lease_ms,
                    &err);
    for (int i = 0; i < count; i++) {
        int claimed = claims[i].claimed;
        note_redis(leases, claimed, &err);
        if (claimed > 0)
            report_job(leases, NOTE_CLAIMED, &claims[i].job);
        else
            report(leases, claimed == 0 ? NOTE_GONE : NOTE_UNAVAILABLE,
                   &claims[i].id);
    }
    return note;
}

static int adopt_id(struct leases *leases, const struct id *id) {
    struct store_job job = {0};
    struct err err = {0};
    int adopted =
        store_adopt(leases->store, id, leases->options.lease_ms, &job, &err);
    note_redis(leases, adopted, &err);
    if (adopted > 0)
        report_job(leases, NOTE_ADOPTED, &job);
    return adopted;
}

static void adopt(struct leases *leases, struct note *note) {
    adopt_id(leases, &note->job.id);
}

static void renew(struct leases *leases, struct note *note) {
    struct err err = {0};
    note_redis(leases,
               store_renew(leases->store, note->ids, note->count,
                           note->lease_ms, &err),
               &err);
}

static char *failure_json(const struct note *note) {
    struct prediction p = {
        .id = note->job.id,
        .image.bytes = note->job.size,
        .created_ms = note->job.created_ms,
        .completed_ms = clock_wall_ms(),
        .attempts = note->job.attempts,
        .problem = "worker-failed",
    };
    p.total_ms = (double)(p.completed_ms - p.created_ms);
    snprintf(p.model_name, sizeof p.model_name, "%s", note->name);
    snprintf(p.detail, sizeof p.detail, "%s", note->text ? note->text : "");
    return prediction_encode(&p);
}

static void fail(struct leases *leases, struct note *note) {
    struct err err = {0};
    char *json = failure_json(note);
    int status =
        json ? store_finish(leases->store, &note->job.id, json, strlen(json),
                            LEASES_FAILURE_TTL_S, NULL, &err)
             : err_set(&err, "out of memory");
    free(json);
    note_redis(leases, status, &err);
    report(leases, status < 0 ? NOTE_NOT_FAILED : NOTE_FAILED, &note->job.id);
}

static void (*const tasks[])(struct leases *, struct note *) = {
    [NOTE_ADOPT] = adopt,
    [NOTE_RENEW] = renew,
    [NOTE_FAIL] = fail,
};

/* ---- the sweep --------------------------------------------------------- */

/* True: there may be more of them. */
static bool sweep(struct leases *leases, int64_t since_ms) {
    struct id ids[ADOPT_AT_ONCE];
    struct err err = {0};
    int adopted = 0;
    int count =
        store_expired(leases->store, since_ms, ids, ADOPT_AT_ONCE, &err);
    note_redis(leases, count, &err);
    for (int i = 0; i < count; i++) {
        int status = adopt_id(leases, &ids[i]);
        if (status < 0)
            return false;
        adopted += status;
    }
    return adopted == ADOPT_AT_ONCE;
}

/* ---- the thread -------------------------------------------------------- */

/* At the end, with Redis away, each would cost a time-out and come to nothing:
 * leases run out by themselves. */
static void run_tasks(struct leases *leases, bool stopping) {
    struct note *note = mailbox_take(leases->tasks);
    while (note) {
        struct note *end = note->next;
        if (stopping && leases->away)
            log_event(LOG_WARN, "lease-left", "reason", "Redis is away", NULL);
        else if (note->kind == NOTE_CLAIM)
            end = claim(leases, note);
        else
            tasks[note->kind](leases, note);
        while (note != end) {
            struct note *done = note;
            note = note->next;
            note_free(done);
        }
    }
}

static void *run(void *arg) {
    struct leases *leases = arg;
    int64_t sweep_at = clock_ms() + leases->options.sweep_ms;
    bool stopping = false;
    while (!stopping) {
        int64_t wait = sweep_at - clock_ms();
        struct pollfd fd = {.fd = mailbox_fd(leases->tasks), .events = POLLIN};
        poll(&fd, 1, wait > 0 ? (int)wait : 0);
        if (clock_ms() >= sweep_at) {
            int64_t since_ms = atomic_load(&leases->sweep_since_ms);
            bool more = since_ms >= 0 && sweep(leases, since_ms);
            sweep_at = clock_ms() + (more ? 0 : leases->options.sweep_ms);
        }
        stopping = atomic_load(&leases->stopping); /* before the last look */
        run_tasks(leases, stopping);
    }
    return NULL;
}

struct leases *leases_open(const struct leases_options *options,
                           struct mailbox *reports, struct err *err) {
    struct leases *leases = calloc(1, sizeof *leases);
    if (!leases) {
        err_set(err, "out of memory");
        return NULL;
    }
    leases->options = *options;
    leases->reports = reports;
    atomic_store(&leases->sweep_since_ms, LEASES_SWEEP_NONE);
    leases->store = store_open(options->redis, err);
    leases->tasks = leases->store ? mailbox_open(err) : NULL;
    if (!leases->tasks)
        goto fail;
    int status = pthread_create(&leases->thread, NULL, run, leases);
    if (status) {
        err_set(err, "cannot start a thread: %s", strerror(status));
        goto fail;
    }
    return leases;
fail:
    mailbox_close(leases->tasks);
    store_close(leases->store);
    free(leases);
    return NULL;
}

void leases_ask(struct leases *leases, struct note *note) {
    mailbox_put(leases->tasks, note);
}

void leases_sweep(struct leases *leases, int64_t since_ms) {
    atomic_store(&leases->sweep_since_ms, since_ms);
}

void leases_close(struct leases *leases) {
    if (!leases)
        return;
    atomic_store(&leases->stopping, true);
    mailbox_nudge(leases->tasks);
    pthread_join(leases->thread, NULL);
    mailbox_close(leases->tasks);
    store_close(leases->store);
    free(leases);
}
