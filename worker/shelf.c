#include "worker/shelf.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/prediction.h"
#include "worker/stock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct shelf {
    int count, default_model;
    struct {
        struct classifier *classifier;
        struct classifier_run *run;
        int64_t placed_ms; /* see stock.h */
    } models[SHELF_MAX];
    struct job_refusal refused[JOB_MODELS_MAX];
    int refused_count;
};

/* ---- warming up ---------------------------------------------------------- */

static int warm_up(struct classifier_run *run, int batch_max, struct err *err) {
    enum { SIDE = 40 };
    uint8_t grey[SIDE * SIDE * 3];
    memset(grey, 128, sizeof grey);
    const uint8_t **images = calloc((size_t)batch_max, sizeof *images);
    struct classification *out = calloc((size_t)batch_max, sizeof *out);
    int status = 0;
    if (images && out) {
        for (int i = 0; i < batch_max; i++)
            images[i] = grey;
        classifier_run_pixels(run, images, SIDE, SIDE, batch_max, 1, out);
        if (out[0].failed)
            status = err_set(err, "does not run: %s", out[0].err.text);
    } else {
        status = err_set(err, "no memory to warm up");
    }
    free(images);
    free(out);
    return status;
}

/* The first document seeds the hash tables of JSON objects from a file, and
 * the first date reads the time zone. */
static void warm_up_encoding(void) {
    struct prediction p = {.succeeded = true};
    free(prediction_encode(&p));
}

/* ---- loading ------------------------------------------------------------- */

static int check_name(const struct shelf *c,
                      const struct classifier *classifier, struct err *err) {
    const char *name = classifier_name(classifier);
    if (!job_name_valid(name))
        return err_set(err,
                       "the folder's name becomes the model's and may have 1 "
                       "to 127 of A-Z a-z 0-9 . _ - only; rename it");
    for (int i = 0; i < c->count; i++)
        if (strcmp(classifier_name(c->models[i].classifier), name) == 0)
            return err_set(err, "there is another model named %s", name);
    if (c->count == SHELF_MAX)
        return err_set(err, "a worker serves at most %d models", SHELF_MAX);
    return 0;
}

static void unload(struct shelf *c, int i) {
    classifier_run_close(c->models[i].run);
    classifier_free(c->models[i].classifier);
}

static int load(struct shelf *c, const char *path, int batch_max,
                struct err *err) {
    double start = clock_seconds();
    struct classifier_run *run = NULL;
    struct classifier *classifier = classifier_load(path, err);
    if (!classifier)
        return -1;
    if (check_name(c, classifier, err) < 0)
        goto fail;
    run = classifier_run_open(classifier, batch_max, err);
    if (!run || warm_up(run, batch_max, err) < 0)
        goto fail;
    c->models[c->count].classifier = classifier;
    c->models[c->count++].run = run;
    log_event(LOG_INFO, "model-loaded", "model", classifier_name(classifier),
              "version", classifier_version(classifier), "labels",
              log_number(classifier_classes(classifier), 0), "seconds",
              log_number(clock_seconds() - start, 3), NULL);
    return 0;
fail:
    classifier_run_close(run);
    classifier_free(classifier);
    return -1;
}

/* The log and the advertisement say why. */
static void refuse(struct shelf *c, const char *path, const char *reason) {
    struct job_refusal *refusal = &c->refused[c->refused_count];
    char name[128];
    stock_name(path, name);
    log_event(LOG_ERROR, "model-not-loaded", "folder", path, "reason", reason,
              NULL);
    if (c->refused_count == JOB_MODELS_MAX)
        return;
    refusal->folder = strdup(name);
    refusal->reason = strdup(reason);
    if (refusal->folder && refusal->reason)
        c->refused_count++;
}

static void load_or_refuse(struct shelf *c, const char *path, int batch_max) {
    struct err err = {0};
    struct stock_mark mark = stock_mark(path);
    if (load(c, path, batch_max, &err) < 0) {
        refuse(c, path, err.text);
    } else if (stock_mark(path).value != mark.value) {
        unload(c, --c->count);
        refuse(c, path,
               "its files changed while they were read; it is looked "
               "at again once they stand still");
    } else {
        c->models[c->count - 1].placed_ms = mark.placed_ms;
    }
}

static void choose_default(struct shelf *c, const char *name) {
    for (int i = 0; *name && i < c->count; i++)
        if (strcmp(classifier_name(c->models[i].classifier), name) == 0) {
            c->default_model = i;
            return;
        }
    if (!*name || c->count == 0)
        return;
    while (c->count > 0)
        unload(c, --c->count);
    refuse(c, name,
           "--default-model names it, and no model of that name is "
           "loaded");
}

struct shelf *shelf_open(const char *models, const char *default_model,
                         int batch_max, struct err *err) {
    struct shelf *c = calloc(1, sizeof *c);
    struct stock *stock = c ? stock_list(models, err) : NULL;
    if (!stock) {
        shelf_free(c);
        return NULL;
    }
    for (int i = 0; i < stock->count; i++)
        load_or_refuse(c, stock->paths[i], batch_max);
    stock_free(stock);
    choose_default(c, default_model);
    warm_up_encoding();
    return c;
}

void shelf_free(struct shelf *c) {
    for (int i = 0; c && i < c->count; i++)
        unload(c, i);
    for (int i = 0; c && i < c->refused_count; i++) {
        free(c->refused[i].folder);
        free(c->refused[i].reason);
    }
    free(c);
}

/* ---- asking -------------------------------------------------------------- */

int shelf_count(const struct shelf *c) {
    return c->count;
}

const struct classifier *shelf_classifier(const struct shelf *c, int model) {
    return c->models[model].classifier;
}

struct classifier_run *shelf_run(const struct shelf *c, int model) {
    return c->models[model].run;
}

static int describe(const struct classifier *classifier,
                    struct job_model *model) {
    int count = classifier_classes(classifier);
    snprintf(model->name, sizeof model->name, "%s",
             classifier_name(classifier));
    snprintf(model->version, sizeof model->version, "%s",
             classifier_version(classifier));
    model->width = classifier_width(classifier);
    model->height = classifier_height(classifier);
    model->explainable = classifier_explainable(classifier);
    model->labels = calloc((size_t)count, sizeof *model->labels);
    if (!model->labels)
        return -1;
    for (int i = 0; i < count; i++) {
        model->labels[i] = strdup(classifier_label(classifier, i));
        if (!model->labels[i])
            return -1;
        model->label_count++;
    }
    return 0;
}

char *shelf_advert(const struct shelf *c, const char *name, int hands,
                   int batch) {
    struct job_advert advert = {.hands = hands, .batch = batch};
    char *json = NULL;
    bool whole = true;
    snprintf(advert.name, sizeof advert.name, "%s", name);
    advert.models = calloc((size_t)c->count + 1, sizeof *advert.models);
    for (int i = 0; advert.models && whole && i < c->count; i++) {
        advert.model_count++;
        whole = describe(c->models[i].classifier, &advert.models[i]) == 0;
        advert.models[i].is_default = i == c->default_model;
        advert.models[i].placed_ms = c->models[i].placed_ms;
    }
    advert.refused = (struct job_refusal *)c->refused; /* lent */
    advert.refused_count = c->refused_count;
    if (advert.models && whole)
        json = job_advert_encode(&advert);
    advert.refused = NULL;
    advert.refused_count = 0;
    job_advert_free(&advert);
    return json;
}
