#include "fcgi/catalogue.h"

#include "common/document.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    struct job_model model; /* labels owned */
    int workers;            /* that take new jobs for it */
    int holders;            /* these, and those that it is retiring from */
    struct entry *next;     /* the one that came before: newest first */
};

struct catalogue {
    pthread_mutex_t mutex;
    struct entry *newest;
};

struct catalogue *catalogue_open(void) {
    struct catalogue *catalogue = calloc(1, sizeof *catalogue);
    if (catalogue)
        pthread_mutex_init(&catalogue->mutex, NULL);
    return catalogue;
}

static void entry_free(struct entry *entry) {
    if (!entry)
        return;
    for (int i = 0; i < entry->model.label_count; i++)
        free(entry->model.labels[i]);
    free(entry->model.labels);
    free(entry);
}

void catalogue_close(struct catalogue *catalogue) {
    if (!catalogue)
        return;
    while (catalogue->newest) {
        struct entry *entry = catalogue->newest;
        catalogue->newest = entry->next;
        entry_free(entry);
    }
    pthread_mutex_destroy(&catalogue->mutex);
    free(catalogue);
}

/* ---- looking, under the mutex ------------------------------------------ */

static struct entry *exactly(const struct catalogue *catalogue,
                             const struct job_model *model) {
    for (struct entry *e = catalogue->newest; e; e = e->next)
        if (strcmp(e->model.name, model->name) == 0 &&
            strcmp(e->model.version, model->version) == 0)
            return e;
    return NULL;
}

static bool is_newer(const struct entry *a, const struct entry *b) {
    const struct job_model *one = &a->model, *other = &b->model;
    if ((a->workers > 0) != (b->workers > 0))
        return a->workers > 0;
    if (one->placed_ms != other->placed_ms)
        return one->placed_ms > other->placed_ms;
    return strcmp(one->version, other->version) > 0;
}

/* The version that a name stands for: the newest that is served, or the
 * newest. */
static struct entry *current(const struct catalogue *catalogue,
                             const char *name) {
    struct entry *found = NULL;
    for (struct entry *e = catalogue->newest; e; e = e->next)
        if (strcmp(e->model.name, name) == 0 && (!found || is_newer(e, found)))
            found = e;
    return found;
}

static struct entry *default_entry(const struct catalogue *catalogue) {
    struct entry *found = NULL;
    int best = -1;
    for (struct entry *e = catalogue->newest; e; e = e->next) {
        int rank = 2 * (e->model.is_default != 0) + (e->workers > 0);
        if (rank < best || current(catalogue, e->model.name) != e)
            continue;
        /* Workers that differ: all fronts are to choose alike, whoever came
         * first. */
        if (rank == best && strcmp(e->model.name, found->model.name) > 0)
            continue;
        found = e;
        best = rank;
    }
    return found;
}

static struct entry *named(const struct catalogue *catalogue,
                           const char *name) {
    return *name ? current(catalogue, name) : default_entry(catalogue);
}

/* ---- adverts ----------------------------------------------------------- */

static struct entry *entry_new(const struct job_model *model) {
    struct entry *entry = calloc(1, sizeof *entry);
    if (!entry)
        return NULL;
    entry->model = *model;
    entry->model.label_count = 0;
    entry->model.labels =
        calloc((size_t)model->label_count + 1, sizeof *model->labels);
    for (int i = 0; entry->model.labels && i < model->label_count; i++) {
        entry->model.labels[i] = strdup(model->labels[i]);
        if (!entry->model.labels[i])
            break;
        entry->model.label_count++;
    }
    if (!entry->model.labels ||
        entry->model.label_count != model->label_count) {
        entry_free(entry);
        return NULL;
    }
    return entry;
}

static void remove_entry(struct catalogue *catalogue, struct entry *entry) {
    struct entry **at = &catalogue->newest;
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    entry_free(entry);
}

/* Versions of a model that nobody serves go when another one comes. */
static void prune(struct catalogue *catalogue, const struct entry *fresh) {
    for (struct entry *e = catalogue->newest, *next; e; e = next) {
        next = e->next;
        if (e != fresh && e->holders == 0 &&
            strcmp(e->model.name, fresh->model.name) == 0)
            remove_entry(catalogue, e);
    }
}

static void take_holder(struct entry *entry, const struct job_model *model) {
    int64_t placed_ms = model->placed_ms;
    if (entry->holders++ == 0 || placed_ms > entry->model.placed_ms)
        entry->model.placed_ms = placed_ms;
    if (model->retiring)
        return;
    entry->model.is_default = model->is_default;
    entry->workers++;
}

int catalogue_add(struct catalogue *catalogue, const struct job_advert *advert,
                  struct err *err) {
    int status = 0;
    pthread_mutex_lock(&catalogue->mutex);
    for (int i = 0; i < advert->model_count; i++) {
        struct entry *entry = exactly(catalogue, &advert->models[i]);
        if (!entry && (entry = entry_new(&advert->models[i]))) {
            entry->next = catalogue->newest;
            catalogue->newest = entry;
        }
        if (!entry) {
            status = err_set(err, "out of memory for model %s",
                             advert->models[i].name);
            continue;
        }
        take_holder(entry, &advert->models[i]);
        prune(catalogue, entry);
    }
    pthread_mutex_unlock(&catalogue->mutex);
    return status;
}

void catalogue_drop(struct catalogue *catalogue,
                    const struct job_advert *advert) {
    pthread_mutex_lock(&catalogue->mutex);
    for (int i = 0; i < advert->model_count; i++) {
        struct entry *entry = exactly(catalogue, &advert->models[i]);
        if (entry && entry->holders > 0)
            entry->holders--;
        if (entry && entry->workers > 0 && !advert->models[i].retiring)
            entry->workers--;
    }
    pthread_mutex_unlock(&catalogue->mutex);
}

void catalogue_forget(struct catalogue *catalogue,
                      const struct job_advert *advert) {
    pthread_mutex_lock(&catalogue->mutex);
    for (int i = 0; i < advert->model_count; i++) {
        struct entry *entry = exactly(catalogue, &advert->models[i]);
        if (entry && entry->holders == 0)
            remove_entry(catalogue, entry);
    }
    pthread_mutex_unlock(&catalogue->mutex);
}

/* ---- answers ----------------------------------------------------------- */

enum catalogue_answer catalogue_find(struct catalogue *catalogue,
                                     const char *name,
                                     struct catalogue_model *model) {
    memset(model, 0, sizeof *model);
    pthread_mutex_lock(&catalogue->mutex);
    const struct entry *entry = named(catalogue, name);
    enum catalogue_answer answer = entry               ? CATALOGUE_FOUND
                                   : catalogue->newest ? CATALOGUE_UNKNOWN
                                                       : CATALOGUE_EMPTY;
    if (entry) {
        memcpy(model->name, entry->model.name, sizeof model->name);
        memcpy(model->version, entry->model.version, sizeof model->version);
        model->workers = entry->workers;
    }
    pthread_mutex_unlock(&catalogue->mutex);
    return answer;
}

bool catalogue_name(struct catalogue *catalogue, const char *version,
                    char name[128]) {
    *name = 0;
    pthread_mutex_lock(&catalogue->mutex);
    for (struct entry *e = catalogue->newest; e && !*name; e = e->next)
        if (strcmp(e->model.version, version) == 0)
            memcpy(name, e->model.name, sizeof e->model.name);
    pthread_mutex_unlock(&catalogue->mutex);
    return *name != 0;
}

static json_t *describe(const struct catalogue *catalogue,
                        const struct entry *entry) {
    const struct job_model *model = &entry->model;
    json_t *labels = json_array();
    for (int i = 0; i < model->label_count; i++)
        document_add(&labels, document_text(model->labels[i]));
    return json_pack("{s:s, s:s, s:b, s:o, s:{s:i, s:i}, s:b, s:s*, s:i}",
                     "name", model->name, "version", model->version, "default",
                     default_entry(catalogue) == entry, "labels", labels,
                     "input", "width", model->width, "height", model->height,
                     "explainable", model->explainable, "explains",
                     *model->explains ? model->explains : NULL, "workers",
                     entry->workers);
}

json_t *catalogue_list(struct catalogue *catalogue) {
    json_t *models = json_array();
    pthread_mutex_lock(&catalogue->mutex);
    for (struct entry *e = catalogue->newest; e; e = e->next)
        if (current(catalogue, e->model.name) == e)
            document_add(&models, describe(catalogue, e));
    pthread_mutex_unlock(&catalogue->mutex);
    return json_pack("{s:o}", "models", models);
}

json_t *catalogue_versions(struct catalogue *catalogue) {
    json_t *versions = json_array();
    pthread_mutex_lock(&catalogue->mutex);
    for (struct entry *e = catalogue->newest; e; e = e->next)
        document_add(&versions,
                     json_pack("{s:s, s:s, s:b, s:b, s:i, s:i}", "name",
                               e->model.name, "version", e->model.version,
                               "default", default_entry(catalogue) == e,
                               "current",
                               current(catalogue, e->model.name) == e, "labels",
                               e->model.label_count, "workers", e->workers));
    pthread_mutex_unlock(&catalogue->mutex);
    return versions;
}

json_t *catalogue_describe(struct catalogue *catalogue, const char *name) {
    pthread_mutex_lock(&catalogue->mutex);
    const struct entry *entry = *name ? current(catalogue, name) : NULL;
    json_t *doc = entry ? describe(catalogue, entry) : NULL;
    pthread_mutex_unlock(&catalogue->mutex);
    return doc;
}
