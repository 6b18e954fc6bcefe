/*
 * jobs: what happens to one job: every change of its state, and the memory that
 * its image takes. When that is, and which worker it is, schedule.c decides;
 * this is its other half and belongs to the same thread.
 *
 * A job's way: QUEUED until a worker that serves its model has a credit;
 * CLAIMING while Redis counts the attempt (and gives the bytes, where they are
 * not in memory); SENT until the worker answers. jobs_end() ends it. After
 * jobs_retry() it is queued again at its old place, or, when it had its
 * attempts, a failed prediction is written (FAILING) and it ends. So it does at
 * its deadline, wherever it is: counted from when it was accepted, over all
 * fronts and starts, so that nothing is owed for ever.
 *
 * Memory. The queue keeps ids; images of new jobs stay in memory up to
 * keep_bytes (jobs_keep()), others are fetched again when a worker is ready.
 * What is fetched or on its way to a worker is bounded by out_bytes, but for a
 * single larger image. The two are counted apart, so that what waits can never
 * keep what is to go from going.
 */
#ifndef CONVOY_JOBS_H
#define CONVOY_JOBS_H

#include "fcgi/catalogue.h"
#include "fcgi/leases.h"
#include "fcgi/metrics.h"
#include "fcgi/pending.h"
#include "fcgi/waiters.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The socket, as jobs see it. */
enum jobs_sent { JOBS_SENT, JOBS_BUSY, JOBS_UNREACHABLE };
struct jobs_link {
    void *context;
    /* Where SENT, the bytes are the link's: it frees them once they are gone
     * and then calls jobs_released(). */
    enum jobs_sent (*send)(void *context, const struct worker *worker,
                           const struct store_job *job);
};

struct jobs {
    int attempts_max;
    int64_t worker_ms, orphan_ms, deadline_ms; /* see schedule.h */
    size_t keep_bytes, out_bytes;
    struct jobs_link link;
    struct leases *leases;
    struct catalogue *catalogue;
    struct waiters *waiters;
    struct pending *pending;
    struct metrics *metrics;
    int in_flight;
    int64_t paused_until_ms; /* Redis or a socket refused: not so fast */
    atomic_size_t kept, out; /* bytes: of queued jobs, on their way */
};

/* A job that is ours from now on; NULL where it was already, or memory has run
 * out: its bytes are then where they were. */
struct pending_job *jobs_add(struct jobs *jobs, struct store_job *job);

void jobs_queue(struct jobs *jobs, struct pending_job *job);
void jobs_end(struct jobs *jobs, struct pending_job *job);

/* An attempt has come to nothing. */
void jobs_retry(struct jobs *jobs, struct pending_job *job,
                enum metrics_retry why, const char *reason);

/* No more attempts: job->reason says why. */
void jobs_give_up(struct jobs *jobs, struct pending_job *job);
void jobs_ask_failure(struct jobs *jobs, struct pending_job *job);

/* Takes a credit of the worker; asks for the claim, or sends what is claimed
 * already. UNREACHABLE: it is queued again, and the worker is gone. */
enum jobs_sent jobs_hand_out(struct jobs *jobs, struct pending_job *job,
                             struct worker *worker);
enum jobs_sent jobs_claimed(struct jobs *jobs, struct pending_job *job,
                            struct note *note);

/* A few times a second: whether it has had its time. `served`: some worker has
 * its model. */
void jobs_check(struct jobs *jobs, struct pending_job *job, bool served);

/* A claim has come to nothing: no attempt was made. */
void jobs_unclaim(struct jobs *jobs, struct pending_job *job);

/* May its image be on its way, too? */
bool jobs_fit(struct jobs *jobs, const struct pending_job *job);

/* Leases of all jobs, or of some ids (which are taken over). */
void jobs_renew(struct jobs *jobs, int64_t lease_ms);
void jobs_renew_ids(struct jobs *jobs, struct id *ids, int count,
                    int64_t lease_ms);

/* ---- from any thread --------------------------------------------------- */

/* True: there is room for so many bytes, which are counted now; they go into
 * the job of a NOTE_SUBMITTED, or back. */
bool jobs_keep(struct jobs *jobs, size_t size);
void jobs_unkeep(struct jobs *jobs, size_t size);
void jobs_released(struct jobs *jobs, size_t size);

#endif
