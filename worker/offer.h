/*
 * offer: what a worker serves, put together from what its nurseries hold. Pure.
 *
 *     const struct job_advert *adverts[] = {newest, older};
 *     struct offer offer;
 *     offer_compose(adverts, 2, refused, refused_count, "birds", &offer);
 *     offer.models[i].source, .index          which nursery's which model
 *
 * A name is served by the newest nursery. What only an older one has is
 *
 *   - current still, where the newest folder of that name was refused: the old
 *     model goes on;
 *   - else retiring: it was replaced or taken away, and finishes the jobs that
 *     were accepted for it.
 */
#ifndef CONVOY_WORKER_OFFER_H
#define CONVOY_WORKER_OFFER_H

#include "common/job.h"

struct offer_model {
    struct job_model model; /* retiring and default as offered; the labels are
                               the source's and go with it */
    int source, index;
};
struct offer {
    struct offer_model models[JOB_MODELS_MAX];
    int count;
};

/* `adverts` are newest first; they are to outlive offer_encode(). The default
 * model is the current one named so, else the newest nursery's. */
void offer_compose(const struct job_advert *const *adverts, int count,
                   const struct job_refusal *refused, int refused_count,
                   const char *default_name, struct offer *offer);

/* Would `advert`, as that of the newest nursery, make it another offer? */
bool offer_changes(const struct offer *offer, const struct job_advert *advert,
                   const struct job_refusal *refused, int refused_count);

/* The model that is called so now; NULL: there is none. */
const struct offer_model *offer_current(const struct offer *offer,
                                        const char *name);

/* -1: there is none of that version. */
int offer_find(const struct offer *offer, const char *version);

/* What READY says: the offer, and of `head` all but its models. Caller frees;
 * NULL: out of memory. */
char *offer_encode(const struct offer *offer, const struct job_advert *head);

#endif
