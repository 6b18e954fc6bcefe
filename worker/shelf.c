#include "worker/shelf.h"

#include "common/clock.h"
#include "common/digest.h"
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
        bool explained;    /* the variant of the model before it, which owns
                              classifier and run */
        char name[128];
        char version[CLASSIFIER_VERSION_LEN + 1];
    } models[SHELF_MAX];
    size_t advert_size; /* bytes that these models have in it */
    struct job_refusal refused[JOB_MODELS_MAX];
    int refused_count;
};

/* What models may take of the advertisement: while new ones replace old ones it
 * has both, and refusals need some of it. */
#define ADVERT_ROOM ((JOB_ADVERT_MAX >> 1) - (1u << 20))

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

/* ---- advertising --------------------------------------------------------- */

static int describe_model(const struct shelf *c, int at,
                          struct job_model *model) {
    const struct classifier *classifier = c->models[at].classifier;
    bool explained = c->models[at].explained;
    int count = classifier_classes(classifier);
    snprintf(model->name, sizeof model->name, "%s", c->models[at].name);
    snprintf(model->version, sizeof model->version, "%s",
             c->models[at].version);
    if (explained)
        snprintf(model->explains, sizeof model->explains, "%s",
                 classifier_name(classifier));
    model->width = classifier_width(classifier);
    model->height = classifier_height(classifier);
    model->explainable = explained || classifier_explainable(classifier);
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

/* The models from `first` on. */
static int describe(const struct shelf *c, int first,
                    struct job_advert *advert) {
    advert->models =
        calloc((size_t)(c->count - first) + 1, sizeof *advert->models);
    if (!advert->models)
        return -1;
    for (int i = first; i < c->count; i++) {
        struct job_model *model = &advert->models[advert->model_count++];
        if (describe_model(c, i, model) < 0)
            return -1;
        model->is_default = i == c->default_model;
        model->placed_ms = c->models[i].placed_ms;
    }
    return 0;
}

/* How long that is in the advertisement; 0: no memory. */
static size_t measure(const struct shelf *c, int first) {
    struct job_advert advert = {.hands = 1, .batch = 1};
    char *json =
        describe(c, first, &advert) == 0 ? job_advert_encode(&advert) : NULL;
    size_t size = json ? strlen(json) : 0;
    free(json);
    job_advert_free(&advert);
    return size;
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
        if (strcmp(c->models[i].name, name) == 0)
            return err_set(err, "there is another model named %s", name);
    if (c->count == SHELF_MAX)
        return err_set(err, "a worker serves at most %d models", SHELF_MAX);
    return 0;
}

static void unload_last(struct shelf *c) {
    int i = --c->count;
    if (!c->models[i].explained) {
        classifier_run_close(c->models[i].run);
        classifier_free(c->models[i].classifier);
    }
}

static void shelve(struct shelf *c, struct classifier *classifier,
                   struct classifier_run *run) {
    int i = c->count++;
    c->models[i].classifier = classifier;
    c->models[i].run = run;
    c->models[i].explained = false;
    snprintf(c->models[i].name, sizeof c->models[i].name, "%s",
             classifier_name(classifier));
    snprintf(c->models[i].version, sizeof c->models[i].version, "%s",
             classifier_version(classifier));
}

/* A model without activation maps is there a second time, under a name and
 * version of its own: so it costs nobody anything who does not ask for it, and
 * its answers are kept apart. */
static void shelve_explained(struct shelf *c) {
    int i = c->count, model = i - 1;
    char hex[DIGEST_HEX], name[256];
    snprintf(name, sizeof name, "%s-explained", c->models[model].name);
    if (classifier_explainable(c->models[model].classifier) || i == SHELF_MAX ||
        !job_name_valid(name))
        return;
    c->models[i] = c->models[model];
    c->models[i].explained = true;
    memcpy(c->models[i].name, name, strlen(name) + 1);
    digest_sha256_hex(c->models[model].version, CLASSIFIER_VERSION_LEN, hex);
    memcpy(c->models[i].version, hex, CLASSIFIER_VERSION_LEN);
    c->count++;
}

static int load(struct shelf *c, const char *path, int batch_max,
                struct err *err) {
    struct classifier_run *run = NULL;
    struct classifier *classifier = classifier_load(path, err);
    if (!classifier)
        return -1;
    if (check_name(c, classifier, err) < 0)
        goto fail;
    run = classifier_run_open(classifier, batch_max, err);
    if (!run || warm_up(run, batch_max, err) < 0)
        goto fail;
    shelve(c, classifier, run);
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

/* What cannot be advertised would take the others down with it. */
static int check_room(struct shelf *c, int first, struct err *err) {
    size_t size = measure(c, first);
    if (size == 0)
        return err_set(err, "no memory to describe it");
    if (c->advert_size + size > ADVERT_ROOM)
        return err_set(err,
                       "its labels take %zu bytes of what the worker tells of "
                       "its models; of %u, others have %zu: serve fewer "
                       "models, or shorten the labels",
                       size, ADVERT_ROOM, c->advert_size);
    c->advert_size += size;
    return 0;
}

static int try_to_load(struct shelf *c, const char *path, int batch_max,
                       struct err *err) {
    struct stock_mark mark = stock_mark(path);
    int first = c->count;
    if (load(c, path, batch_max, err) < 0)
        return -1;
    if (stock_mark(path).value != mark.value)
        return err_set(err, "its files changed while they were read; it is "
                            "looked at again once they stand still");
    c->models[first].placed_ms = mark.placed_ms;
    shelve_explained(c);
    return check_room(c, first, err);
}

/* With what is odd about it, and yet no reason not to serve it. */
static void log_loaded(const struct classifier *classifier,
                       const struct classifier_run *run, double seconds) {
    const char *name = classifier_name(classifier);
    if (classifier_notice(classifier))
        log_event(LOG_WARN, "model-notice", "model", name, "notice",
                  classifier_notice(classifier), NULL);
    if (classifier_run_single(run))
        log_event(LOG_WARN, "model-one-at-a-time", "model", name, "reason",
                  classifier_run_single(run), NULL);
    log_event(LOG_INFO, "model-loaded", "model", name, "version",
              classifier_version(classifier), "labels",
              log_number(classifier_classes(classifier), 0), "seconds",
              log_number(seconds, 3), NULL);
}

static void load_or_refuse(struct shelf *c, const char *path, int batch_max) {
    struct err err = {0};
    double start = clock_seconds();
    int before = c->count;
    if (try_to_load(c, path, batch_max, &err) == 0) {
        log_loaded(c->models[before].classifier, c->models[before].run,
                   clock_seconds() - start);
        return;
    }
    while (c->count > before)
        unload_last(c);
    refuse(c, path, err.text);
}

static void choose_default(struct shelf *c, const char *name) {
    for (int i = 0; *name && i < c->count; i++)
        if (strcmp(c->models[i].name, name) == 0) {
            c->default_model = i;
            return;
        }
    if (!*name || c->count == 0)
        return;
    while (c->count > 0)
        unload_last(c);
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
    while (c && c->count > 0)
        unload_last(c);
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

const char *shelf_name(const struct shelf *c, int model) {
    return c->models[model].name;
}

bool shelf_explained(const struct shelf *c, int model) {
    return c->models[model].explained;
}

char *shelf_advert(const struct shelf *c, const char *name, int hands,
                   int batch) {
    struct job_advert advert = {.hands = hands, .batch = batch};
    char *json = NULL;
    snprintf(advert.name, sizeof advert.name, "%s", name);
    bool whole = describe(c, 0, &advert) == 0;
    advert.refused = (struct job_refusal *)c->refused; /* lent */
    advert.refused_count = c->refused_count;
    if (whole)
        json = job_advert_encode(&advert);
    advert.refused = NULL;
    advert.refused_count = 0;
    job_advert_free(&advert);
    return json;
}
