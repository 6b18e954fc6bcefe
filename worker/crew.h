/*
 * crew: the nursery and its hands kept alive, whatever dies, and what that
 * means for the work they had.
 *
 *     struct crew *crew = crew_open(&settings, argv, &err);
 *     count = crew_watch(crew, fds);               poll(), then
 *     crew_serve(crew, fds, now, &outcome);        each time round the loop
 *     crew_give(crew, tasks, count, now);          to a free hand
 *
 * A hand that dies is replaced at once. What it had in work is tried again
 * image by image, on its own: whichever image it was, it costs the others
 * nothing. An image under which a hand dies that had nothing else in work fails
 * this time. A hand at work for longer than --job-timeout is killed, which is
 * then the same. Where the nursery dies its hands go with it; it is started
 * again, and nobody is to blame until the third time.
 */
#ifndef CONVOY_WORKER_CREW_H
#define CONVOY_WORKER_CREW_H

#include "worker/roster.h"
#include "worker/settings.h"

/* Starts the nursery; both arguments are borrowed for good. */
struct crew *crew_open(const struct settings *settings, char *const *argv,
                       struct err *err);
void crew_close(struct crew *crew);

/* At most CREW_FDS(settings->hands). */
#define CREW_FDS(hands) ((hands) + 1)
int crew_watch(const struct crew *crew, struct pollfd *fds);

struct crew_outcome {
    struct task_list answered; /* or failed, as task->answer says */
    struct task_list retry;    /* to be tried again, before others */
    bool new_models;           /* crew_advert() is another one */
};

/* 0, or -1 where the crew never came to life: no model can be loaded. */
int crew_serve(struct crew *crew, const struct pollfd *fds, int64_t now_ms,
               struct crew_outcome *outcome, struct err *err);

/* When crew_serve() is to be called next at the latest, monotonic ms. */
int64_t crew_deadline(const struct crew *crew, int64_t now_ms);

/* 0 where no hand is free. Takes the tasks over. */
int crew_give(struct crew *crew, struct task *const *tasks, int count,
              int64_t now_ms);

struct roster_counts crew_count(const struct crew *crew);
int crew_deaths(const struct crew *crew); /* of hands, so far */

/* The nursery's advertisement; NULL: none yet. */
const struct job_advert *crew_advert(const struct crew *crew);
const char *crew_advert_text(const struct crew *crew);

/* The model of that version; -1: there is none. */
int crew_find_model(const struct crew *crew, const char *version);

#endif
