/*
 * schedule: which job goes to which worker when, and what happens to it when
 * something goes wrong. Belongs to the dispatch thread, except where it says
 * otherwise; knows no socket.
 *
 * Every change is driven by a message, a note or the tick, and none of them
 * waits for anything. What happens to a job then is in jobs.h.
 *
 *     schedule_message(schedule, identity, len, &header, body, size);
 *     schedule_note(schedule, note);
 *     schedule_assign(schedule);          after any of these
 *     schedule_tick(schedule);            a few times a second
 */
#ifndef CONVOY_SCHEDULE_H
#define CONVOY_SCHEDULE_H

#include "common/err.h"
#include "common/job.h"
#include "fcgi/jobs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct schedule_options {
    int64_t lease_ms;
    int64_t job_timeout_ms; /* a worker that lives has so long for a job */
    int64_t orphan_ms;   /* so long a job waits for a worker with its model */
    int64_t deadline_ms; /* so long after it was accepted a job has ended */
    int attempts_max;
    int pending_max;              /* no jobs of others are adopted beyond */
    size_t keep_bytes, out_bytes; /* see jobs.h */
    struct metrics *metrics;      /* or NULL */
};

struct schedule_stats {
    int queued, in_flight, pending; /* pending: these and all between */
    int workers;
    int refused; /* model folders that these could not load */
    int64_t credits;
    int64_t queue_age_ms; /* of what waits longest */
    double ms_a_job;      /* between two answers, while there is work */
};

struct schedule;
struct schedule *schedule_open(const struct schedule_options *options,
                               const struct jobs_link *link,
                               struct leases *leases,
                               struct catalogue *catalogue,
                               struct waiters *waiters, struct err *err);
void schedule_close(struct schedule *schedule);

/* True: the sender is unknown and should be asked who it is. */
bool schedule_message(struct schedule *schedule, const void *identity,
                      size_t len, const struct job_header *header,
                      const void *body, size_t size);
void schedule_note(struct schedule *schedule, struct note *note);
void schedule_assign(struct schedule *schedule);
void schedule_tick(struct schedule *schedule);

struct worker *schedule_workers(const struct schedule *schedule);
void schedule_worker_gone(struct schedule *schedule, struct worker *worker,
                          const char *why);

/* A worker that may not be one any more; nothing where there is none. */
void schedule_shut_out(struct schedule *schedule, const void *identity,
                       size_t len);

/* Nothing is handed out any more, and leases of what no worker has are given
 * up. schedule_abandon() gives up the rest. */
void schedule_stop(struct schedule *schedule);
void schedule_abandon(struct schedule *schedule);

/* ---- from any thread --------------------------------------------------- */

/* For jobs_keep() and jobs_released(). */
struct jobs *schedule_jobs(struct schedule *schedule);
struct schedule_stats schedule_stats(struct schedule *schedule);

/* The workers as the admin page lists them, at most a second old; owned. */
json_t *schedule_describe(struct schedule *schedule);

#endif
