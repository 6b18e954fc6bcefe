/*
 * pending: the jobs that this front sees to, by id, and the queue of those
 * that wait for a worker. Belongs to the dispatch thread alone.
 *
 *     struct pending *pending = pending_open();
 *     struct pending_job *job = pending_add(pending, &accepted);
 *     pending_queue(pending, job);
 *
 *     for (struct pending_lane *lane = pending_lanes(pending); lane;
 *          lane = lane->next)
 *         ... lane->version, lane->first ...
 *     pending_take(pending, job);                no longer queued
 *     pending_remove(pending, job);              seen to
 *
 * There is a lane for each model version that something waits for: a worker
 * that serves one model must not be held up by jobs for another. Jobs stand in
 * the order in which they came, also after a failed attempt.
 */
#ifndef CONVOY_PENDING_H
#define CONVOY_PENDING_H

#include "common/store.h"
#include "fcgi/workers.h"

#include <stdbool.h>
#include <stdint.h>

enum pending_state {
    PENDING_IDLE,     /* just added, or taken out of the queue */
    PENDING_QUEUED,   /* waits for a credit */
    PENDING_CLAIMING, /* leases has been asked to count the attempt */
    PENDING_SENT,     /* at a worker */
    PENDING_FAILING,  /* leases has been asked to write its failure */
};

struct pending_job {
    struct store_job job; /* bytes: owned, or NULL where only Redis has them */
    enum pending_state state;
    bool claimed; /* QUEUED: its attempt is counted and its bytes are here */
    bool kept;    /* held are bytes of the submission, not of a claim */
    size_t held;  /* bytes that are counted for it, see jobs.h */
    bool retry;   /* FAILING: to be asked again */
    struct worker *worker; /* CLAIMING (NULL: it has gone meanwhile), SENT */
    int64_t since_ms;      /* clock_ms() of the last change of state */
    int64_t added_ms;
    int64_t deadline_ms; /* clock_ms() at which it ends, answered or not */
    char reason[200];    /* why the last attempt failed */
    /* pending.c's own */
    uint64_t serial;
    struct pending_job *chain;       /* same bucket */
    struct pending_job *prev, *next; /* in its lane */
    struct pending_job *older, *newer;
};

struct pending_lane {
    char version[ID_VERSION_LEN + 1];
    struct pending_job *first, *last;
    struct pending_lane *next;
};

struct pending;
struct pending *pending_open(void); /* NULL: out of memory */
void pending_close(struct pending *pending);

/* Moves the job in (its bytes change hands); NULL where it is there already or
 * memory has run out: the job is then as it was. */
struct pending_job *pending_add(struct pending *pending, struct store_job *job);
struct pending_job *pending_find(const struct pending *pending,
                                 const struct id *id);
void pending_remove(struct pending *pending, struct pending_job *job);

/* -1: out of memory for a lane; the job is then IDLE. */
int pending_queue(struct pending *pending, struct pending_job *job);
void pending_take(struct pending *pending, struct pending_job *job);
struct pending_lane *pending_lanes(const struct pending *pending);

/* Oldest first; next is job->newer. */
struct pending_job *pending_oldest(const struct pending *pending);
int pending_count(const struct pending *pending);
int pending_queued(const struct pending *pending);

/* All ids, to be freed; NULL where there are none or memory has run out. */
struct id *pending_ids(const struct pending *pending, int *count);

#endif
