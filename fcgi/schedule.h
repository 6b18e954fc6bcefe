/*
 * schedule: which job goes to which worker when, and what happens to it when
 * something goes wrong. Belongs to the dispatch thread, except where it says
 * otherwise; knows no socket.
 *
 * A job's way: QUEUED until a worker that serves its model has a credit;
 * CLAIMING while Redis counts the attempt (and gives the bytes, where they are
 * not in memory); SENT until the worker answers. DONE ends it. FAILED, silence
 * of the worker or too long a time queue it again at its old place, until it
 * had its attempts; then a failed prediction is written (FAILING) and it ends.
 * Every change is driven by a message, a note or the tick, and none of them
 * waits for anything.
 *
 *     schedule_message(schedule, identity, len, &header, body, size);
 *     schedule_note(schedule, note);
 *     schedule_assign(schedule);          after any of these
 *     schedule_tick(schedule);            a few times a second
 *
 * Memory. The queue keeps ids; images of new jobs stay in memory up to
 * keep_bytes (schedule_keep()), others are fetched again when a worker is
 * ready. What is fetched or on its way to a worker is bounded by out_bytes,
 * but for a single larger image.
 */
#ifndef CONVOY_SCHEDULE_H
#define CONVOY_SCHEDULE_H

#include "common/err.h"
#include "common/job.h"
#include "fcgi/catalogue.h"
#include "fcgi/leases.h"
#include "fcgi/mailbox.h"
#include "fcgi/pending.h"
#include "fcgi/waiters.h"
#include "fcgi/workers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct schedule_options {
    int64_t lease_ms;
    int64_t job_timeout_ms; /* a worker that lives has so long for a job */
    int64_t orphan_ms; /* so long a job waits for a worker with its model */
    int attempts_max;
    int pending_max; /* no jobs of others are adopted beyond */
    size_t keep_bytes, out_bytes;
};

/* The socket, as the schedule sees it. */
enum schedule_sent { SCHEDULE_SENT, SCHEDULE_BUSY, SCHEDULE_UNREACHABLE };
struct schedule_link {
    void *context;
    /* Where SENT, the bytes are the link's: it frees them once they are gone
     * and then calls schedule_released(). */
    enum schedule_sent (*send)(void *context, const struct worker *worker,
                               const struct store_job *job);
};

struct schedule_stats {
    int queued, in_flight, pending; /* pending: these and all between */
    int workers;
    int64_t credits;
    double ms_a_job; /* between two answers, while there is work */
};

struct schedule;
struct schedule *schedule_open(const struct schedule_options *options,
                               const struct schedule_link *link,
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

/* Nothing is handed out any more, and leases of what no worker has are given
 * up. schedule_abandon() gives up the rest. */
void schedule_stop(struct schedule *schedule);
void schedule_abandon(struct schedule *schedule);

/* ---- from any thread ---- */

/* True: there is room for so many bytes, which are counted now; they go into
 * the job of a NOTE_SUBMITTED, or back. */
bool schedule_keep(struct schedule *schedule, size_t size);
void schedule_unkeep(struct schedule *schedule, size_t size);
void schedule_released(struct schedule *schedule, size_t size);
struct schedule_stats schedule_stats(struct schedule *schedule);

#endif
