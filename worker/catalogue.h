/*
 * catalogue: the models of a pool, loaded and warmed up.
 *
 *     struct catalogue *c = catalogue_open("models/zoo", "", 8, &err);
 *     char *json = catalogue_advert(c, "host.17", hands, batch);  free(json)
 *     struct classifier_run *run = catalogue_run(c, model);
 *
 * `models` is a list of folders with commas between; each is a model folder
 * (or an .onnx file), or a folder of model folders, which are taken in the
 * order of their names. A model that cannot be loaded is logged with its folder
 * and the reason, and left out.
 *
 * Warming up runs every model once at the full batch, so that a process forked
 * afterwards finds everything in place that is made on first use: it meets no
 * lazy file access in its sandbox, and shares what it does not write.
 */
#ifndef CONVOY_WORKER_CATALOGUE_H
#define CONVOY_WORKER_CATALOGUE_H

#include "common/err.h"
#include "models/classifier/classifier.h"

#define CATALOGUE_MAX 64 /* models; job.h's bound in an advertisement */

/* NULL where not one model can be served. `default_model` "" is the first. */
struct catalogue *catalogue_open(const char *models, const char *default_model,
                                 int batch_max, struct err *err);
void catalogue_free(struct catalogue *catalogue);

int catalogue_count(const struct catalogue *catalogue);
const struct classifier *catalogue_classifier(const struct catalogue *catalogue,
                                              int model);
struct classifier_run *catalogue_run(const struct catalogue *catalogue,
                                     int model);

/* What READY says, see job.h; models in the order of their index here. */
char *catalogue_advert(const struct catalogue *catalogue, const char *name,
                       int hands, int batch);

#endif
