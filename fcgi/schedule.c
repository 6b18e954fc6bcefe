#include "fcgi/schedule.h"

#include "common/clock.h"
#include "common/log.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAUSE_MS 250   /* after Redis or a socket refused */
#define AGAIN_MS 1000  /* a failure that could not be written is tried again */
#define STUCK_MS 30000 /* what leases has not answered by then is lost */

struct schedule {
    struct schedule_options options;
    struct schedule_link link;
    struct leases *leases;
    struct catalogue *catalogue;
    struct waiters *waiters;
    struct pending *pending;
    struct workers *workers;
    int in_flight;
    bool stopping;
    int64_t paused_until_ms, renewed_ms, answered_ms;
    double ms_a_job;
    atomic_size_t kept, out; /* bytes: of queued jobs, on their way */
    pthread_mutex_t mutex;
    struct schedule_stats stats; /* under the mutex */
};

/* ---- memory ----------------------------------------------------------------
 */

bool schedule_keep(struct schedule *s, size_t size) {
    size_t kept = atomic_fetch_add(&s->kept, size);
    if (kept <= s->options.keep_bytes && size <= s->options.keep_bytes - kept)
        return true;
    atomic_fetch_sub(&s->kept, size);
    return false;
}

void schedule_unkeep(struct schedule *s, size_t size) {
    atomic_fetch_sub(&s->kept, size);
}

void schedule_released(struct schedule *s, size_t size) {
    atomic_fetch_sub(&s->out, size);
}

/* Drops the job's bytes. */
static void let_go(struct schedule *s, struct pending_job *job) {
    atomic_fetch_sub(job->kept ? &s->kept : &s->out, job->held);
    job->kept = false;
    job->held = 0;
    free((void *)job->job.bytes);
    job->job.bytes = NULL;
}

/* The bytes have become the link's: counted as on their way until it says that
 * they are gone. */
static void hand_over(struct schedule *s, struct pending_job *job) {
    if (job->kept) {
        atomic_fetch_sub(&s->kept, job->held);
        atomic_fetch_add(&s->out, job->job.size);
    } else if (job->held != job->job.size) {
        atomic_fetch_add(&s->out, job->job.size - job->held);
    }
    job->kept = false;
    job->held = 0;
    job->job.bytes = NULL;
}

/* May its bytes be on their way, too? Those of a single job always. */
static bool fits(struct schedule *s, const struct pending_job *job) {
    size_t out = atomic_load(&s->out);
    return job->held > 0 || out == 0 ||
           (out <= s->options.out_bytes &&
            job->job.size <= s->options.out_bytes - out);
}

/* ---- changes of a job's state -----------------------------------------------
 */

static void set_state(struct schedule *s, struct pending_job *job,
                      enum pending_state state) {
    bool was_sent = job->state == PENDING_SENT;
    pending_take(s->pending, job);
    if (was_sent && job->worker)
        job->worker->in_flight--;
    s->in_flight += (state == PENDING_SENT) - was_sent;
    job->since_ms = clock_ms();
    job->state = state;
}

static void queue(struct schedule *s, struct pending_job *job) {
    set_state(s, job, PENDING_IDLE);
    if (pending_queue(s->pending, job) < 0)
        log_event(LOG_ERROR, "out-of-memory", "id", job->job.id.text, NULL);
}

static void end(struct schedule *s, struct pending_job *job) {
    if (job->state == PENDING_CLAIMING && job->worker)
        job->worker->credits++;
    waiters_wake(s->waiters, &job->job.id);
    set_state(s, job, PENDING_IDLE);
    let_go(s, job);
    pending_remove(s->pending, job);
}

static void ask_failure(struct schedule *s, struct pending_job *job) {
    struct note *note = note_new(NOTE_FAIL);
    char text[512];
    snprintf(text, sizeof text, "%s", job->reason);
    set_state(s, job, PENDING_FAILING);
    job->retry = !note;
    if (!note)
        return;
    note->job = job->job;
    note->job.bytes = NULL;
    note->text = strdup(text);
    if (!catalogue_name(s->catalogue, id_version(&job->job.id), note->name))
        snprintf(note->name, sizeof note->name, "unknown");
    leases_ask(s->leases, note);
}

static void give_up(struct schedule *s, struct pending_job *job) {
    char attempts[16];
    snprintf(attempts, sizeof attempts, "%d", job->job.attempts);
    log_event(LOG_ERROR, "gave-up", "request", job->job.request, "id",
              job->job.id.text, "attempts", attempts, "reason", job->reason,
              NULL);
    let_go(s, job);
    ask_failure(s, job);
}

/* An attempt has come to nothing. */
static void retry(struct schedule *s, struct pending_job *job,
                  const char *reason) {
    snprintf(job->reason, sizeof job->reason, "%s", reason);
    let_go(s, job);
    job->claimed = false;
    if (job->job.attempts >= s->options.attempts_max) {
        give_up(s, job);
        return;
    }
    log_event(LOG_WARN, "retry", "request", job->job.request, "id",
              job->job.id.text, "reason", reason, NULL);
    queue(s, job);
}

/* A claim has come to nothing: no attempt was made. */
static void unclaim(struct schedule *s, struct pending_job *job) {
    if (job->worker)
        job->worker->credits++;
    if (!job->kept)
        let_go(s, job);
    queue(s, job);
    s->paused_until_ms = clock_ms() + PAUSE_MS;
}

/* ---- workers come and go ----------------------------------------------------
 */

void schedule_worker_gone(struct schedule *s, struct worker *worker,
                          const char *why) {
    char reason[200];
    snprintf(reason, sizeof reason, "worker %.100s %s", worker->advert.name,
             why);
    log_event(LOG_WARN, "worker-gone", "worker", worker->advert.name, "reason",
              why, NULL);
    for (struct pending_job *job = pending_oldest(s->pending), *next; job;
         job = next) {
        next = job->newer;
        if (job->worker != worker)
            continue;
        if (job->state == PENDING_SENT)
            retry(s, job, reason);
        job->worker = NULL; /* a claim goes on, for another worker */
    }
    if (!worker->draining)
        catalogue_drop(s->catalogue, &worker->advert);
    workers_remove(s->workers, worker);
}

static struct worker *enroll(struct schedule *s, struct worker *worker,
                             const void *identity, size_t len,
                             struct job_advert *advert) {
    if (worker) {
        if (!worker->draining)
            catalogue_drop(s->catalogue, &worker->advert);
        workers_renew(worker, advert);
        return worker;
    }
    struct worker *former = workers_named(s->workers, advert->name);
    if (former)
        schedule_worker_gone(s, former, "has connected anew");
    return workers_add(s->workers, identity, len, advert);
}

static void on_ready(struct schedule *s, struct worker *worker,
                     const void *identity, size_t len,
                     const struct job_header *header, const void *body,
                     size_t size) {
    struct job_advert advert;
    struct err err = {0};
    if (job_advert_decode(body, size, &advert, &err) < 0) {
        log_event(LOG_ERROR, "worker-refused", "error", err.text, NULL);
        return;
    }
    /* Added before the old one is dropped, so that it is never unserved. */
    if (catalogue_add(s->catalogue, &advert, &err) < 0)
        log_event(LOG_ERROR, "catalogue", "error", err.text, NULL);
    bool known = worker != NULL;
    worker = enroll(s, worker, identity, len, &advert);
    if (!worker) {
        log_event(LOG_ERROR, "worker-refused", "error", "out of memory", NULL);
        catalogue_drop(s->catalogue, &advert);
        job_advert_free(&advert);
        return;
    }
    worker->credits = header->number;
    worker->heard_ms = clock_ms();
    log_event(LOG_INFO, known ? "worker-again" : "worker-ready", "worker",
              worker->advert.name, "credits", log_number(header->number, 0),
              "models", log_number(worker->advert.model_count, 0), NULL);
}

/* ---- other messages ---------------------------------------------------------
 */

static void add_credits(struct worker *worker, int64_t number) {
    worker->credits += number;
    if (worker->credits > JOB_CREDITS_MAX)
        worker->credits = JOB_CREDITS_MAX;
}

/* The time between answers, as a moving mean over some 16 of them; long pauses
 * are want of work and say nothing. */
static void measure(struct schedule *s, int64_t now) {
    double ms = (double)(now - s->answered_ms);
    s->answered_ms = now;
    if (ms < 1000)
        s->ms_a_job += (ms - s->ms_a_job) / 16;
}

static void on_done(struct schedule *s, struct worker *worker,
                    const struct job_header *header) {
    if (worker)
        add_credits(worker, 1);
    struct pending_job *job = pending_find(s->pending, &header->id);
    if (!job) { /* e.g. answered late by a worker that was taken for gone */
        waiters_wake(s->waiters, &header->id);
        return;
    }
    int64_t now = clock_ms();
    log_event(LOG_INFO, "answered", "request", job->job.request, "id",
              job->job.id.text, "worker", worker ? worker->advert.name : "?",
              "attempt", log_number(header->attempt, 0), "ms",
              log_number((double)(now - job->added_ms), 0), NULL);
    measure(s, now);
    end(s, job);
}

static void on_failed(struct schedule *s, struct worker *worker,
                      const struct job_header *header, const char *body,
                      size_t size) {
    if (worker)
        add_credits(worker, 1);
    struct pending_job *job = pending_find(s->pending, &header->id);
    /* Of an earlier attempt: it has been dealt with. */
    if (!job || job->state != PENDING_SENT || job->worker != worker ||
        (header->attempt && header->attempt != job->job.attempts))
        return;
    char reason[200];
    snprintf(reason, sizeof reason, "%.*s", (int)(size < 199 ? size : 199),
             size ? body : "no reason given");
    retry(s, job, reason);
}

static void on_drain(struct schedule *s, struct worker *worker) {
    if (worker->draining)
        return;
    worker->draining = true;
    catalogue_drop(s->catalogue, &worker->advert);
    log_event(LOG_INFO, "worker-draining", "worker", worker->advert.name, NULL);
}

bool schedule_message(struct schedule *s, const void *identity, size_t len,
                      const struct job_header *header, const void *body,
                      size_t size) {
    struct worker *worker = workers_find(s->workers, identity, len);
    if (worker)
        worker->heard_ms = clock_ms();
    switch (header->type) {
    case JOB_READY:
        on_ready(s, worker, identity, len, header, body, size);
        return false;
    case JOB_DONE:
        on_done(s, worker, header);
        break;
    case JOB_FAILED:
        on_failed(s, worker, header, body, size);
        break;
    case JOB_CREDIT:
        if (worker)
            add_credits(worker, header->number);
        break;
    case JOB_DRAIN:
        if (worker)
            on_drain(s, worker);
        break;
    case JOB_HEARTBEAT:
        break;
    case JOB_JOB:
    case JOB_WHO:
        log_event(LOG_WARN, "message-refused", "type",
                  job_type_name(header->type), NULL);
        return false;
    }
    return !worker;
}

/* ---- handing out
 * ------------------------------------------------------------- */

static void send(struct schedule *s, struct pending_job *job) {
    struct worker *worker = job->worker;
    switch (s->link.send(s->link.context, worker, &job->job)) {
    case SCHEDULE_SENT:
        hand_over(s, job);
        set_state(s, job, PENDING_SENT);
        worker->in_flight++;
        job->claimed = false;
        return;
    case SCHEDULE_BUSY:
        worker->credits++;
        s->paused_until_ms = clock_ms() + PAUSE_MS;
        job->claimed = true;
        queue(s, job);
        return;
    case SCHEDULE_UNREACHABLE:
        job->claimed = true;
        queue(s, job);
        schedule_worker_gone(s, worker, "is unreachable");
        return;
    }
}

static void hand_out(struct schedule *s, struct pending_job *job,
                     struct worker *worker) {
    set_state(s, job, PENDING_CLAIMING);
    worker->credits--;
    job->worker = worker;
    if (job->claimed) {
        send(s, job);
        return;
    }
    struct note *note = note_about(NOTE_CLAIM, &job->job.id);
    if (!note) {
        unclaim(s, job);
        return;
    }
    if (!job->held) {
        job->held = job->job.size;
        atomic_fetch_add(&s->out, job->held);
    }
    note->with_bytes = !job->job.bytes;
    leases_ask(s->leases, note);
}

/* The oldest job that somebody can take now. */
static struct pending_job *choose(struct schedule *s, struct worker **worker) {
    struct pending_job *best = NULL;
    for (struct pending_lane *lane = pending_lanes(s->pending); lane;
         lane = lane->next) {
        struct worker *w = workers_pick(s->workers, lane->version, NULL);
        if (w && (!best || lane->first->serial < best->serial) &&
            fits(s, lane->first)) {
            best = lane->first;
            *worker = w;
        }
    }
    return best;
}

static void publish(struct schedule *s) {
    struct schedule_stats stats = {
        .queued = pending_queued(s->pending),
        .in_flight = s->in_flight,
        .pending = pending_count(s->pending),
        .ms_a_job = s->ms_a_job,
    };
    for (struct worker *w = workers_first(s->workers); w; w = w->next) {
        stats.workers += !w->draining;
        stats.credits += w->draining ? 0 : w->credits;
    }
    pthread_mutex_lock(&s->mutex);
    s->stats = stats;
    pthread_mutex_unlock(&s->mutex);
}

void schedule_assign(struct schedule *s) {
    struct pending_job *job;
    struct worker *worker;
    while (!s->stopping && clock_ms() >= s->paused_until_ms &&
           (job = choose(s, &worker)))
        hand_out(s, job, worker);
    publish(s);
}

/* ---- notes
 * ------------------------------------------------------------------- */

static void on_submitted(struct schedule *s, struct note *note) {
    size_t held = note->job.bytes ? note->job.size : 0;
    struct pending_job *job = pending_add(s->pending, &note->job);
    if (!job) {
        schedule_unkeep(s, held);
        return;
    }
    job->held = held;
    job->kept = held > 0;
    job->added_ms = clock_ms();
    queue(s, job);
}

static void on_adopted(struct schedule *s, struct note *note) {
    struct pending_job *job = pending_add(s->pending, &note->job);
    if (!job)
        return;
    job->added_ms = clock_ms();
    log_event(LOG_INFO, "adopted", "request", job->job.request, "id",
              job->job.id.text, "attempts", log_number(job->job.attempts, 0),
              NULL);
    if (job->job.attempts >= s->options.attempts_max) {
        snprintf(job->reason, sizeof job->reason,
                 "the front and the worker that had it are gone");
        give_up(s, job);
        return;
    }
    queue(s, job);
}

static void on_claimed(struct schedule *s, struct pending_job *job,
                       struct note *note) {
    if (job->state != PENDING_CLAIMING)
        return;
    job->job.attempts = note->job.attempts;
    if (note->job.bytes) {
        job->job.bytes = note->job.bytes;
        job->job.size = note->job.size;
        note->job.bytes = NULL; /* the job's now */
    }
    if (job->worker) {
        send(s, job);
        return;
    }
    job->claimed = true;
    queue(s, job);
}

void schedule_note(struct schedule *s, struct note *note) {
    struct pending_job *job = pending_find(s->pending, &note->job.id);
    switch (note->kind) {
    case NOTE_SUBMITTED:
        on_submitted(s, note);
        break;
    case NOTE_ADOPTED:
        on_adopted(s, note);
        break;
    case NOTE_ORPHAN:
        if (!job)
            leases_ask(s->leases, note_about(NOTE_ADOPT, &note->job.id));
        break;
    case NOTE_CLAIMED:
        if (job)
            on_claimed(s, job, note);
        break;
    case NOTE_UNAVAILABLE:
        if (job && job->state == PENDING_CLAIMING)
            unclaim(s, job);
        break;
    case NOTE_NOT_FAILED:
        if (job)
            job->retry = true;
        break;
    case NOTE_GONE:
    case NOTE_FAILED:
        if (job)
            end(s, job);
        break;
    case NOTE_CLAIM:
    case NOTE_ADOPT:
    case NOTE_RENEW:
    case NOTE_FAIL:
        break; /* those go to leases */
    }
}

/* ---- time passes
 * ------------------------------------------------------------- */

static void check_job(struct schedule *s, struct pending_job *job,
                      int64_t now) {
    int64_t age = now - job->since_ms;
    bool served = true;
    switch (job->state) {
    case PENDING_IDLE:
        queue(s, job);
        break;
    case PENDING_QUEUED:
        workers_pick(s->workers, id_version(&job->job.id), &served);
        if (!served && now - job->added_ms > s->options.orphan_ms) {
            snprintf(job->reason, sizeof job->reason,
                     "no worker serves this version of the model any more");
            give_up(s, job);
        }
        break;
    case PENDING_CLAIMING:
        if (age > STUCK_MS)
            unclaim(s, job);
        break;
    case PENDING_SENT:
        if (age > s->options.job_timeout_ms)
            retry(s, job, "the worker did not answer in time");
        break;
    case PENDING_FAILING:
        if (age > (job->retry ? AGAIN_MS : STUCK_MS))
            ask_failure(s, job);
        break;
    }
}

/* Takes the ids over. */
static void renew_ids(struct schedule *s, struct id *ids, int count,
                      int64_t lease_ms) {
    struct note *note = ids ? note_new(NOTE_RENEW) : NULL;
    if (!note) {
        free(ids);
        return;
    }
    note->ids = ids;
    note->count = count;
    note->lease_ms = lease_ms;
    leases_ask(s->leases, note);
}

static void renew(struct schedule *s, int64_t lease_ms) {
    int count;
    struct id *ids = pending_ids(s->pending, &count);
    renew_ids(s, ids, count, lease_ms);
}

void schedule_tick(struct schedule *s) {
    int64_t now = clock_ms();
    for (struct worker *w = workers_first(s->workers), *next; w; w = next) {
        next = w->next;
        if (now - w->heard_ms > JOB_SILENCE_MS)
            schedule_worker_gone(s, w, "has fallen silent");
    }
    for (struct pending_job *job = pending_oldest(s->pending), *next;
         job && !s->stopping; job = next) {
        next = job->newer;
        check_job(s, job, now);
    }
    if (now - s->renewed_ms > s->options.lease_ms / 3) {
        renew(s, s->options.lease_ms);
        s->renewed_ms = now;
    }
    leases_sweep(s->leases,
                 !s->stopping && workers_first(s->workers) &&
                     pending_count(s->pending) < s->options.pending_max);
}

/* ---- the end
 * ------------------------------------------------------------------ */

void schedule_stop(struct schedule *s) {
    s->stopping = true;
    leases_sweep(s->leases, false);
    int left = 0;
    struct id *ids = pending_ids(s->pending, &left);
    for (struct pending_job *job = pending_oldest(s->pending), *next; job;
         job = next) {
        next = job->newer;
        if (job->state != PENDING_SENT)
            end(s, job);
    }
    renew_ids(s, ids, left, 0);
    renew(s, s->options.lease_ms); /* those that a worker has */
}

void schedule_abandon(struct schedule *s) {
    renew(s, 0);
}

struct worker *schedule_workers(const struct schedule *s) {
    return workers_first(s->workers);
}

struct schedule_stats schedule_stats(struct schedule *s) {
    pthread_mutex_lock(&s->mutex);
    struct schedule_stats stats = s->stats;
    pthread_mutex_unlock(&s->mutex);
    return stats;
}

struct schedule *schedule_open(const struct schedule_options *options,
                               const struct schedule_link *link,
                               struct leases *leases,
                               struct catalogue *catalogue,
                               struct waiters *waiters, struct err *err) {
    struct schedule *s = calloc(1, sizeof *s);
    if (!s) {
        err_set(err, "out of memory");
        return NULL;
    }
    pthread_mutex_init(&s->mutex, NULL);
    s->options = *options;
    s->link = *link;
    s->leases = leases;
    s->catalogue = catalogue;
    s->waiters = waiters;
    s->ms_a_job = 20;
    s->pending = pending_open();
    s->workers = workers_open();
    if (!s->pending || !s->workers) {
        err_set(err, "out of memory");
        schedule_close(s);
        return NULL;
    }
    return s;
}

void schedule_close(struct schedule *s) {
    if (!s)
        return;
    pending_close(s->pending);
    workers_close(s->workers);
    pthread_mutex_destroy(&s->mutex);
    free(s);
}
