#include "fcgi/workers.h"

#include "common/document.h"

#include <stdlib.h>
#include <string.h>

struct workers {
    struct worker *first;
    int count;
};

struct workers *workers_open(void) {
    return calloc(1, sizeof(struct workers));
}

static void worker_free(struct worker *worker) {
    job_advert_free(&worker->advert);
    free(worker);
}

void workers_close(struct workers *workers) {
    if (!workers)
        return;
    while (workers->first)
        workers_remove(workers, workers->first);
    free(workers);
}

/* The catalogue keeps the labels once; a hundred workers need not. */
static void drop_labels(struct job_advert *advert) {
    for (int i = 0; i < advert->model_count; i++) {
        struct job_model *model = &advert->models[i];
        for (int k = 0; k < model->label_count; k++)
            free(model->labels[k]);
        free(model->labels);
        model->labels = NULL;
        model->label_count = 0;
    }
}

void workers_renew(struct worker *worker, struct job_advert *advert) {
    job_advert_free(&worker->advert);
    worker->advert = *advert;
    memset(advert, 0, sizeof *advert); /* ours now */
    drop_labels(&worker->advert);
    worker->draining = false;
}

struct worker *workers_add(struct workers *workers, const void *identity,
                           size_t len, struct job_advert *advert) {
    bool fits = len <= WORKERS_IDENTITY_MAX && workers->count < WORKERS_MAX;
    struct worker *worker = fits ? calloc(1, sizeof *worker) : NULL;
    if (!worker)
        return NULL;
    memcpy(worker->identity, identity, len);
    worker->identity_len = len;
    workers_renew(worker, advert);
    worker->next = workers->first;
    workers->first = worker;
    workers->count++;
    return worker;
}

struct worker *workers_find(const struct workers *workers, const void *identity,
                            size_t len) {
    struct worker *worker = workers->first;
    while (worker && (worker->identity_len != len ||
                      memcmp(worker->identity, identity, len) != 0))
        worker = worker->next;
    return worker;
}

struct worker *workers_named(const struct workers *workers, const char *name) {
    struct worker *worker = workers->first;
    while (worker && strcmp(worker->advert.name, name) != 0)
        worker = worker->next;
    return worker;
}

void workers_remove(struct workers *workers, struct worker *worker) {
    struct worker **at = &workers->first;
    while (*at != worker)
        at = &(*at)->next;
    *at = worker->next;
    workers->count--;
    worker_free(worker);
}

struct worker *workers_first(const struct workers *workers) {
    return workers->first;
}

static json_t *describe(const struct worker *worker, int64_t now_ms) {
    const struct job_advert *advert = &worker->advert;
    json_t *models = json_array();
    for (int i = 0; i < advert->model_count; i++)
        document_add(&models,
                     json_pack("{s:s, s:s}", "name", advert->models[i].name,
                               "version", advert->models[i].version));
    return json_pack("{s:s, s:i, s:i, s:I, s:i, s:b, s:I, s:o}", "name",
                     advert->name, "hands", advert->hands, "batch",
                     advert->batch, "credits", (json_int_t)worker->credits,
                     "in_flight", worker->in_flight, "draining",
                     worker->draining, "silent_ms",
                     (json_int_t)(now_ms - worker->heard_ms), "models", models);
}

json_t *workers_describe(const struct workers *workers, int64_t now_ms) {
    json_t *list = json_array();
    for (const struct worker *w = workers->first; w; w = w->next)
        document_add(&list, describe(w, now_ms));
    return list;
}

bool workers_serves(const struct worker *worker, const char *version) {
    for (int i = 0; i < worker->advert.model_count; i++)
        if (strcmp(worker->advert.models[i].version, version) == 0)
            return true;
    return false;
}

struct worker *workers_pick(const struct workers *workers, const char *version,
                            bool *served) {
    struct worker *best = NULL;
    if (served)
        *served = false;
    for (struct worker *w = workers->first; w; w = w->next) {
        if (w->draining || !workers_serves(w, version))
            continue;
        if (served)
            *served = true;
        if (w->credits > 0 && (!best || w->credits > best->credits))
            best = w;
    }
    return best;
}
