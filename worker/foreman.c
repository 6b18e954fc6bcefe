#include "worker/foreman.h"

#include "common/address.h"
#include "common/clock.h"
#include "common/document.h"
#include "common/fault.h"
#include "common/log.h"
#include "common/prediction.h"
#include "worker/batch.h"
#include "worker/batcher.h"
#include "worker/crew.h"
#include "worker/link.h"
#include "worker/signals.h"
#include "worker/watch.h"
#include "worker/writer.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#define ANNOUNCE_MS 5000
#define ANNOUNCE_TTL_S 15
#define QUIET_MS 250  /* a job may still be on its way when we ask for none */
#define TAKE_MAX 1024 /* messages before the hands are looked at again */

/* A hand that comes back finds its next batch here: credits for twice what
 * the hands can have in work. */
#define CREDITS(s) ((s)->hands * (s)->batch * 2)

struct foreman {
    const struct settings *settings;
    struct crew *crew;
    struct link *link;
    struct writer *writer;
    struct batcher batcher;
    struct watch *watch;
    int signals;        /* see signals.h */
    struct pollfd *fds; /* the crew's, then the writer, signals and watch */
    bool draining, quitting;
    int64_t last_job_ms; /* or when draining began */
    int64_t drained_by_ms;
    int64_t last_hand_ms; /* when there was one, or the start */
    int64_t announced_ms, started_wall_ms;
    int64_t done, failed;
};

/* ---- the end of a task --------------------------------------------------- */

static void log_task(const struct task *task) {
    const struct answer *a = &task->answer;
    const struct job_header *job = &task->header;
    if (a->failed)
        log_event(LOG_WARN, "job-failed", "request", job->request, "id",
                  job->id.text, "attempt", log_number(job->attempt, 0),
                  "reason", a->text, NULL);
    else
        log_event(LOG_INFO, "job-done", "request", job->request, "id",
                  job->id.text, "attempt", log_number(job->attempt, 0),
                  "decode_ms", log_number(a->decode_ms, 2), "infer_ms",
                  log_number(a->infer_ms, 2), "total_ms",
                  log_number(a->total_ms, 2), NULL);
}

static void end_task(struct foreman *f, struct task *task) {
    log_task(task);
    if (task->answer.failed)
        f->failed++;
    else
        f->done++;
    link_report(f->link, task);
    task_free(task);
}

/* What no attempt could do is an answer like any other. */
static void give_up(const struct foreman *f, struct task *task) {
    const struct offer *offer = crew_offer(f->crew);
    struct prediction p = {.id = task->header.id,
                           .permanent = true,
                           .image = {.bytes = task->size},
                           .problem = "image-too-large",
                           .created_ms = task->header.created_ms,
                           .completed_ms = clock_wall_ms(),
                           .attempts = task->header.attempt};
    int model = crew_find_model(f->crew, id_version(&p.id));
    p.total_ms = (double)(p.completed_ms - p.created_ms);
    snprintf(p.model_name, sizeof p.model_name, "%s",
             model < 0 ? "" : offer->models[model].model.name);
    snprintf(p.detail, sizeof p.detail,
             "Decoding the image takes more than %g s of processor time. Send "
             "a smaller one.",
             (double)f->settings->decode_timeout_ms / 1000);
    char *json = prediction_encode(&p);
    if (!json)
        return;
    free(task->answer.text);
    task->answer = (struct answer){
        .text = json, .len = strlen(json), .total_ms = p.total_ms};
}

static void settle(struct foreman *f, struct task *task) {
    if (task->answer.hopeless)
        give_up(f, task);
    if (task->answer.failed)
        end_task(f, task);
    else
        writer_put(f->writer, task);
}

/* ---- the ways of a task -------------------------------------------------- */

/* The models' numbers change with what is served. */
static void line_up(struct foreman *f, struct task *task,
                    void (*put)(struct batcher *, struct task *)) {
    const char *version = id_version(&task->header.id);
    task->model = crew_find_model(f->crew, version);
    if (task->model >= 0) {
        /* An explanation takes as long as a large batch. */
        task->alone |=
            crew_offer(f->crew)->models[task->model].model.explains[0] != 0;
        put(&f->batcher, task);
        return;
    }
    task_fail(task, "this worker has no model of version %s", version);
    end_task(f, task);
}

static void take_job(struct foreman *f, struct task *task) {
    f->last_job_ms = task->received_ms;
    FAULT_POINT(JOB_RECEIVED, task->header.id.text);
    log_event(LOG_DEBUG, "job-received", "request", task->header.request, "id",
              task->header.id.text, NULL);
    line_up(f, task, batcher_put);
}

static void take_jobs(struct foreman *f) {
    struct task *task;
    for (int i = 0; i < TAKE_MAX && (task = link_take(f->link)); i++)
        take_job(f, task);
}

static void put_back(struct foreman *f, struct task *const *tasks, int count) {
    while (count > 0)
        line_up(f, tasks[--count], batcher_put_back);
}

static void give_batches(struct foreman *f, int64_t now_ms) {
    struct task *batch[BATCH_MAX];
    while (f->batcher.waiting.count > 0) {
        int idle[JOB_MODELS_MAX];
        crew_idle(f->crew, idle);
        int count = batcher_take(&f->batcher, idle, batch);
        if (count == 0)
            return;
        if (crew_give(f->crew, batch, count, now_ms))
            continue;
        put_back(f, batch, count); /* no memory: next time round */
        return;
    }
}

static void give_up_late_jobs(struct foreman *f, int64_t now_ms) {
    struct task_list late = {0};
    int64_t timeout = f->settings->job_timeout_ms;
    if (crew_count(f->crew).hands > 0)
        f->last_hand_ms = now_ms;
    bool stranded = now_ms - f->last_hand_ms > timeout;
    batcher_expire(&f->batcher, now_ms, stranded ? timeout : -1, &late);
    struct task *task;
    while ((task = task_list_take(&late))) {
        task_fail(task, stranded ? "the worker has no process to classify it"
                                 : "its time was over before a hand was free");
        end_task(f, task);
    }
}

static int serve_new_models(struct foreman *f, struct err *err) {
    struct task_list waiting = f->batcher.waiting;
    memset(&f->batcher.waiting, 0, sizeof f->batcher.waiting);
    struct task *task;
    while ((task = task_list_take(&waiting)))
        line_up(f, task, batcher_put);
    f->announced_ms = 0;
    return link_serve(f->link, crew_advert_text(f->crew), CREDITS(f->settings),
                      err);
}

static int serve_crew(struct foreman *f, int64_t now_ms, struct err *err) {
    struct crew_outcome outcome;
    struct task *task, *retry[BATCH_MAX];
    int status = crew_serve(f->crew, f->fds, now_ms, &outcome, err);
    while ((task = task_list_take(&outcome.tasks.answered)))
        settle(f, task);
    while (outcome.tasks.retry.count > 0) {
        int count = 0;
        while (count < BATCH_MAX && outcome.tasks.retry.count > 0)
            retry[count++] = task_list_take(&outcome.tasks.retry);
        put_back(f, retry, count);
    }
    if (status == 0 && outcome.new_models)
        status = serve_new_models(f, err);
    return status;
}

static void take_written(struct foreman *f) {
    struct task *task;
    while ((task = writer_take(f->writer)))
        end_task(f, task);
}

/* ---- what the admin page sees -------------------------------------------- */

static json_t *describe_models(const struct foreman *f) {
    const struct offer *offer = crew_offer(f->crew);
    json_t *models = json_array();
    for (int i = 0; i < offer->count; i++)
        document_add(&models,
                     json_pack("{s:s, s:s, s:b}", "name",
                               offer->models[i].model.name, "version",
                               offer->models[i].model.version, "retiring",
                               offer->models[i].model.retiring));
    return models;
}

static json_t *describe_refusals(const struct foreman *f) {
    int count;
    const struct job_refusal *refused = crew_refused(f->crew, &count);
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        document_add(&list, json_pack("{s:s, s:s}", "model", refused[i].folder,
                                      "reason", refused[i].reason));
    return list;
}

static void announce(struct foreman *f, int64_t now_ms) {
    if (f->announced_ms && now_ms - f->announced_ms < ANNOUNCE_MS)
        return;
    char started[CLOCK_TEXT_MAX];
    struct roster_counts counts = crew_count(f->crew);
    f->announced_ms = now_ms;
    clock_format(f->started_wall_ms, started);
    json_t *doc = json_pack(
        "{s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:I, s:I, s:i, s:b, s:o, s:o}",
        "name", f->settings->name, "started_at", started, "hands", counts.hands,
        "busy", counts.busy, "batch", f->settings->batch, "waiting",
        f->batcher.waiting.count, "fronts", link_front_count(f->link), "done",
        (json_int_t)f->done, "failed", (json_int_t)f->failed, "hand_deaths",
        crew_deaths(f->crew), "draining", f->draining, "models",
        describe_models(f), "refusals", describe_refusals(f));
    char *json = document_print(doc, JSON_COMPACT);
    json_decref(doc);
    if (json)
        writer_announce(f->writer, f->settings->name, json, ANNOUNCE_TTL_S);
}

/* ---- the loop ------------------------------------------------------------ */

static void take_signals(struct foreman *f, int64_t now_ms) {
    struct signals told = signals_take();
    if (watch_take(f->watch) || told.hangups > 0)
        crew_reload(f->crew);
    for (int times = told.stops; times > 0 && !f->quitting; times--) {
        f->quitting = f->draining;
        log_event(f->draining ? LOG_WARN : LOG_INFO,
                  f->draining ? "quitting" : "draining", NULL);
        if (f->draining)
            return;
        f->draining = true;
        f->last_job_ms = now_ms;
        f->drained_by_ms = now_ms + f->settings->drain_timeout_ms;
    }
}

/* What is not done in time is left: fronts see the connection go, and give it
 * to others. */
static bool is_finished(struct foreman *f, int64_t now_ms) {
    int open = f->batcher.waiting.count + crew_count(f->crew).busy +
               writer_count(f->writer);
    if (!f->draining)
        return false;
    if (open > 0 && now_ms >= f->drained_by_ms) {
        log_event(LOG_WARN, "not-drained", "waiting",
                  log_number(f->batcher.waiting.count, 0), "busy",
                  log_number(crew_count(f->crew).busy, 0), "unwritten",
                  log_number(writer_count(f->writer), 0), NULL);
        return true;
    }
    return open == 0 && now_ms - f->last_job_ms >= QUIET_MS;
}

static void wait_for_something(struct foreman *f) {
    int64_t now = clock_ms();
    int count = crew_watch(f->crew, f->fds);
    f->fds[count++] =
        (struct pollfd){.fd = writer_fd(f->writer), .events = POLLIN};
    f->fds[count++] = (struct pollfd){.fd = f->signals, .events = POLLIN};
    f->fds[count++] =
        (struct pollfd){.fd = watch_fd(f->watch), .events = POLLIN};
    int64_t timeout = crew_deadline(f->crew, now) - now;
    if (f->draining && timeout > QUIET_MS)
        timeout = QUIET_MS;
    link_wait(f->link, f->fds, count, timeout > 0 ? (int)timeout : 0);
}

static int work(struct foreman *f, struct err *err) {
    while (!is_finished(f, clock_ms())) {
        wait_for_something(f);
        int64_t now = clock_ms();
        take_signals(f, now);
        if (f->quitting)
            return err_set(err, "told to quit at once");
        if (serve_crew(f, now, err) < 0)
            return -1;
        take_written(f);
        /* What could not be stored is not worth classifying. */
        link_admit(f->link, writer_works(f->writer) && !f->draining);
        take_jobs(f);
        give_up_late_jobs(f, now);
        give_batches(f, now);
        announce(f, now);
    }
    log_event(LOG_INFO, "stopped", "done", log_number((double)f->done, 0),
              "failed", log_number((double)f->failed, 0), NULL);
    return 0;
}

static int open_link(struct foreman *f, struct err *err) {
    const struct settings *s = f->settings;
    struct link_keys keys;
    bool keyed = *s->curve_key != 0;
    if (keyed != (*s->curve_front != 0))
        return err_set(err, "--curve-key and --curve-front go together");
    if (keyed && (curve_read_pair(s->curve_key, &keys.ours, err) < 0 ||
                  curve_read_public(s->curve_front, keys.front, err) < 0))
        return -1;
    if (!keyed && !s->plain_tcp &&
        curve_check_local(s->fronts, "--fronts", err) < 0)
        return -1;
    f->link = link_open(s->fronts, keyed ? &keys : NULL, err);
    return f->link ? 0 : -1;
}

static int open_writer(struct foreman *f, struct err *err) {
    const struct settings *s = f->settings;
    char *redis = address_with_login(s->redis, s->redis_login, err);
    if (redis)
        f->writer = writer_open(redis, (int)(s->result_ttl_ms / 1000),
                                s->redis_patience_ms, err);
    free(redis);
    return f->writer ? 0 : -1;
}

static int open_parts(struct foreman *f, char *const *argv, struct err *err) {
    const struct settings *s = f->settings;
    signal(SIGPIPE, SIG_IGN);
    f->signals = signals_open();
    if (f->signals < 0)
        return err_set(err, "eventfd: %s", strerror(errno));
    f->fds = calloc((size_t)CREW_FDS(s->hands) + 3, sizeof *f->fds);
    if (!f->fds)
        return err_set(err, "no memory for %d hands", s->hands);
    if (open_link(f, err) < 0 || open_writer(f, err) < 0)
        return -1;
    /* Before the models are read: what changes from then on is noticed. */
    f->watch = watch_open(s->models, s->models_check_ms, err);
    if (!f->watch)
        return -1;
    f->crew = crew_open(s, argv, err);
    signals_unblock();
    return f->crew ? 0 : -1;
}

static void close_parts(struct foreman *f) {
    struct task *task;
    while ((task = task_list_take(&f->batcher.waiting)))
        task_free(task);
    crew_close(f->crew);
    watch_close(f->watch);
    writer_close(f->writer);
    link_close(f->link);
    free(f->fds);
}

int foreman_run(const struct settings *settings, char *const *argv,
                struct err *err) {
    struct foreman f = {.settings = settings,
                        .batcher = {.batch_max = settings->batch},
                        .last_hand_ms = clock_ms(),
                        .started_wall_ms = clock_wall_ms()};
    log_event(LOG_INFO, "starting", "name", settings->name, "hands",
              log_number(settings->hands, 0), "fronts", settings->fronts, NULL);
    int status = open_parts(&f, argv, err);
    if (status == 0)
        status = work(&f, err);
    if (!f.quitting) /* what would still have to be waited for goes, too */
        close_parts(&f);
    return status;
}
