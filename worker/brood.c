#include "worker/brood.h"

#include "common/log.h"
#include "worker/again.h"
#include "worker/hand.h"
#include "worker/nursery.h"
#include "worker/nursery_client.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOSSES_MAX 3 /* deaths that one image may meet without blame */

struct brood {
    const struct settings *settings;
    struct roster *roster;
    struct nursery_client *nursery;
    struct job_advert advert;
    bool models_known, ready, ended;
    int asked; /* hands on order */
    int deaths;
    struct again again; /* hands are ordered, where one did not come up */
};

struct brood *brood_open(const struct settings *settings, char *const *argv,
                         struct err *err) {
    struct brood *brood = calloc(1, sizeof *brood);
    if (!brood) {
        err_set(err, "no memory for a nursery");
        return NULL;
    }
    brood->settings = settings;
    brood->roster = roster_open(settings->hands, settings->job_timeout_ms);
    brood->nursery = nursery_client_open(argv, settings->name);
    if (!brood->roster || !brood->nursery) {
        err_set(err, "no memory for %d hands", settings->hands);
        goto fail;
    }
    if (nursery_client_start(brood->nursery, err) < 0)
        goto fail;
    return brood;
fail:
    brood_close(brood);
    return NULL;
}

void brood_close(struct brood *brood) {
    if (brood) {
        nursery_client_close(brood->nursery);
        roster_close(brood->roster);
        job_advert_free(&brood->advert);
        free(brood);
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
static void retry(struct task_list *lost, struct brood_outcome *outcome) {
    struct task *task;
    while ((task = task_list_take(lost)))
        task_list_append(&outcome->retry, task);
}

static void blame(struct task_list *lost, const struct roster_loss *loss,
                  const char *how, struct brood_outcome *outcome) {
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

/* It is not their fault, unless that happens again and again. Those that lost
 * their hand to a batch mate are not given another. */
static void spare(struct task_list *lost, bool to_mate, const char *event,
                  struct brood_outcome *outcome) {
    struct task *task;
    while ((task = task_list_take(lost))) {
        task->alone |= to_mate;
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

static void bury(struct brood *brood, const struct frame_process *hand,
                 int64_t now_ms, struct brood_outcome *outcome) {
    char how[96];
    struct task_list lost = {0};
    struct roster_loss loss =
        roster_remove(brood->roster, hand->pid, &outcome->answered, &lost);
    if (!loss.known)
        return;
    nursery_client_explain(hand->status, how, sizeof how);
    brood->deaths++;
    log_death(hand->pid, &loss, how);
    if (loss.was_new)
        again_postpone(&brood->again, now_ms);
    if (left_by_itself(hand->status) && !loss.why)
        spare(&lost, WEXITSTATUS(hand->status) == HAND_STUCK, "lost-with-hand",
              outcome);
    else
        blame(&lost, &loss, how, outcome);
}

/* All hands went with the nursery, most likely through no image's fault. */
static void bury_all(struct brood *brood, struct brood_outcome *outcome) {
    struct task_list lost = {0};
    for (pid_t pid; (pid = roster_any(brood->roster));) {
        brood->deaths++;
        roster_remove(brood->roster, pid, &outcome->answered, &lost);
    }
    spare(&lost, false, "lost-with-nursery", outcome);
}

/* ---- the nursery --------------------------------------------------------- */

static int take_models(struct brood *brood, const struct frame *frame,
                       struct err *err) {
    if (brood->models_known)
        return err_set(err, "the nursery advertised its models twice");
    if (job_advert_decode(frame->body, frame->size, &brood->advert, err) < 0)
        return -1;
    brood->models_known = true;
    return 0;
}

static int take_hand(struct brood *brood, const struct frame *frame,
                     int64_t now_ms, struct err *err) {
    struct frame_process hand;
    memcpy(&hand, frame->body, sizeof hand);
    if (brood->asked > 0)
        brood->asked--;
    if (hand.pid == 0 || frame->passed < 0) {
        again_postpone(&brood->again, now_ms);
        return 0;
    }
    if (roster_add(brood->roster, hand.pid, frame->passed, err) < 0)
        return -1;
    log_event(LOG_DEBUG, "hand-started", "hand", log_number(hand.pid, 0), NULL);
    return 0;
}

static int take_frame(struct brood *brood, const struct frame *frame,
                      int64_t now_ms, struct brood_outcome *outcome,
                      struct err *err) {
    struct frame_process hand;
    if (frame->type == FRAME_MODELS)
        return take_models(brood, frame, err);
    if (frame->size == sizeof hand && frame->type == FRAME_HAND)
        return take_hand(brood, frame, now_ms, err);
    if (frame->size == sizeof hand && frame->type == FRAME_DIED) {
        memcpy(&hand, frame->body, sizeof hand);
        bury(brood, &hand, now_ms, outcome);
        return 0;
    }
    return err_set(err, "the nursery sent a message of type %d",
                   (int)frame->type);
}

/* The nursery is gone, or talks nonsense, which comes to the same. */
static int end(struct brood *brood, const char *reason,
               struct brood_outcome *outcome, struct err *err) {
    char how[96];
    nursery_client_explain(nursery_client_end(brood->nursery), how, sizeof how);
    brood->ended = true;
    bury_all(brood, outcome);
    return err_set(err, "the process that loads the models %s (%s)", how,
                   reason);
}

static int hear_nursery(struct brood *brood, int64_t now_ms,
                        struct brood_outcome *outcome, struct err *err) {
    struct err reason = {0};
    struct frame frame;
    int status;
    while ((status = nursery_client_read(brood->nursery, &frame, &reason)) > 0)
        if (take_frame(brood, &frame, now_ms, outcome, &reason) < 0) {
            status = -1;
            break;
        }
    return status < 0 ? end(brood, reason.text, outcome, err) : 0;
}

/* ---- what is due --------------------------------------------------------- */

static void kill_overdue(struct brood *brood, int64_t now_ms) {
    const char *why;
    for (pid_t pid; (pid = roster_overdue(brood->roster, now_ms, &why));) {
        if (why)
            log_event(LOG_WARN, "hand-killed", "hand", log_number(pid, 0),
                      "why", why, NULL);
        /* Where asking fails the nursery is gone, and the hand with it. */
        nursery_client_ask(brood->nursery, FRAME_KILL, pid, NULL);
    }
}

static void order_hands(struct brood *brood, int64_t now_ms) {
    int there = roster_count(brood->roster).hands + brood->asked;
    if (!brood->models_known || now_ms < brood->again.at_ms)
        return;
    for (; there < brood->settings->hands; there++)
        if (nursery_client_ask(brood->nursery, FRAME_FORK, 0, NULL) == 0)
            brood->asked++;
}

int brood_watch(const struct brood *brood, struct pollfd *fds) {
    int count = roster_watch(brood->roster, fds);
    fds[count] = (struct pollfd){.fd = nursery_client_fd(brood->nursery),
                                 .events = POLLIN};
    return count + 1;
}

int brood_serve(struct brood *brood, const struct pollfd *fds, int64_t now_ms,
                struct brood_outcome *outcome, struct err *err) {
    if (brood->ended)
        return 0;
    roster_serve(brood->roster, fds, &outcome->answered);
    if (fds[brood->settings->hands].revents &&
        hear_nursery(brood, now_ms, outcome, err) < 0)
        return -1;
    kill_overdue(brood, now_ms);
    order_hands(brood, now_ms);
    brood->ready = brood->ready || roster_count(brood->roster).free > 0;
    return 0;
}

int64_t brood_deadline(const struct brood *brood, int64_t now_ms) {
    int64_t deadline =
        again_earlier(now_ms + 500, roster_deadline(brood->roster));
    return brood->again.at_ms > now_ms
               ? again_earlier(deadline, brood->again.at_ms)
               : deadline;
}

int brood_give(struct brood *brood, int model, struct task *const *tasks,
               int count, int64_t now_ms) {
    int given = roster_give(brood->roster, model, tasks, count, now_ms);
    if (given)
        brood->again.pause_ms = 0;
    return given;
}

struct roster_counts brood_count(const struct brood *brood) {
    return roster_count(brood->roster);
}

int brood_deaths(const struct brood *brood) {
    return brood->deaths;
}

struct job_advert *brood_advert(struct brood *brood) {
    return brood->models_known ? &brood->advert : NULL;
}

bool brood_is_ready(const struct brood *brood) {
    return brood->ready && !brood->ended;
}
