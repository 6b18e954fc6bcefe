/*
 * shelf: the models of a pool, loaded and warmed up.
 *
 *     struct shelf *c = shelf_open("models/zoo", "", 8, &err);
 *     char *json = shelf_advert(c, "host.17", hands, batch);  free(json)
 *     struct classifier_run *run = shelf_run(c, model);
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
#ifndef CONVOY_WORKER_SHELF_H
#define CONVOY_WORKER_SHELF_H

#include "common/err.h"
#include "models/classifier/classifier.h"

#define SHELF_MAX 64 /* models; job.h's bound in an advertisement */

/* NULL where not one model can be served. `default_model` "" is the first. */
struct shelf *shelf_open(const char *models, const char *default_model,
                         int batch_max, struct err *err);
void shelf_free(struct shelf *shelf);

int shelf_count(const struct shelf *shelf);
const struct classifier *shelf_classifier(const struct shelf *shelf, int model);
struct classifier_run *shelf_run(const struct shelf *shelf, int model);

/* What READY says, see job.h; models in the order of their index here. */
char *shelf_advert(const struct shelf *shelf, const char *name, int hands,
                   int batch);

#endif
