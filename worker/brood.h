/*
 * brood: a nursery and the hands it forked, with the models it loaded; from its
 * start to its end, which is for good: crew.h has another one started.
 *
 *     struct brood *brood = brood_open(&settings, argv, &err);
 *     count = brood_watch(brood, fds);                     poll(), then
 *     if (brood_serve(brood, fds, now, &outcome, &err) < 0)
 *         ... it has ended, err says how; the outcome has what it had in work
 *     brood_give(brood, model, tasks, count, now);         to a free hand
 *     brood_close(brood);
 *
 * A hand that dies is replaced at once. What it had in work is tried again
 * image by image, on its own: whichever image it was, it costs the others
 * nothing. An image under which a hand dies that had nothing else in work fails
 * this time. A hand at work for longer than --job-timeout is killed, which is
 * then the same. Where the nursery dies its hands go with it, and nobody is to
 * blame until the third time.
 */
#ifndef CONVOY_WORKER_BROOD_H
#define CONVOY_WORKER_BROOD_H

#include "worker/roster.h"
#include "worker/settings.h"

/* Starts the nursery; both arguments are borrowed. */
struct brood *brood_open(const struct settings *settings, char *const *argv,
                         struct err *err);

/* Ends it at once, and frees the tasks that it has in work. */
void brood_close(struct brood *brood);

/* Up to BROOD_FDS(settings->hands). */
#define BROOD_FDS(hands) ((hands) + 1)
int brood_watch(const struct brood *brood, struct pollfd *fds);

struct brood_outcome {
    struct task_list answered; /* or failed, as task->answer says */
    struct task_list retry;    /* to be tried again, before others */
};

/* Adds to the outcome; -1 once. fds as brood_watch() filled them. */
int brood_serve(struct brood *brood, const struct pollfd *fds, int64_t now_ms,
                struct brood_outcome *outcome, struct err *err);

/* When brood_serve() is to be called next at the latest, monotonic ms. */
int64_t brood_deadline(const struct brood *brood, int64_t now_ms);

/* `model` is an index in the advertisement. 0 where no hand is free. Takes the
 * tasks over. */
int brood_give(struct brood *brood, int model, struct task *const *tasks,
               int count, int64_t now_ms);

struct roster_counts brood_count(const struct brood *brood);
int brood_deaths(const struct brood *brood); /* of hands, so far */

/* What it loaded and what it refused; NULL: it has not come to that. Without
 * models it ends by itself. The refusals may be moved out of it. */
struct job_advert *brood_advert(struct brood *brood);

/* The models are warm and a hand has come up: it can take work. */
bool brood_is_ready(const struct brood *brood);

#endif
