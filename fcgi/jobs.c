#include "fcgi/jobs.h"

#include "common/clock.h"
#include "common/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAUSE_MS 250
#define AGAIN_MS 1000  /* a failure that could not be written is tried again */
#define STUCK_MS 30000 /* what leases has not answered by then is lost */

/* ---- memory ------------------------------------------------------------ */

bool jobs_keep(struct jobs *jobs, size_t size) {
    size_t kept = atomic_fetch_add(&jobs->kept, size);
    if (kept <= jobs->keep_bytes && size <= jobs->keep_bytes - kept)
        return true;
    atomic_fetch_sub(&jobs->kept, size);
    return false;
}

void jobs_unkeep(struct jobs *jobs, size_t size) {
    atomic_fetch_sub(&jobs->kept, size);
}

void jobs_released(struct jobs *jobs, size_t size) {
    atomic_fetch_sub(&jobs->out, size);
}

/* Drops the job's bytes. */
static void let_go(struct jobs *jobs, struct pending_job *job) {
    atomic_fetch_sub(job->kept ? &jobs->kept : &jobs->out, job->held);
    job->kept = false;
    job->held = 0;
    free((void *)job->job.bytes);
    job->job.bytes = NULL;
}

/* The bytes have become the link's: counted as on their way until it says that
 * they are gone. */
static void hand_over(struct jobs *jobs, struct pending_job *job) {
    atomic_fetch_add(&jobs->out, job->job.size);
    atomic_fetch_sub(job->kept ? &jobs->kept : &jobs->out, job->held);
    job->kept = false;
    job->held = 0;
    job->job.bytes = NULL;
}

bool jobs_fit(struct jobs *jobs, const struct pending_job *job) {
    size_t out = atomic_load(&jobs->out);
    return job->held > 0 || out == 0 ||
           (out <= jobs->out_bytes && job->job.size <= jobs->out_bytes - out);
}

/* ---- states ------------------------------------------------------------ */

static void set_state(struct jobs *jobs, struct pending_job *job,
                      enum pending_state state) {
    bool was_sent = job->state == PENDING_SENT;
    pending_take(jobs->pending, job);
    if (was_sent && job->worker)
        job->worker->in_flight--;
    jobs->in_flight += (state == PENDING_SENT) - was_sent;
    job->since_ms = clock_ms();
    job->state = state;
}

struct pending_job *jobs_add(struct jobs *jobs, struct store_job *job) {
    int64_t age_ms = job->age_ms;
    struct pending_job *added = pending_add(jobs->pending, job);
    if (added) {
        added->added_ms = clock_ms();
        added->deadline_ms = added->added_ms + jobs->deadline_ms - age_ms;
    }
    return added;
}

void jobs_queue(struct jobs *jobs, struct pending_job *job) {
    set_state(jobs, job, PENDING_IDLE);
    if (pending_queue(jobs->pending, job) < 0)
        log_event(LOG_ERROR, "out-of-memory", "id", job->job.id.text, NULL);
}

void jobs_end(struct jobs *jobs, struct pending_job *job) {
    if (job->state == PENDING_CLAIMING && job->worker)
        job->worker->credits++;
    waiters_wake(jobs->waiters, &job->job.id);
    set_state(jobs, job, PENDING_IDLE);
    let_go(jobs, job);
    pending_remove(jobs->pending, job);
}

/* ---- failure ----------------------------------------------------------- */

void jobs_ask_failure(struct jobs *jobs, struct pending_job *job) {
    struct note *note = note_new(NOTE_FAIL);
    char text[512];
    set_state(jobs, job, PENDING_FAILING);
    job->retry = !note;
    if (!note)
        return;
    size_t length = strlen(job->reason);
    if (length > 0 && job->reason[length - 1] == '.')
        length--;
    snprintf(text, sizeof text,
             "After %d %s there is no answer: %.*s. Try it again later.",
             job->job.attempts, job->job.attempts == 1 ? "attempt" : "attempts",
             (int)length, job->reason);
    note->job = job->job;
    note->job.bytes = NULL;
    note->text = strdup(text);
    if (!catalogue_name(jobs->catalogue, id_version(&job->job.id), note->name))
        snprintf(note->name, sizeof note->name, "unknown");
    leases_ask(jobs->leases, note);
}

void jobs_give_up(struct jobs *jobs, struct pending_job *job) {
    log_event(LOG_ERROR, "gave-up", "request", job->job.request, "id",
              job->job.id.text, "attempts", log_number(job->job.attempts, 0),
              "reason", job->reason, NULL);
    let_go(jobs, job);
    jobs_ask_failure(jobs, job);
}

void jobs_retry(struct jobs *jobs, struct pending_job *job,
                enum metrics_retry why, const char *reason) {
    metrics_retry(jobs->metrics, why);
    snprintf(job->reason, sizeof job->reason, "%s", reason);
    let_go(jobs, job);
    job->claimed = false;
    if (job->job.attempts >= jobs->attempts_max) {
        jobs_give_up(jobs, job);
        return;
    }
    log_event(LOG_WARN, "retry", "request", job->job.request, "id",
              job->job.id.text, "reason", reason, NULL);
    jobs_queue(jobs, job);
}

/* ---- handing out ------------------------------------------------------- */

static enum jobs_sent send(struct jobs *jobs, struct pending_job *job) {
    struct worker *worker = job->worker;
    enum jobs_sent sent =
        jobs->link.send(jobs->link.context, worker, &job->job);
    if (sent == JOBS_SENT) {
        hand_over(jobs, job);
        set_state(jobs, job, PENDING_SENT);
        worker->in_flight++;
        job->claimed = false;
        return sent;
    }
    worker->credits++;
    job->claimed = true; /* the attempt is counted: it need not be again */
    jobs_queue(jobs, job);
    if (sent == JOBS_BUSY)
        jobs->paused_until_ms = clock_ms() + PAUSE_MS;
    return sent;
}

enum jobs_sent jobs_hand_out(struct jobs *jobs, struct pending_job *job,
                             struct worker *worker) {
    set_state(jobs, job, PENDING_CLAIMING);
    worker->credits--;
    job->worker = worker;
    if (job->claimed)
        return send(jobs, job);
    struct note *note = note_about(NOTE_CLAIM, &job->job.id);
    if (!note) {
        jobs_unclaim(jobs, job);
        return JOBS_BUSY;
    }
    if (!job->held) {
        job->held = job->job.size;
        atomic_fetch_add(&jobs->out, job->held);
    }
    note->with_bytes = !job->job.bytes;
    leases_ask(jobs->leases, note);
    return JOBS_SENT;
}

enum jobs_sent jobs_claimed(struct jobs *jobs, struct pending_job *job,
                            struct note *note) {
    if (job->state != PENDING_CLAIMING)
        return JOBS_SENT;
    job->job.attempts = note->job.attempts;
    if (note->job.bytes) {
        job->job.bytes = note->job.bytes;
        job->job.size = note->job.size;
        note->job.bytes = NULL; /* the job's now */
    }
    if (job->worker)
        return send(jobs, job);
    job->claimed = true;
    jobs_queue(jobs, job);
    return JOBS_SENT;
}

void jobs_unclaim(struct jobs *jobs, struct pending_job *job) {
    if (job->worker)
        job->worker->credits++;
    if (!job->kept)
        let_go(jobs, job);
    jobs_queue(jobs, job);
    jobs->paused_until_ms = clock_ms() + PAUSE_MS;
}

/* ---- time passes ------------------------------------------------------- */

static void give_up_for(struct jobs *jobs, struct pending_job *job,
                        const char *reason) {
    snprintf(job->reason, sizeof job->reason, "%s", reason);
    jobs_give_up(jobs, job);
}

/* What is being claimed ends a moment later, what fails has ended. */
static bool is_overdue(const struct pending_job *job, int64_t now) {
    return now > job->deadline_ms && job->state != PENDING_CLAIMING &&
           job->state != PENDING_FAILING;
}

static void give_up_overdue(struct jobs *jobs, struct pending_job *job,
                            bool served) {
    char reason[200];
    snprintf(reason, sizeof reason, "its time of %g s is over, and %s",
             (double)jobs->deadline_ms / 1000,
             job->state == PENDING_SENT ? "the worker is still at it"
             : served                   ? "no worker was free for it"
                                        : "no worker serves its model");
    give_up_for(jobs, job, reason);
}

void jobs_check(struct jobs *jobs, struct pending_job *job, bool served) {
    int64_t now = clock_ms(), age = now - job->since_ms;
    if (is_overdue(job, now)) {
        give_up_overdue(jobs, job, served);
        return;
    }
    switch (job->state) {
    case PENDING_IDLE:
        jobs_queue(jobs, job);
        break;
    case PENDING_QUEUED:
        if (!served && now - job->added_ms > jobs->orphan_ms)
            give_up_for(jobs, job,
                        "no worker serves this version of the model any more");
        break;
    case PENDING_CLAIMING:
        if (age > STUCK_MS)
            jobs_unclaim(jobs, job);
        break;
    case PENDING_SENT:
        if (age > jobs->worker_ms)
            jobs_retry(jobs, job, METRICS_WORKER_LATE,
                       "the worker did not answer in time");
        break;
    case PENDING_FAILING:
        if (age > (job->retry ? AGAIN_MS : STUCK_MS))
            jobs_ask_failure(jobs, job);
        break;
    }
}

/* ---- leases ------------------------------------------------------------ */

void jobs_renew_ids(struct jobs *jobs, struct id *ids, int count,
                    int64_t lease_ms) {
    struct note *note = ids ? note_new(NOTE_RENEW) : NULL;
    if (!note) {
        free(ids);
        return;
    }
    note->ids = ids;
    note->count = count;
    note->lease_ms = lease_ms;
    leases_ask(jobs->leases, note);
}

void jobs_renew(struct jobs *jobs, int64_t lease_ms) {
    int count;
    struct id *ids = pending_ids(jobs->pending, &count);
    jobs_renew_ids(jobs, ids, count, lease_ms);
}
