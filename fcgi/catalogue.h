/*
 * catalogue: the models that the workers advertise. The front has no model
 * file itself: names, labels and versions are known from here.
 *
 *     catalogue_add(catalogue, &advert);        a worker is there
 *     catalogue_drop(catalogue, &advert);       it is gone
 *     catalogue_forget(catalogue, &advert);     or has other models now
 *
 *     struct catalogue_model model;
 *     switch (catalogue_find(catalogue, "resnet", &model)) {
 *     case CATALOGUE_UNKNOWN: ... 404
 *     case CATALOGUE_FOUND: ... model.version; model.workers may be 0: then
 *                               what is stored is answered, nothing else
 *     }
 *
 * While a new version of a model is rolled out there are workers of both. The
 * name then stands for the version whose files were put in place last, of those
 * that a ready worker holds (by the clocks of the workers' hosts; where those
 * agree to the millisecond, for the greater version), so that all fronts choose
 * alike, also one that has just started. A version that its worker calls
 * retiring is only finished there: the name does not stand for it. A model
 * whose last worker has gone is kept, so that its cached answers are; it goes
 * once a newer version of it has come, or a worker that had it goes on without
 * it: its folder was taken away. Safe from any thread.
 */
#ifndef CONVOY_CATALOGUE_H
#define CONVOY_CATALOGUE_H

#include "common/job.h"

#include <stdbool.h>

#include <jansson.h>

struct catalogue;
struct catalogue_model {
    char name[128];
    char version[ID_VERSION_LEN + 1];
    int workers; /* that serve it, other than retiring */
};

struct catalogue *catalogue_open(void); /* NULL: out of memory */
void catalogue_close(struct catalogue *catalogue);

/* Names and versions are the advert's; labels are copied where new. */
int catalogue_add(struct catalogue *catalogue, const struct job_advert *advert,
                  struct err *err);
void catalogue_drop(struct catalogue *catalogue,
                    const struct job_advert *advert);

/* Those of its models that no worker holds any more. */
void catalogue_forget(struct catalogue *catalogue,
                      const struct job_advert *advert);

enum catalogue_answer {
    CATALOGUE_EMPTY, /* no worker has been seen yet: nothing is known */
    CATALOGUE_UNKNOWN,
    CATALOGUE_FOUND,
};

/* "" is the default model: of those that a worker calls so, else of all, and of
 * these of the served ones, the first by name. The default does not change
 * because its workers are away for a moment. */
enum catalogue_answer catalogue_find(struct catalogue *catalogue,
                                     const char *name,
                                     struct catalogue_model *model);

/* The name of that version; false (and "") where it is unknown. */
bool catalogue_name(struct catalogue *catalogue, const char *version,
                    char name[128]);

/* As the API lists it: the current version of all models, or one; NULL:
 * unknown. */
json_t *catalogue_list(struct catalogue *catalogue);
json_t *catalogue_versions(struct catalogue *catalogue); /* an array of all */
json_t *catalogue_describe(struct catalogue *catalogue, const char *name);

#endif
