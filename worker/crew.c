#include "worker/crew.h"

#include "common/log.h"
#include "worker/again.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SETTLED_MS 60000 /* what lived that long starts again at once */
#define NESTS_MAX (CREW_BROODS_MAX - 1)

/* A brood that serves. */
struct nest {
    struct brood *brood;
    int64_t used_ms; /* its last batch, or when a newer one took over */
};

struct crew {
    const struct settings *settings;
    char *const *argv;
    struct nest nests[NESTS_MAX]; /* newest first */
    int count;
    struct brood *loading; /* the one that is to take over; NULL: none */
    bool wanted;           /* a new one, when it is time again */
    bool headless;         /* the newest died; its models wait for another */
    struct again again;    /* a new one is started */
    int64_t started_ms;
    struct offer offer;
    struct brood *sources[JOB_MODELS_MAX]; /* of the offer's models; NULL: it
                                              died */
    struct job_advert head; /* what READY says beside the models */
    char default_name[128]; /* stays what it was when models come and go */
    char *advert_text;      /* NULL until there are models */
    int deaths;             /* of hands of broods that are gone */
};

struct crew *crew_open(const struct settings *settings, char *const *argv,
                       struct err *err) {
    struct crew *crew = calloc(1, sizeof *crew);
    if (!crew) {
        err_set(err, "no memory for the crew");
        return NULL;
    }
    crew->settings = settings;
    crew->argv = argv;
    crew->head.hands = settings->hands;
    crew->head.batch = settings->batch;
    snprintf(crew->head.name, sizeof crew->head.name, "%s", settings->name);
    crew->loading = brood_open(settings, argv, err);
    if (!crew->loading) {
        crew_close(crew);
        return NULL;
    }
    return crew;
}

void crew_close(struct crew *crew) {
    if (crew) {
        for (int i = 0; i < crew->count; i++)
            brood_close(crew->nests[i].brood);
        brood_close(crew->loading);
        job_advert_free(&crew->head);
        free(crew->advert_text);
        free(crew);
    }
}

void crew_reload(struct crew *crew) {
    crew->wanted = true;
    crew->again.at_ms = 0;
}

static void postpone(struct crew *crew, int64_t now_ms) {
    crew->wanted = true;
    if (now_ms - crew->started_ms > SETTLED_MS)
        crew->again.pause_ms = 0;
    again_postpone(&crew->again, now_ms);
}

/* ---- what is served ------------------------------------------------------ */

/* Where memory is short the front knows the former offer for a little longer:
 * the next change tells it. */
static void advertise(struct crew *crew, struct crew_outcome *outcome) {
    char *text = offer_encode(&crew->offer, &crew->head);
    outcome->new_models = true;
    if (!text)
        return;
    free(crew->advert_text);
    crew->advert_text = text;
}

static void compose(struct crew *crew, struct crew_outcome *outcome) {
    const struct job_advert *adverts[NESTS_MAX];
    for (int i = 0; i < crew->count; i++)
        adverts[i] = brood_advert(crew->nests[i].brood);
    offer_compose(adverts, crew->count, crew->head.refused,
                  crew->head.refused_count, crew->default_name, &crew->offer);
    for (int i = 0; i < crew->offer.count; i++) {
        const struct offer_model *offered = &crew->offer.models[i];
        crew->sources[i] = crew->nests[offered->source].brood;
        if (offered->model.is_default)
            memcpy(crew->default_name, offered->model.name,
                   sizeof crew->default_name);
    }
    advertise(crew, outcome);
}

/* Those of the last load count, whatever else becomes of it. */
static void take_refusals(struct crew *crew, struct job_advert *advert) {
    struct job_advert former = {.refused = crew->head.refused,
                                .refused_count = crew->head.refused_count};
    crew->head.refused = advert->refused;
    crew->head.refused_count = advert->refused_count;
    advert->refused = NULL;
    advert->refused_count = 0;
    job_advert_free(&former);
}

static void close_nest(struct crew *crew, int i) {
    struct brood *brood = crew->nests[i].brood;
    for (int k = 0; k < crew->offer.count; k++)
        if (crew->sources[k] == brood) {
            crew->sources[k] = NULL;
            crew->offer.models[k].model.labels = NULL; /* they go with it */
            crew->offer.models[k].model.label_count = 0;
        }
    crew->deaths += brood_deaths(brood);
    brood_close(brood);
    crew->count--;
    memmove(&crew->nests[i], &crew->nests[i + 1],
            (size_t)(crew->count - i) * sizeof *crew->nests);
}

/* ---- a new brood --------------------------------------------------------- */

/* One that loads already may have read what is no longer there. */
static void start(struct crew *crew, int64_t now_ms) {
    struct err err = {0};
    bool first = !crew->advert_text;
    brood_close(crew->loading);
    crew->started_ms = now_ms;
    crew->loading = brood_open(crew->settings, crew->argv, &err);
    if (!crew->loading) {
        log_event(LOG_ERROR, "nursery-not-started", "reason", err.text, NULL);
        postpone(crew, now_ms);
        return;
    }
    crew->wanted = false;
    log_event(LOG_INFO,
              first || crew->headless ? "nursery-started" : "models-loading",
              NULL);
}

/* It is warm: it takes over what it has. */
static void take_over(struct crew *crew, int64_t now_ms,
                      struct crew_outcome *outcome) {
    struct brood *brood = crew->loading;
    struct job_advert *advert = brood_advert(brood);
    take_refusals(crew, advert);
    crew->loading = NULL;
    if (crew->count > 0 && !crew->headless &&
        !offer_changes(&crew->offer, advert, crew->head.refused,
                       crew->head.refused_count)) {
        log_event(LOG_INFO, "models-unchanged", NULL);
        brood_close(brood);
        advertise(crew, outcome);
        return;
    }
    for (int i = 0; i < crew->count; i++)
        crew->nests[i].used_ms = now_ms;
    memmove(&crew->nests[1], &crew->nests[0],
            (size_t)crew->count * sizeof *crew->nests);
    crew->nests[0] = (struct nest){.brood = brood, .used_ms = now_ms};
    crew->count++;
    crew->headless = false;
    compose(crew, outcome);
    log_event(LOG_INFO, "models-serving", "models",
              log_number(advert->model_count, 0), "refused",
              log_number(crew->head.refused_count, 0), NULL);
}

static void refuse_all(struct crew *crew, const char *reason) {
    struct job_refusal *refused = calloc(1, sizeof *refused);
    struct job_advert advert = {.refused = refused, .refused_count = !!refused};
    if (refused) {
        refused->folder = strdup("(all)"); /* no model has that name */
        refused->reason = strdup(reason);
        if (!refused->folder || !refused->reason)
            job_advert_free(&advert);
    }
    take_refusals(crew, &advert);
}

/* Not one model, or it died over them. The former ones, if any, go on. */
static int give_up(struct crew *crew, const char *reason, int64_t now_ms,
                   struct crew_outcome *outcome, struct err *err) {
    struct job_advert *advert = brood_advert(crew->loading);
    bool empty = advert && advert->model_count == 0;
    struct err why;
    if (empty && advert->refused_count == 0)
        err_set(&why,
                "there is no model in %s: one is a folder with "
                "model.onnx in it",
                crew->settings->models);
    else if (empty)
        err_set(&why, "no model could be loaded, see above");
    if (empty)
        reason = why.text;
    if (advert)
        take_refusals(crew, advert);
    else
        refuse_all(crew, reason);
    brood_close(crew->loading);
    crew->loading = NULL;
    if (!crew->advert_text)
        return err_set(err, "%s", reason);
    log_event(LOG_ERROR, "models-refused", "reason", reason, NULL);
    if (crew->count == 0 || (crew->headless && !empty))
        postpone(crew, now_ms);
    if (crew->count == 0)
        return 0;
    crew->headless = false;
    compose(crew, outcome);
    return 0;
}

static int serve_loading(struct crew *crew, const struct pollfd *fds,
                         int64_t now_ms, struct crew_outcome *outcome,
                         struct err *err) {
    struct err reason = {0};
    if (brood_serve(crew->loading, fds, now_ms, &outcome->tasks, &reason) < 0)
        return give_up(crew, reason.text, now_ms, outcome, err);
    if (brood_is_ready(crew->loading))
        take_over(crew, now_ms, outcome);
    return 0;
}

/* ---- the end of a brood -------------------------------------------------- */

static void lose(struct crew *crew, int i, const char *reason, int64_t now_ms,
                 struct crew_outcome *outcome) {
    bool newest = i == 0 && !crew->headless;
    log_event(LOG_ERROR, "nursery-died", "reason", reason, NULL);
    close_nest(crew, i);
    if (newest) {
        crew->headless = true;
        if (!crew->loading)
            postpone(crew, now_ms);
    } else if (!crew->headless) {
        compose(crew, outcome);
    }
}

static bool is_needed(const struct crew *crew, const struct nest *nest,
                      int64_t now_ms) {
    if (brood_count(nest->brood).busy > 0)
        return true;
    bool recent = now_ms - nest->used_ms < crew->settings->retire_after_ms;
    for (int i = 0; i < crew->offer.count; i++)
        if (crew->sources[i] == nest->brood &&
            (!crew->offer.models[i].model.retiring || recent))
            return true;
    return false;
}

static void retire(struct crew *crew, int64_t now_ms,
                   struct crew_outcome *outcome) {
    int before = crew->count;
    for (int i = crew->count - 1; i > 0 && !crew->headless; i--)
        if (!is_needed(crew, &crew->nests[i], now_ms))
            close_nest(crew, i);
    if (crew->count == before)
        return;
    log_event(LOG_INFO, "models-retired", NULL);
    compose(crew, outcome);
}

/* Changes in quick succession: the oldest that has nothing in work goes before
 * its time. False: all of them have. */
static bool make_room(struct crew *crew, struct crew_outcome *outcome) {
    for (int i = crew->count - 1; i > 0 && crew->count == NESTS_MAX; i--)
        if (brood_count(crew->nests[i].brood).busy == 0) {
            log_event(LOG_WARN, "models-retired", "reason",
                      "newer ones come in quick succession", NULL);
            close_nest(crew, i);
            if (!crew->headless)
                compose(crew, outcome);
        }
    return crew->count < NESTS_MAX;
}

/* ---- all together -------------------------------------------------------- */

int crew_watch(const struct crew *crew, struct pollfd *fds) {
    int count = 0;
    for (int i = 0; i < crew->count; i++)
        count += brood_watch(crew->nests[i].brood, fds + count);
    if (crew->loading)
        count += brood_watch(crew->loading, fds + count);
    return count;
}

int crew_serve(struct crew *crew, const struct pollfd *fds, int64_t now_ms,
               struct crew_outcome *outcome, struct err *err) {
    int status = 0;
    memset(outcome, 0, sizeof *outcome);
    for (int i = 0; i < crew->count; fds += BROOD_FDS(crew->settings->hands)) {
        struct err reason = {0};
        if (brood_serve(crew->nests[i].brood, fds, now_ms, &outcome->tasks,
                        &reason) < 0)
            lose(crew, i, reason.text, now_ms, outcome);
        else
            i++;
    }
    if (crew->loading)
        status = serve_loading(crew, fds, now_ms, outcome, err);
    retire(crew, now_ms, outcome);
    if (status == 0 && crew->wanted && now_ms >= crew->again.at_ms &&
        make_room(crew, outcome))
        start(crew, now_ms);
    return status;
}

int64_t crew_deadline(const struct crew *crew, int64_t now_ms) {
    int64_t deadline = now_ms + 500;
    for (int i = 0; i < crew->count; i++)
        deadline = again_earlier(deadline,
                                 brood_deadline(crew->nests[i].brood, now_ms));
    if (crew->loading)
        deadline =
            again_earlier(deadline, brood_deadline(crew->loading, now_ms));
    return crew->wanted ? again_earlier(deadline, crew->again.at_ms) : deadline;
}

int crew_find_model(const struct crew *crew, const char *version) {
    return offer_find(&crew->offer, version);
}

struct roster_counts crew_count(const struct crew *crew) {
    struct roster_counts sum = {0};
    for (int i = 0; i < crew->count; i++) {
        struct roster_counts counts = brood_count(crew->nests[i].brood);
        sum.hands += counts.hands;
        sum.free += counts.free;
        sum.busy += counts.busy;
    }
    return sum;
}

void crew_idle(const struct crew *crew, int idle[JOB_MODELS_MAX]) {
    int room = crew->settings->hands - crew_count(crew).busy;
    for (int i = 0; i < crew->offer.count; i++) {
        int free_hands =
            crew->sources[i] ? brood_count(crew->sources[i]).free : 0;
        idle[i] = free_hands < room ? free_hands : room;
    }
}

int crew_give(struct crew *crew, struct task *const *tasks, int count,
              int64_t now_ms) {
    int model = tasks[0]->model;
    struct brood *brood = crew->sources[model];
    for (int i = 0; i < crew->count; i++)
        if (crew->nests[i].brood == brood)
            crew->nests[i].used_ms = now_ms;
    return brood ? brood_give(brood, crew->offer.models[model].index, tasks,
                              count, now_ms)
                 : 0;
}

int crew_deaths(const struct crew *crew) {
    int deaths = crew->deaths;
    for (int i = 0; i < crew->count; i++)
        deaths += brood_deaths(crew->nests[i].brood);
    return deaths;
}

const struct offer *crew_offer(const struct crew *crew) {
    return &crew->offer;
}

const struct job_refusal *crew_refused(const struct crew *crew, int *count) {
    *count = crew->head.refused_count;
    return crew->head.refused;
}

const char *crew_advert_text(const struct crew *crew) {
    return crew->advert_text;
}
