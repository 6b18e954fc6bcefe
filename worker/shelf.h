/*
 * shelf: the models of a pool, loaded and warmed up.
 *
 *     struct shelf *c = shelf_open("models/zoo", "", 8, &err);
 *     char *json = shelf_advert(c, "host.17", hands, batch);  free(json)
 *     struct classifier_run *run = shelf_run(c, model);
 *
 * `models` is a list as of stock.h. A model that cannot be loaded, or whose
 * files change while they are read, is logged with its folder and the reason,
 * left out, and named among the advertisement's refusals; so is one whose
 * labels would make that larger than a front accepts (job.h).
 *
 * Warming up runs every model once at the full batch, so that a process forked
 * afterwards finds everything in place that is made on first use: it meets no
 * lazy file access in its sandbox, and shares what it does not write.
 */
#ifndef CONVOY_WORKER_SHELF_H
#define CONVOY_WORKER_SHELF_H

#include "common/err.h"
#include "common/job.h"
#include "models/classifier/classifier.h"

#define SHELF_MAX JOB_MODELS_MAX

/* `default_model` "" is the first; where another is not among the models,
 * nothing is served. shelf_count() is then 0, as where no model can be loaded,
 * and the refusals say why. NULL: out of memory. */
struct shelf *shelf_open(const char *models, const char *default_model,
                         int batch_max, struct err *err);
void shelf_free(struct shelf *shelf);

int shelf_count(const struct shelf *shelf);
const struct classifier *shelf_classifier(const struct shelf *shelf, int model);
struct classifier_run *shelf_run(const struct shelf *shelf, int model);

/* A model without activation maps is there once more, right behind itself, as
 * NAME-explained: the same classifier, to be run by classifier_run_explain(),
 * at fifty times the cost. */
const char *shelf_name(const struct shelf *shelf, int model);
bool shelf_explained(const struct shelf *shelf, int model);

/* What READY says, see job.h; models in the order of their index here. */
char *shelf_advert(const struct shelf *shelf, const char *name, int hands,
                   int batch);

#endif
