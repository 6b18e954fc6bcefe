#include "worker/offer.h"

#include <stdlib.h>
#include <string.h>

/* Both that of the folder and the one that explains it. */
static bool is_refused(const struct job_model *model,
                       const struct job_refusal *refused, int count) {
    const char *name = *model->explains ? model->explains : model->name;
    for (int i = 0; i < count; i++)
        if (strcmp(refused[i].folder, name) == 0)
            return true;
    return false;
}

const struct offer_model *offer_current(const struct offer *offer,
                                        const char *name) {
    for (int i = 0; i < offer->count; i++)
        if (!offer->models[i].model.retiring &&
            strcmp(offer->models[i].model.name, name) == 0)
            return &offer->models[i];
    return NULL;
}

int offer_find(const struct offer *offer, const char *version) {
    for (int i = 0; i < offer->count; i++)
        if (strcmp(offer->models[i].model.version, version) == 0)
            return i;
    return -1;
}

static bool has(const struct offer *offer, const struct job_model *model) {
    for (int i = 0; i < offer->count; i++)
        if (strcmp(offer->models[i].model.name, model->name) == 0 &&
            strcmp(offer->models[i].model.version, model->version) == 0)
            return true;
    return false;
}

static void choose_default(struct offer *offer, const char *name) {
    const struct offer_model *named = offer_current(offer, name);
    struct job_model *chosen = NULL;
    for (int i = 0; i < offer->count; i++) {
        struct job_model *model = &offer->models[i].model;
        if (named ? &offer->models[i] == named
                  : !chosen && !model->retiring && model->is_default)
            chosen = model;
        model->is_default = 0;
    }
    if (chosen)
        chosen->is_default = 1;
}

void offer_compose(const struct job_advert *const *adverts, int count,
                   const struct job_refusal *refused, int refused_count,
                   const char *default_name, struct offer *offer) {
    offer->count = 0;
    for (int source = 0; source < count; source++)
        for (int i = 0; i < adverts[source]->model_count; i++) {
            const struct job_model *model = &adverts[source]->models[i];
            bool goes_on =
                source == 0 || is_refused(model, refused, refused_count);
            if (has(offer, model) || offer->count == JOB_MODELS_MAX)
                continue;
            bool retiring = !goes_on || offer_current(offer, model->name);
            struct offer_model *one = &offer->models[offer->count++];
            *one = (struct offer_model){*model, source, i};
            one->model.retiring = retiring;
        }
    choose_default(offer, default_name);
}

bool offer_changes(const struct offer *offer, const struct job_advert *advert,
                   const struct job_refusal *refused, int refused_count) {
    int kept = 0, current = 0;
    for (int i = 0; i < advert->model_count; i++) {
        const struct job_model *model = &advert->models[i];
        const struct offer_model *now = offer_current(offer, model->name);
        if (!now || strcmp(now->model.version, model->version) != 0)
            return true;
        kept++;
    }
    for (int i = 0; i < offer->count; i++) {
        const struct job_model *model = &offer->models[i].model;
        current += !model->retiring;
        kept += !model->retiring && is_refused(model, refused, refused_count);
    }
    return kept < current; /* one was taken away */
}

char *offer_encode(const struct offer *offer, const struct job_advert *head) {
    struct job_model models[JOB_MODELS_MAX];
    struct job_advert advert = *head; /* its parts are lent */
    advert.models = models;
    advert.model_count = offer->count;
    for (int i = 0; i < offer->count; i++)
        models[i] = offer->models[i].model;
    return job_advert_encode(&advert);
}
