/*
 * dispatch: the front's thread that talks to the workers, over one ROUTER.
 *
 *     struct dispatch_options options = {.endpoints = "ipc://jobs.sock", ...};
 *     struct dispatch *dispatch =
 *         dispatch_open(&options, catalogue, waiters, &err);
 *     dispatch_submit(dispatch, &job);      store_accept() has accepted it
 *     dispatch_orphan(dispatch, &id);       pending, but nobody sees to it
 *     struct schedule_stats stats = dispatch_stats(dispatch);
 *     dispatch_close(dispatch);             what workers have may end; leases
 *                                           of the rest are given up
 *
 * What goes over the socket is in common/job.h, what is decided in
 * schedule.h. Safe from any thread, but for open and close.
 */
#ifndef CONVOY_DISPATCH_H
#define CONVOY_DISPATCH_H

#include "common/curve.h"
#include "fcgi/schedule.h"

struct dispatch_options {
    const char *endpoints; /* to bind, separated by commas; a Unix socket is
                              for workers of the same user alone */
    const struct curve_pair *key; /* or NULL, then workers need none */
    const char *workers; /* file with the keys of theirs, see guard.h */
    bool plain_tcp;      /* without keys also beyond this machine */
    const char *redis;
    int64_t sweep_ms;
    int64_t stop_ms; /* so long dispatch_close() waits for workers */
    struct schedule_options schedule;
};

struct dispatch;
struct dispatch *dispatch_open(const struct dispatch_options *options,
                               struct catalogue *catalogue,
                               struct waiters *waiters, struct err *err);
void dispatch_close(struct dispatch *dispatch);

/* The bytes are borrowed: copied where memory is set aside for that, else
 * fetched from Redis later. */
void dispatch_submit(struct dispatch *dispatch, const struct store_job *job);
void dispatch_orphan(struct dispatch *dispatch, const struct id *id);
struct schedule_stats dispatch_stats(struct dispatch *dispatch);
json_t *dispatch_workers(struct dispatch *dispatch); /* a new reference */

#endif
