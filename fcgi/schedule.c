#include "fcgi/schedule.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/prediction.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DESCRIBE_MS 1000

struct schedule {
    struct schedule_options options;
    struct jobs jobs;
    struct catalogue *catalogue;
    struct workers *workers;
    bool stopping;
    int64_t renewed_ms, answered_ms;
    double ms_a_job;
    pthread_mutex_t mutex;
    /* under the mutex */
    struct schedule_stats stats;
    json_t *described; /* the workers */
    int64_t described_ms;
};

/* ---- workers come and go ----------------------------------------------- */

void schedule_worker_gone(struct schedule *s, struct worker *worker,
                          const char *why) {
    char reason[200];
    snprintf(reason, sizeof reason, "worker %.100s %s", worker->advert.name,
             why);
    log_event(LOG_WARN, "worker-gone", "worker", worker->advert.name, "reason",
              why, NULL);
    for (struct pending_job *job = pending_oldest(s->jobs.pending), *next; job;
         job = next) {
        next = job->newer;
        if (job->worker != worker)
            continue;
        if (job->state == PENDING_SENT)
            jobs_retry(&s->jobs, job, METRICS_WORKER_GONE, reason);
        job->worker = NULL; /* a claim goes on, for another worker */
    }
    if (!worker->draining)
        catalogue_drop(s->catalogue, &worker->advert);
    workers_remove(s->workers, worker);
}

void schedule_shut_out(struct schedule *s, const void *identity, size_t len) {
    struct worker *worker = workers_find(s->workers, identity, len);
    if (worker)
        schedule_worker_gone(s, worker, "is not on the list any more");
}

static struct worker *enroll(struct schedule *s, struct worker *worker,
                             const void *identity, size_t len,
                             struct job_advert *advert) {
    if (worker) {
        if (!worker->draining)
            catalogue_drop(s->catalogue, &worker->advert);
        catalogue_forget(s->catalogue, &worker->advert);
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
        log_event(LOG_ERROR, "worker-refused", "error",
                  "there are too many workers already, or no memory", NULL);
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

/* ---- other messages ---------------------------------------------------- */

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

static void count(struct schedule *s, const char *body, size_t size) {
    struct prediction_outcome outcome;
    if (!prediction_outcome(body, size, &outcome))
        return;
    struct metrics *metrics = s->jobs.metrics;
    metrics_ended(metrics, *outcome.problem ? outcome.problem : NULL);
    metrics_time(metrics, METRICS_QUEUE, outcome.queue_ms);
    metrics_time(metrics, METRICS_DECODE, outcome.decode_ms);
    metrics_time(metrics, METRICS_INFER, outcome.infer_ms);
    metrics_time(metrics, METRICS_TOTAL, outcome.total_ms);
}

static void on_done(struct schedule *s, struct worker *worker,
                    const struct job_header *header, const char *body,
                    size_t size) {
    if (worker)
        add_credits(worker, 1);
    waiters_tell(s->jobs.waiters, &header->id, body, size);
    struct pending_job *job = pending_find(s->jobs.pending, &header->id);
    if (!job) /* e.g. answered late by a worker that was taken for gone */
        return;
    int64_t now = clock_ms();
    log_event(LOG_INFO, "answered", "request", job->job.request, "id",
              job->job.id.text, "worker", worker ? worker->advert.name : "?",
              "attempt", log_number(header->attempt, 0), "ms",
              log_number((double)(now - job->added_ms), 0), NULL);
    measure(s, now);
    count(s, body, size);
    jobs_end(&s->jobs, job);
}

static void on_failed(struct schedule *s, struct worker *worker,
                      const struct job_header *header, const char *body,
                      size_t size) {
    if (worker)
        add_credits(worker, 1);
    struct pending_job *job = pending_find(s->jobs.pending, &header->id);
    /* Of an earlier attempt: it has been dealt with. */
    if (!job || job->state != PENDING_SENT || job->worker != worker ||
        (header->attempt && header->attempt != job->job.attempts))
        return;
    char reason[200];
    snprintf(reason, sizeof reason, "%.*s", (int)(size < 199 ? size : 199),
             size ? body : "no reason given");
    jobs_retry(&s->jobs, job, METRICS_WORKER_REFUSED, reason);
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
        on_done(s, worker, header, body, size);
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

/* ---- handing out ------------------------------------------------------- */

/* The oldest job that somebody can take now. */
static struct pending_job *choose(struct schedule *s, struct worker **worker) {
    struct pending_job *best = NULL;
    for (struct pending_lane *lane = pending_lanes(s->jobs.pending); lane;
         lane = lane->next) {
        struct worker *w = workers_pick(s->workers, lane->version, NULL);
        if (w && (!best || lane->first->serial < best->serial) &&
            jobs_fit(&s->jobs, lane->first)) {
            best = lane->first;
            *worker = w;
        }
    }
    return best;
}

static int64_t queue_age_ms(const struct schedule *s) {
    int64_t now = clock_ms(), oldest = now;
    for (struct pending_lane *lane = pending_lanes(s->jobs.pending); lane;
         lane = lane->next)
        if (lane->first->added_ms < oldest)
            oldest = lane->first->added_ms;
    return now - oldest;
}

static void publish(struct schedule *s) {
    struct schedule_stats stats = {
        .queued = pending_queued(s->jobs.pending),
        .in_flight = s->jobs.in_flight,
        .pending = pending_count(s->jobs.pending),
        .ms_a_job = s->ms_a_job,
    };
    for (struct worker *w = workers_first(s->workers); w; w = w->next) {
        stats.workers += !w->draining;
        stats.credits += w->draining ? 0 : w->credits;
        stats.refused += w->advert.refused_count;
    }
    stats.queue_age_ms = queue_age_ms(s);
    pthread_mutex_lock(&s->mutex);
    s->stats = stats;
    pthread_mutex_unlock(&s->mutex);
}

/* Once a second, for whoever looks: the workers are this thread's alone. */
static void describe(struct schedule *s, int64_t now) {
    if (now - s->described_ms < DESCRIBE_MS)
        return;
    json_t *fresh = workers_describe(s->workers, now);
    pthread_mutex_lock(&s->mutex);
    json_t *former = s->described;
    s->described = fresh;
    s->described_ms = now;
    pthread_mutex_unlock(&s->mutex);
    json_decref(former);
}

json_t *schedule_describe(struct schedule *s) {
    pthread_mutex_lock(&s->mutex);
    json_t *copy = s->described ? json_deep_copy(s->described) : json_array();
    pthread_mutex_unlock(&s->mutex);
    return copy;
}

void schedule_assign(struct schedule *s) {
    struct pending_job *job;
    struct worker *worker;
    while (!s->stopping && clock_ms() >= s->jobs.paused_until_ms &&
           (job = choose(s, &worker)))
        if (jobs_hand_out(&s->jobs, job, worker) == JOBS_UNREACHABLE)
            schedule_worker_gone(s, worker, "is unreachable");
    publish(s);
}

/* ---- notes ------------------------------------------------------------- */

static void on_submitted(struct schedule *s, struct note *note) {
    size_t held = note->job.bytes ? note->job.size : 0;
    struct pending_job *job = jobs_add(&s->jobs, &note->job);
    if (!job) {
        jobs_unkeep(&s->jobs, held);
        return;
    }
    job->held = held;
    job->kept = held > 0;
    jobs_queue(&s->jobs, job);
}

static void on_adopted(struct schedule *s, struct note *note) {
    struct pending_job *job = jobs_add(&s->jobs, &note->job);
    if (!job)
        return;
    log_event(LOG_INFO, "adopted", "request", job->job.request, "id",
              job->job.id.text, "attempts", log_number(job->job.attempts, 0),
              NULL);
    if (job->job.attempts >= s->options.attempts_max) {
        snprintf(job->reason, sizeof job->reason,
                 "the front and the worker that had it are gone");
        jobs_give_up(&s->jobs, job);
        return;
    }
    jobs_queue(&s->jobs, job);
}

static void take_claim(struct schedule *s, struct pending_job *job,
                       struct note *note) {
    struct worker *worker = job->worker;
    if (jobs_claimed(&s->jobs, job, note) == JOBS_UNREACHABLE)
        schedule_worker_gone(s, worker, "is unreachable");
}

void schedule_note(struct schedule *s, struct note *note) {
    struct pending_job *job = pending_find(s->jobs.pending, &note->job.id);
    switch (note->kind) {
    case NOTE_SUBMITTED:
        on_submitted(s, note);
        break;
    case NOTE_ADOPTED:
        on_adopted(s, note);
        break;
    case NOTE_ORPHAN:
        if (!job)
            leases_ask(s->jobs.leases, note_about(NOTE_ADOPT, &note->job.id));
        break;
    case NOTE_CLAIMED:
        if (job)
            take_claim(s, job, note);
        break;
    case NOTE_UNAVAILABLE:
        if (job && job->state == PENDING_CLAIMING)
            jobs_unclaim(&s->jobs, job);
        break;
    case NOTE_NOT_FAILED:
        if (job)
            job->retry = true;
        break;
    case NOTE_FAILED:
        if (job)
            metrics_ended(s->jobs.metrics, "worker-failed");
        /* fall through */
    case NOTE_GONE:
        if (job)
            jobs_end(&s->jobs, job);
        break;
    case NOTE_CLAIM:
    case NOTE_ADOPT:
    case NOTE_RENEW:
    case NOTE_FAIL:
        break; /* those go to leases */
    }
}

/* ---- time passes ------------------------------------------------------- */

/* A front without workers leaves what it can to others; but what nobody has
 * wanted for a whole lease it sees to, if only until its deadline. */
static int64_t sweep_since_ms(const struct schedule *s) {
    if (s->stopping || pending_count(s->jobs.pending) >= s->options.pending_max)
        return LEASES_SWEEP_NONE;
    return workers_first(s->workers) ? 0 : s->options.lease_ms;
}

void schedule_tick(struct schedule *s) {
    int64_t now = clock_ms();
    describe(s, now);
    for (struct worker *w = workers_first(s->workers), *next; w; w = next) {
        next = w->next;
        if (now - w->heard_ms > JOB_SILENCE_MS)
            schedule_worker_gone(s, w, "has fallen silent");
    }
    for (struct pending_job *job = pending_oldest(s->jobs.pending), *next;
         job && !s->stopping; job = next) {
        next = job->newer;
        bool served;
        workers_pick(s->workers, id_version(&job->job.id), &served);
        jobs_check(&s->jobs, job, served);
    }
    if (now - s->renewed_ms > s->options.lease_ms / 3) {
        jobs_renew(&s->jobs, s->options.lease_ms);
        s->renewed_ms = now;
    }
    leases_sweep(s->jobs.leases, sweep_since_ms(s));
}

/* ---- the end ----------------------------------------------------------- */

void schedule_stop(struct schedule *s) {
    s->stopping = true;
    leases_sweep(s->jobs.leases, LEASES_SWEEP_NONE);
    int left = 0;
    struct id *ids = pending_ids(s->jobs.pending, &left);
    for (struct pending_job *job = pending_oldest(s->jobs.pending), *next; job;
         job = next) {
        next = job->newer;
        if (job->state != PENDING_SENT)
            jobs_end(&s->jobs, job);
    }
    jobs_renew_ids(&s->jobs, ids, left, 0);
    jobs_renew(&s->jobs, s->options.lease_ms); /* those that a worker has */
}

void schedule_abandon(struct schedule *s) {
    jobs_renew(&s->jobs, 0);
}

struct jobs *schedule_jobs(struct schedule *s) {
    return &s->jobs;
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
                               const struct jobs_link *link,
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
    s->catalogue = catalogue;
    s->jobs.attempts_max = options->attempts_max;
    s->jobs.worker_ms = options->job_timeout_ms;
    s->jobs.orphan_ms = options->orphan_ms;
    s->jobs.deadline_ms = options->deadline_ms;
    s->jobs.keep_bytes = options->keep_bytes;
    s->jobs.out_bytes = options->out_bytes;
    s->jobs.link = *link;
    s->jobs.leases = leases;
    s->jobs.catalogue = catalogue;
    s->jobs.waiters = waiters;
    s->jobs.metrics = options->metrics;
    s->ms_a_job = 20;
    s->jobs.pending = pending_open();
    s->workers = workers_open();
    if (!s->jobs.pending || !s->workers) {
        err_set(err, "out of memory");
        schedule_close(s);
        return NULL;
    }
    return s;
}

void schedule_close(struct schedule *s) {
    if (!s)
        return;
    pending_close(s->jobs.pending);
    workers_close(s->workers);
    json_decref(s->described);
    pthread_mutex_destroy(&s->mutex);
    free(s);
}
