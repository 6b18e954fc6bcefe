/*
 * crew: who does the work, kept alive, whatever dies, and kept up to date,
 * whatever becomes of the model folders.
 *
 *     struct crew *crew = crew_open(&settings, argv, &err);
 *     count = crew_watch(crew, fds);               poll(), then
 *     crew_serve(crew, fds, now, &outcome, &err);  each time round the loop
 *     crew_give(crew, tasks, count, now);          to a free hand
 *     crew_reload(crew);                           the folders have changed
 *
 * There is one brood (brood.h): a nursery with the models, and its hands. When
 * the folders have changed another is started beside it, which loads them all.
 * Once its models are warm and a hand of it waits, it takes over what it has,
 * and the older one finishes what was accepted for versions that it alone has;
 * it goes when no such job has come for --retire-after. Until then the front
 * is told of these versions as retiring (offer.h). A folder that is refused
 * changes nothing: an older brood that has a model of its name keeps it.
 *
 * However many broods there are, no more than --hands hands work at a time.
 *
 * When the newest brood dies it is started again, and what is advertised stays:
 * its work waits.
 */
#ifndef CONVOY_WORKER_CREW_H
#define CONVOY_WORKER_CREW_H

#include "worker/brood.h"
#include "worker/offer.h"

/* Starts the nursery; both arguments are borrowed for good. */
struct crew *crew_open(const struct settings *settings, char *const *argv,
                       struct err *err);
void crew_close(struct crew *crew);

#define CREW_BROODS_MAX 5 /* the one that loads, and those that serve */
/* At most CREW_FDS(settings->hands). */
#define CREW_FDS(hands) (CREW_BROODS_MAX * BROOD_FDS(hands))
int crew_watch(const struct crew *crew, struct pollfd *fds);

struct crew_outcome {
    struct brood_outcome tasks;
    bool new_models; /* crew_advert_text() is another one, and so are the
                        numbers of models */
};

/* 0, or -1 where the crew never came to life: no model can be loaded. */
int crew_serve(struct crew *crew, const struct pollfd *fds, int64_t now_ms,
               struct crew_outcome *outcome, struct err *err);

/* When crew_serve() is to be called next at the latest, monotonic ms. */
int64_t crew_deadline(const struct crew *crew, int64_t now_ms);

/* Loads all models anew, beside those that serve. */
void crew_reload(struct crew *crew);

/* The number of a model of that version; -1: there is none. */
int crew_find_model(const struct crew *crew, const char *version);

/* How many hands could take a batch of each model now. */
void crew_idle(const struct crew *crew, int idle[JOB_MODELS_MAX]);

/* A batch of one model: 0 where no hand of its is free. Takes the tasks over.
 */
int crew_give(struct crew *crew, struct task *const *tasks, int count,
              int64_t now_ms);

struct roster_counts crew_count(const struct crew *crew);
int crew_deaths(const struct crew *crew); /* of hands, so far */

/* What is served and what was refused, as READY says it; NULL: none yet. */
const char *crew_advert_text(const struct crew *crew);
const struct offer *crew_offer(const struct crew *crew);
const struct job_refusal *crew_refused(const struct crew *crew, int *count);

#endif
