#include "worker/pool.h"

#include "common/log.h"
#include "worker/nursery.h"
#include "worker/nursery_client.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAUSE_LEAST_MS 100 /* before a second try; doubled up to: */
#define PAUSE_MOST_MS 30000
#define SETTLED_MS 60000 /* what lived that long starts again at once */
#define LOSSES_MAX 3     /* nursery deaths that one image may meet */

/* Something that is started again, and how long to wait before that. */
struct again {
    int64_t at_ms; /* not before */
    int64_t pause_ms;
};

struct pool {
    const struct settings *settings;
    struct roster *roster;
    struct nursery_client *nursery;
    struct job_advert advert;
    char *advert_text; /* NULL until the first nursery is there */
    int asked;         /* hands on order */
    int deaths;
    bool nursery_lives, models_known; /* of the present nursery */
    int64_t nursery_since_ms;
    struct again nursery_again, hand_again;
};

static void postpone(struct again *again, int64_t now_ms) {
    again->pause_ms = again->pause_ms ? again->pause_ms * 2 : PAUSE_LEAST_MS;
    if (again->pause_ms > PAUSE_MOST_MS)
        again->pause_ms = PAUSE_MOST_MS;
    again->at_ms = now_ms + again->pause_ms;
}

struct pool *pool_open(const struct settings *settings, char *const *argv,
                       struct err *err) {
    struct pool *pool = calloc(1, sizeof *pool);
    if (!pool) {
        err_set(err, "no memory for the pool");
        return NULL;
    }
    pool->settings = settings;
    pool->roster = roster_open(settings->hands, settings->job_timeout_ms);
    pool->nursery = nursery_client_open(argv, settings->name);
    if (!pool->roster || !pool->nursery) {
        err_set(err, "no memory for %d hands", settings->hands);
        goto fail;
    }
    if (nursery_client_start(pool->nursery, err) < 0)
        goto fail;
    pool->nursery_lives = true;
    return pool;
fail:
    pool_close(pool);
    return NULL;
}

void pool_close(struct pool *pool) {
    if (pool) {
        nursery_client_close(pool->nursery);
        roster_close(pool->roster);
        job_advert_free(&pool->advert);
        free(pool->advert_text);
        free(pool);
    }
}

/* ---- losses -------------------------------------------------------------- */

static void log_death(pid_t pid, const struct roster_loss *loss,
                      const char *how) {
    log_event(loss->batch || loss->was_new ? LOG_WARN : LOG_INFO, "hand-died",
              "hand", log_number(pid, 0), "how", how, "why",
              loss->why ? loss->why : "", "batch", log_number(loss->batch, 0),
              NULL);
}

/* The order of those that wait is kept. */
static void retry(struct task_list *lost, struct pool_outcome *outcome) {
    struct task *task;
    while ((task = task_list_take(lost)))
        task_list_append(&outcome->retry, task);
}

static void blame(struct task_list *lost, const struct roster_loss *loss,
                  const char *how, struct pool_outcome *outcome) {
    for (struct task *t = lost->first; t; t = t->next) {
        log_event(LOG_WARN, "lost-with-hand", "request", t->header.request,
                  "id", t->header.id.text, "batch", log_number(loss->batch, 0),
                  NULL);
        t->alone = true;
    }
    if (loss->batch != 1) {
        retry(lost, outcome);
        return;
    }
    struct task *task = task_list_take(lost);
    if (!task)
        return;
    task_fail(task, "the process that classified the image %s%s%s", how,
              loss->why ? ": " : "", loss->why ? loss->why : "");
    task_list_append(&outcome->answered, task);
}

static void bury(struct pool *pool, const struct frame_process *hand,
                 int64_t now_ms, struct pool_outcome *outcome) {
    char how[96];
    struct task_list lost = {0};
    struct roster_loss loss =
        roster_remove(pool->roster, hand->pid, &outcome->answered, &lost);
    if (!loss.known)
        return;
    nursery_client_explain(hand->status, how, sizeof how);
    pool->deaths++;
    log_death(hand->pid, &loss, how);
    if (loss.was_new)
        postpone(&pool->hand_again, now_ms);
    blame(&lost, &loss, how, outcome);
}

/* All hands went with the nursery, most likely through no image's fault. */
static void bury_all(struct pool *pool, struct pool_outcome *outcome) {
    struct task_list lost = {0};
    for (pid_t pid; (pid = roster_any(pool->roster));) {
        pool->deaths++;
        roster_remove(pool->roster, pid, &outcome->answered, &lost);
    }
    struct task *task;
    while ((task = task_list_take(&lost))) {
        log_event(LOG_WARN, "lost-with-nursery", "request",
                  task->header.request, "id", task->header.id.text, NULL);
        if (++task->losses < LOSSES_MAX) {
            task_list_append(&outcome->retry, task);
        } else {
            task_fail(task, "the worker's processes died %d times under it",
                      task->losses);
            task_list_append(&outcome->answered, task);
        }
    }
}

/* ---- the nursery --------------------------------------------------------- */

static int take_models(struct pool *pool, const struct frame *frame,
                       struct pool_outcome *outcome, struct err *err) {
    struct job_advert advert;
    if (job_advert_decode(frame->body, frame->size, &advert, err) < 0)
        return -1;
    char *text = strdup(frame->body);
    if (!text) {
        job_advert_free(&advert);
        return err_set(err, "no memory for the advertisement");
    }
    job_advert_free(&pool->advert);
    free(pool->advert_text);
    pool->advert = advert;
    pool->advert_text = text;
    pool->models_known = true;
    outcome->new_models = true;
    return 0;
}

static int take_hand(struct pool *pool, const struct frame *frame,
                     int64_t now_ms, struct err *err) {
    struct frame_process hand;
    memcpy(&hand, frame->body, sizeof hand);
    if (pool->asked > 0)
        pool->asked--;
    if (hand.pid == 0 || frame->passed < 0) {
        postpone(&pool->hand_again, now_ms);
        return 0;
    }
    if (roster_add(pool->roster, hand.pid, frame->passed, err) < 0)
        return -1;
    log_event(LOG_DEBUG, "hand-started", "hand", log_number(hand.pid, 0), NULL);
    return 0;
}

static int take_frame(struct pool *pool, const struct frame *frame,
                      int64_t now_ms, struct pool_outcome *outcome,
                      struct err *err) {
    struct frame_process hand;
    if (frame->type == FRAME_MODELS)
        return take_models(pool, frame, outcome, err);
    if (frame->size == sizeof hand && frame->type == FRAME_HAND)
        return take_hand(pool, frame, now_ms, err);
    if (frame->size == sizeof hand && frame->type == FRAME_DIED) {
        memcpy(&hand, frame->body, sizeof hand);
        bury(pool, &hand, now_ms, outcome);
        return 0;
    }
    return err_set(err, "the nursery sent a message of type %d",
                   (int)frame->type);
}

/* The nursery is gone, or talks nonsense, which comes to the same. */
static int lose_nursery(struct pool *pool, const char *reason, int64_t now_ms,
                        struct pool_outcome *outcome, struct err *err) {
    char how[96];
    int status = nursery_client_end(pool->nursery);
    pool->nursery_lives = pool->models_known = false;
    pool->asked = 0;
    nursery_client_explain(status, how, sizeof how);
    log_event(LOG_ERROR, "nursery-died", "how", how, "reason", reason, NULL);
    bury_all(pool, outcome);
    if (now_ms - pool->nursery_since_ms > SETTLED_MS)
        pool->nursery_again.pause_ms = 0;
    postpone(&pool->nursery_again, now_ms);
    if (pool->advert_text)
        return 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == NURSERY_NO_MODEL)
        return err_set(err, "no model could be loaded, see above");
    return err_set(err, "the nursery, which loads the models, %s", how);
}

static int hear_nursery(struct pool *pool, int64_t now_ms,
                        struct pool_outcome *outcome, struct err *err) {
    struct err reason = {0};
    struct frame frame;
    int status;
    while ((status = nursery_client_read(pool->nursery, &frame, &reason)) > 0)
        if (take_frame(pool, &frame, now_ms, outcome, &reason) < 0) {
            status = -1;
            break;
        }
    return status < 0 ? lose_nursery(pool, reason.text, now_ms, outcome, err)
                      : 0;
}

static void start_nursery(struct pool *pool, int64_t now_ms) {
    struct err err = {0};
    pool->nursery_since_ms = now_ms;
    if (nursery_client_start(pool->nursery, &err) < 0) {
        log_event(LOG_ERROR, "nursery-not-started", "reason", err.text, NULL);
        postpone(&pool->nursery_again, now_ms);
        return;
    }
    pool->nursery_lives = true;
    log_event(LOG_INFO, "nursery-started", NULL);
}

/* ---- what is due --------------------------------------------------------- */

static void kill_overdue(struct pool *pool, int64_t now_ms) {
    const char *why;
    for (pid_t pid; (pid = roster_overdue(pool->roster, now_ms, &why));) {
        if (why)
            log_event(LOG_WARN, "hand-killed", "hand", log_number(pid, 0),
                      "why", why, NULL);
        /* Where asking fails the nursery is gone, and the hand with it. */
        nursery_client_ask(pool->nursery, FRAME_KILL, pid, NULL);
    }
}

static void order_hands(struct pool *pool, int64_t now_ms) {
    int there = roster_count(pool->roster).hands + pool->asked;
    if (!pool->models_known || now_ms < pool->hand_again.at_ms)
        return;
    for (; there < pool->settings->hands; there++)
        if (nursery_client_ask(pool->nursery, FRAME_FORK, 0, NULL) == 0)
            pool->asked++;
}

int pool_watch(const struct pool *pool, struct pollfd *fds) {
    int count = roster_watch(pool->roster, fds);
    fds[count] = (struct pollfd){.fd = nursery_client_fd(pool->nursery),
                                 .events = POLLIN};
    return count + 1;
}

int pool_serve(struct pool *pool, const struct pollfd *fds, int64_t now_ms,
               struct pool_outcome *outcome, struct err *err) {
    int status = 0;
    memset(outcome, 0, sizeof *outcome);
    roster_serve(pool->roster, fds, &outcome->answered);
    if (pool->nursery_lives && fds[pool->settings->hands].revents)
        status = hear_nursery(pool, now_ms, outcome, err);
    if (!pool->nursery_lives && now_ms >= pool->nursery_again.at_ms)
        start_nursery(pool, now_ms);
    kill_overdue(pool, now_ms);
    order_hands(pool, now_ms);
    return status;
}

static int64_t earlier(int64_t a, int64_t b) {
    return b >= 0 && b < a ? b : a;
}

int64_t pool_deadline(const struct pool *pool, int64_t now_ms) {
    int64_t deadline = earlier(now_ms + 500, roster_deadline(pool->roster));
    if (!pool->nursery_lives)
        deadline = earlier(deadline, pool->nursery_again.at_ms);
    if (pool->hand_again.at_ms > now_ms)
        deadline = earlier(deadline, pool->hand_again.at_ms);
    return deadline;
}

int pool_give(struct pool *pool, struct task *const *tasks, int count,
              int64_t now_ms) {
    int given = roster_give(pool->roster, tasks, count, now_ms);
    if (given)
        pool->hand_again.pause_ms = 0;
    return given;
}

struct roster_counts pool_count(const struct pool *pool) {
    return roster_count(pool->roster);
}

int pool_deaths(const struct pool *pool) {
    return pool->deaths;
}

const struct job_advert *pool_advert(const struct pool *pool) {
    return pool->advert_text ? &pool->advert : NULL;
}

const char *pool_advert_text(const struct pool *pool) {
    return pool->advert_text;
}

int pool_find_model(const struct pool *pool, const char *version) {
    for (int i = 0; i < pool->advert.model_count; i++)
        if (strcmp(pool->advert.models[i].version, version) == 0)
            return i;
    return -1;
}
