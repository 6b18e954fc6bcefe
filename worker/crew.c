#include "worker/crew.h"

#include "common/log.h"
#include "worker/hand.h"
#include "worker/nursery.h"
#include "worker/nursery_client.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAUSE_LEAST_MS 100 /* before a second try; doubled up to: */
#define PAUSE_MOST_MS 30000
#define SETTLED_MS 60000 /* what lived that long starts again at once */
#define LOSSES_MAX 3     /* deaths that one image may meet without blame */

/* Something that is started again, and how long to wait before that. */
struct again {
    int64_t at_ms; /* not before */
    int64_t pause_ms;
};

struct crew {
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

struct crew *crew_open(const struct settings *settings, char *const *argv,
                       struct err *err) {
    struct crew *crew = calloc(1, sizeof *crew);
    if (!crew) {
        err_set(err, "no memory for the crew");
        return NULL;
    }
    crew->settings = settings;
    crew->roster = roster_open(settings->hands, settings->job_timeout_ms);
    crew->nursery = nursery_client_open(argv, settings->name);
    if (!crew->roster || !crew->nursery) {
        err_set(err, "no memory for %d hands", settings->hands);
        goto fail;
    }
    if (nursery_client_start(crew->nursery, err) < 0)
        goto fail;
    crew->nursery_lives = true;
    return crew;
fail:
    crew_close(crew);
    return NULL;
}

void crew_close(struct crew *crew) {
    if (crew) {
        nursery_client_close(crew->nursery);
        roster_close(crew->roster);
        job_advert_free(&crew->advert);
        free(crew->advert_text);
        free(crew);
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
static void retry(struct task_list *lost, struct crew_outcome *outcome) {
    struct task *task;
    while ((task = task_list_take(lost)))
        task_list_append(&outcome->retry, task);
}

static void blame(struct task_list *lost, const struct roster_loss *loss,
                  const char *how, struct crew_outcome *outcome) {
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

/* It is not their fault, unless that happens again and again. */
static void spare(struct task_list *lost, const char *event,
                  struct crew_outcome *outcome) {
    struct task *task;
    while ((task = task_list_take(lost))) {
        log_event(LOG_WARN, event, "request", task->header.request, "id",
                  task->header.id.text, NULL);
        if (++task->losses < LOSSES_MAX) {
            task_list_append(&outcome->retry, task);
        } else {
            task_fail(task, "the worker's processes died %d times under it",
                      task->losses);
            task_list_append(&outcome->answered, task);
        }
    }
}

/* A hand that left because of an image that it had answered, or of its age; it
 * may have been given more in the meantime. */
static bool left_by_itself(int status) {
    return WIFEXITED(status) &&
           (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == HAND_STUCK);
}

static void bury(struct crew *crew, const struct frame_process *hand,
                 int64_t now_ms, struct crew_outcome *outcome) {
    char how[96];
    struct task_list lost = {0};
    struct roster_loss loss =
        roster_remove(crew->roster, hand->pid, &outcome->answered, &lost);
    if (!loss.known)
        return;
    nursery_client_explain(hand->status, how, sizeof how);
    crew->deaths++;
    log_death(hand->pid, &loss, how);
    if (loss.was_new)
        postpone(&crew->hand_again, now_ms);
    if (left_by_itself(hand->status) && !loss.why)
        spare(&lost, "lost-with-hand", outcome);
    else
        blame(&lost, &loss, how, outcome);
}

/* All hands went with the nursery, most likely through no image's fault. */
static void bury_all(struct crew *crew, struct crew_outcome *outcome) {
    struct task_list lost = {0};
    for (pid_t pid; (pid = roster_any(crew->roster));) {
        crew->deaths++;
        roster_remove(crew->roster, pid, &outcome->answered, &lost);
    }
    spare(&lost, "lost-with-nursery", outcome);
}

/* ---- the nursery --------------------------------------------------------- */

static int take_models(struct crew *crew, const struct frame *frame,
                       struct crew_outcome *outcome, struct err *err) {
    struct job_advert advert;
    if (job_advert_decode(frame->body, frame->size, &advert, err) < 0)
        return -1;
    char *text = strdup(frame->body);
    if (!text) {
        job_advert_free(&advert);
        return err_set(err, "no memory for the advertisement");
    }
    job_advert_free(&crew->advert);
    free(crew->advert_text);
    crew->advert = advert;
    crew->advert_text = text;
    crew->models_known = true;
    outcome->new_models = true;
    return 0;
}

static int take_hand(struct crew *crew, const struct frame *frame,
                     int64_t now_ms, struct err *err) {
    struct frame_process hand;
    memcpy(&hand, frame->body, sizeof hand);
    if (crew->asked > 0)
        crew->asked--;
    if (hand.pid == 0 || frame->passed < 0) {
        postpone(&crew->hand_again, now_ms);
        return 0;
    }
    if (roster_add(crew->roster, hand.pid, frame->passed, err) < 0)
        return -1;
    log_event(LOG_DEBUG, "hand-started", "hand", log_number(hand.pid, 0), NULL);
    return 0;
}

static int take_frame(struct crew *crew, const struct frame *frame,
                      int64_t now_ms, struct crew_outcome *outcome,
                      struct err *err) {
    struct frame_process hand;
    if (frame->type == FRAME_MODELS)
        return take_models(crew, frame, outcome, err);
    if (frame->size == sizeof hand && frame->type == FRAME_HAND)
        return take_hand(crew, frame, now_ms, err);
    if (frame->size == sizeof hand && frame->type == FRAME_DIED) {
        memcpy(&hand, frame->body, sizeof hand);
        bury(crew, &hand, now_ms, outcome);
        return 0;
    }
    return err_set(err, "the nursery sent a message of type %d",
                   (int)frame->type);
}

/* The nursery is gone, or talks nonsense, which comes to the same. */
static int lose_nursery(struct crew *crew, const char *reason, int64_t now_ms,
                        struct crew_outcome *outcome, struct err *err) {
    char how[96];
    int status = nursery_client_end(crew->nursery);
    crew->nursery_lives = crew->models_known = false;
    crew->asked = 0;
    nursery_client_explain(status, how, sizeof how);
    if (!crew->advert_text && WIFEXITED(status) &&
        WEXITSTATUS(status) == NURSERY_NO_MODEL)
        return err_set(err, "no model could be loaded, see above");
    if (!crew->advert_text)
        return err_set(err, "the nursery, which loads the models, %s", how);
    log_event(LOG_ERROR, "nursery-died", "how", how, "reason", reason, NULL);
    bury_all(crew, outcome);
    if (now_ms - crew->nursery_since_ms > SETTLED_MS)
        crew->nursery_again.pause_ms = 0;
    postpone(&crew->nursery_again, now_ms);
    return 0;
}

static int hear_nursery(struct crew *crew, int64_t now_ms,
                        struct crew_outcome *outcome, struct err *err) {
    struct err reason = {0};
    struct frame frame;
    int status;
    while ((status = nursery_client_read(crew->nursery, &frame, &reason)) > 0)
        if (take_frame(crew, &frame, now_ms, outcome, &reason) < 0) {
            status = -1;
            break;
        }
    return status < 0 ? lose_nursery(crew, reason.text, now_ms, outcome, err)
                      : 0;
}

static void start_nursery(struct crew *crew, int64_t now_ms) {
    struct err err = {0};
    crew->nursery_since_ms = now_ms;
    if (nursery_client_start(crew->nursery, &err) < 0) {
        log_event(LOG_ERROR, "nursery-not-started", "reason", err.text, NULL);
        postpone(&crew->nursery_again, now_ms);
        return;
    }
    crew->nursery_lives = true;
    log_event(LOG_INFO, "nursery-started", NULL);
}

/* ---- what is due --------------------------------------------------------- */

static void kill_overdue(struct crew *crew, int64_t now_ms) {
    const char *why;
    for (pid_t pid; (pid = roster_overdue(crew->roster, now_ms, &why));) {
        if (why)
            log_event(LOG_WARN, "hand-killed", "hand", log_number(pid, 0),
                      "why", why, NULL);
        /* Where asking fails the nursery is gone, and the hand with it. */
        nursery_client_ask(crew->nursery, FRAME_KILL, pid, NULL);
    }
}

static void order_hands(struct crew *crew, int64_t now_ms) {
    int there = roster_count(crew->roster).hands + crew->asked;
    if (!crew->models_known || now_ms < crew->hand_again.at_ms)
        return;
    for (; there < crew->settings->hands; there++)
        if (nursery_client_ask(crew->nursery, FRAME_FORK, 0, NULL) == 0)
            crew->asked++;
}

int crew_watch(const struct crew *crew, struct pollfd *fds) {
    int count = roster_watch(crew->roster, fds);
    fds[count] = (struct pollfd){.fd = nursery_client_fd(crew->nursery),
                                 .events = POLLIN};
    return count + 1;
}

int crew_serve(struct crew *crew, const struct pollfd *fds, int64_t now_ms,
               struct crew_outcome *outcome, struct err *err) {
    int status = 0;
    memset(outcome, 0, sizeof *outcome);
    roster_serve(crew->roster, fds, &outcome->answered);
    if (crew->nursery_lives && fds[crew->settings->hands].revents)
        status = hear_nursery(crew, now_ms, outcome, err);
    if (!crew->nursery_lives && now_ms >= crew->nursery_again.at_ms)
        start_nursery(crew, now_ms);
    kill_overdue(crew, now_ms);
    order_hands(crew, now_ms);
    return status;
}

static int64_t earlier(int64_t a, int64_t b) {
    return b >= 0 && b < a ? b : a;
}

int64_t crew_deadline(const struct crew *crew, int64_t now_ms) {
    int64_t deadline = earlier(now_ms + 500, roster_deadline(crew->roster));
    if (!crew->nursery_lives)
        deadline = earlier(deadline, crew->nursery_again.at_ms);
    if (crew->hand_again.at_ms > now_ms)
        deadline = earlier(deadline, crew->hand_again.at_ms);
    return deadline;
}

int crew_give(struct crew *crew, struct task *const *tasks, int count,
              int64_t now_ms) {
    int given = roster_give(crew->roster, tasks, count, now_ms);
    if (given)
        crew->hand_again.pause_ms = 0;
    return given;
}

struct roster_counts crew_count(const struct crew *crew) {
    return roster_count(crew->roster);
}

int crew_deaths(const struct crew *crew) {
    return crew->deaths;
}

const struct job_advert *crew_advert(const struct crew *crew) {
    return crew->advert_text ? &crew->advert : NULL;
}

const char *crew_advert_text(const struct crew *crew) {
    return crew->advert_text;
}

int crew_find_model(const struct crew *crew, const char *version) {
    for (int i = 0; i < crew->advert.model_count; i++)
        if (strcmp(crew->advert.models[i].version, version) == 0)
            return i;
    return -1;
}
