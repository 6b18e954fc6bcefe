#include "worker/shelf.h"

#include "common/clock.h"
#include "common/file.h"
#include "common/job.h"
#include "common/log.h"
#include "common/prediction.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct shelf {
    int count, default_model;
    struct {
        struct classifier *classifier;
        struct classifier_run *run;
    } models[SHELF_MAX];
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

static void load_or_log(struct shelf *c, const char *path, int batch_max) {
    struct err err = {0};
    if (load(c, path, batch_max, &err) < 0)
        log_event(LOG_ERROR, "model-not-loaded", "folder", path, "reason",
                  err.text, NULL);
}

static bool is_model(const char *path) {
    char file[PATH_MAX];
    if (!file_is_folder(path))
        return true; /* a file, or nothing: loading says which */
    snprintf(file, sizeof file, "%s/model.onnx", path);
    if (file_exists(file))
        return true;
    snprintf(file, sizeof file, "%s/onnx/model.onnx", path);
    return file_exists(file);
}

static int is_visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static void load_folder(struct shelf *c, const char *folder, int batch_max) {
    struct dirent **entries;
    int count = scandir(folder, &entries, is_visible, alphasort);
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX];
        int n =
            snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if ((size_t)n < sizeof path && file_is_folder(path))
            load_or_log(c, path, batch_max);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

static int choose_default(struct shelf *c, const char *name, struct err *err) {
    for (int i = 0; *name && i < c->count; i++)
        if (strcmp(classifier_name(c->models[i].classifier), name) == 0) {
            c->default_model = i;
            return 0;
        }
    return *name ? err_set(err, "--default-model: no model named %s is loaded",
                           name)
                 : 0;
}

struct shelf *shelf_open(const char *models, const char *default_model,
                         int batch_max, struct err *err) {
    struct shelf *c = calloc(1, sizeof *c);
    char *list = strdup(models), *rest = list;
    if (!c || !list) {
        err_set(err, "no memory for a list of models");
        goto fail;
    }
    for (char *path; (path = strsep(&rest, ","));) {
        if (!*path)
            continue;
        if (is_model(path))
            load_or_log(c, path, batch_max);
        else
            load_folder(c, path, batch_max);
    }
    if (c->count == 0) {
        err_set(err,
                "--models %s: not one model could be loaded; it must name "
                "model folders, or folders of them",
                models);
        goto fail;
    }
    if (choose_default(c, default_model, err) < 0)
        goto fail;
    warm_up_encoding();
    free(list);
    return c;
fail:
    free(list);
    shelf_free(c);
    return NULL;
}

void shelf_free(struct shelf *c) {
    for (int i = 0; c && i < c->count; i++) {
        classifier_run_close(c->models[i].run);
        classifier_free(c->models[i].classifier);
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
    advert.models = calloc((size_t)c->count, sizeof *advert.models);
    for (int i = 0; advert.models && whole && i < c->count; i++) {
        advert.model_count++;
        whole = describe(c->models[i].classifier, &advert.models[i]) == 0;
        advert.models[i].is_default = i == c->default_model;
    }
    if (advert.models && whole)
        json = job_advert_encode(&advert);
    job_advert_free(&advert);
    return json;
}
