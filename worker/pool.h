/*
 * pool: the nursery and its hands kept alive, whatever dies, and what that
 * means for the work they had.
 *
 *     struct pool *pool = pool_open(&settings, argv, &err);
 *     count = pool_watch(pool, fds);               poll(), then
 *     pool_serve(pool, fds, now, &outcome);        each time round the loop
 *     pool_give(pool, tasks, count, now);          to a free hand
 *
 * A hand that dies is replaced at once. What it had in work is tried again
 * image by image, on its own: whichever image it was, it costs the others
 * nothing. An image under which a hand dies that had nothing else in work fails
 * this time. A hand at work for longer than --job-timeout is killed, which is
 * then the same. Where the nursery dies its hands go with it; it is started
 * again, and nobody is to blame until the third time.
 */
#ifndef CONVOY_WORKER_POOL_H
#define CONVOY_WORKER_POOL_H

#include "worker/roster.h"
#include "worker/settings.h"

/* Starts the nursery; both arguments are borrowed for good. */
struct pool *pool_open(const struct settings *settings, char *const *argv,
                       struct err *err);
void pool_close(struct pool *pool);

/* At most POOL_FDS(settings->hands). */
#define POOL_FDS(hands) ((hands) + 1)
int pool_watch(const struct pool *pool, struct pollfd *fds);

struct pool_outcome {
    struct task_list answered; /* or failed, as task->answer says */
    struct task_list retry;    /* to be tried again, before others */
    bool new_models;           /* pool_advert() is another one */
};

/* 0, or -1 where the pool never came to life: no model can be loaded. */
int pool_serve(struct pool *pool, const struct pollfd *fds, int64_t now_ms,
               struct pool_outcome *outcome, struct err *err);

/* When pool_serve() is to be called next at the latest, monotonic ms. */
int64_t pool_deadline(const struct pool *pool, int64_t now_ms);

/* 0 where no hand is free. Takes the tasks over. */
int pool_give(struct pool *pool, struct task *const *tasks, int count,
              int64_t now_ms);

struct roster_counts pool_count(const struct pool *pool);
int pool_deaths(const struct pool *pool); /* of hands, so far */

/* The nursery's advertisement; NULL: none yet. */
const struct job_advert *pool_advert(const struct pool *pool);
const char *pool_advert_text(const struct pool *pool);

/* The model of that version; -1: there is none. */
int pool_find_model(const struct pool *pool, const char *version);

#endif
