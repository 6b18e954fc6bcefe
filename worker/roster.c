#include "worker/roster.h"

#include "common/log.h"
#include "worker/batch.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum state { ABSENT, NEW, FREE, BUSY, BROKEN };

struct hand {
    enum state state;
    pid_t pid;
    int fd;
    struct frame_reader reader;
    struct task *tasks[BATCH_MAX]; /* NULL once answered */
    int count, open;
    struct batch_message *message; /* on its way to the hand */
    int64_t deadline_ms;
    bool greeted;    /* it said READY */
    const char *why; /* it is to be killed; NULL: it went by itself */
    bool reported;   /* by roster_overdue() */
};

struct roster {
    int hands_max;
    int64_t timeout_ms;
    struct hand *hands;
};

struct roster *roster_open(int hands_max, int64_t timeout_ms) {
    struct roster *roster = calloc(1, sizeof *roster);
    if (roster)
        roster->hands = calloc((size_t)hands_max, sizeof *roster->hands);
    if (!roster || !roster->hands) {
        free(roster);
        return NULL;
    }
    roster->hands_max = hands_max;
    roster->timeout_ms = timeout_ms;
    return roster;
}

/* What it had in work must have been taken from it. */
static void clear(struct hand *hand) {
    frame_reader_free(&hand->reader);
    free(hand->message);
    close(hand->fd);
    memset(hand, 0, sizeof *hand);
}

void roster_close(struct roster *roster) {
    if (!roster)
        return;
    for (int i = 0; i < roster->hands_max; i++) {
        struct hand *hand = &roster->hands[i];
        for (int k = 0; k < hand->count; k++)
            task_free(hand->tasks[k]);
        if (hand->state != ABSENT)
            clear(hand);
    }
    free(roster->hands);
    free(roster);
}

struct roster_counts roster_count(const struct roster *roster) {
    struct roster_counts counts = {0};
    for (int i = 0; i < roster->hands_max; i++) {
        counts.hands += roster->hands[i].state != ABSENT;
        counts.free += roster->hands[i].state == FREE;
        counts.busy += roster->hands[i].count > 0;
    }
    return counts;
}

static struct hand *find(const struct roster *roster, enum state state) {
    for (int i = 0; i < roster->hands_max; i++)
        if (roster->hands[i].state == state)
            return &roster->hands[i];
    return NULL;
}

static struct hand *find_pid(const struct roster *roster, pid_t pid) {
    for (int i = 0; i < roster->hands_max; i++)
        if (roster->hands[i].state != ABSENT && roster->hands[i].pid == pid)
            return &roster->hands[i];
    return NULL;
}

int roster_add(struct roster *roster, pid_t pid, int fd, struct err *err) {
    struct hand *hand = find(roster, ABSENT);
    if (!hand) {
        close(fd);
        return err_set(err, "a hand more than the %d that were asked for",
                       roster->hands_max);
    }
    fcntl(fd, F_SETFL, O_NONBLOCK);
    hand->state = NEW;
    hand->pid = pid;
    hand->fd = fd;
    hand->reader = FRAME_READER(BATCH_ANSWER_MAX + sizeof(struct batch_answer));
    return 0;
}

/* `why` NULL: its socket was closed, most likely because it died. */
static void spoil(struct hand *hand, const char *why, const char *detail) {
    log_event(why ? LOG_WARN : LOG_DEBUG, "hand-broken", "hand",
              log_number(hand->pid, 0), "reason", detail, NULL);
    hand->state = BROKEN;
    if (!hand->why)
        hand->why = why;
}

/* ---- a batch out, answers in --------------------------------------------- */

static void send_some(struct hand *hand) {
    struct err err = {0};
    struct batch_message *message = hand->message;
    int status =
        frame_write(hand->fd, &message->parts, &message->part_count, &err);
    if (status == 0)
        return;
    free(hand->message);
    hand->message = NULL;
    if (status < 0)
        spoil(hand, NULL, err.text);
}

int roster_give(struct roster *roster, int model, struct task *const *tasks,
                int count, int64_t now_ms) {
    struct hand *hand = find(roster, FREE);
    struct batch_message *message = hand ? malloc(sizeof *message) : NULL;
    if (!message)
        return 0;
    batch_encode(model, tasks, count, message);
    memcpy(hand->tasks, tasks, (size_t)count * sizeof *tasks);
    hand->count = hand->open = count;
    hand->message = message;
    hand->state = BUSY;
    hand->deadline_ms = now_ms + roster->timeout_ms;
    for (int i = 0; i < count; i++)
        log_event(LOG_DEBUG, "job-given", "request", tasks[i]->header.request,
                  "hand", log_number(hand->pid, 0), "batch",
                  log_number(count, 0), NULL);
    send_some(hand);
    return 1;
}

static void take_answer(struct hand *hand, const struct frame *frame,
                        struct task_list *answered) {
    struct err err = {0};
    struct task *task = batch_decode_answer(frame->body, frame->size,
                                            hand->tasks, hand->count, &err);
    if (!task) {
        spoil(hand, "it answered nonsense", err.text);
        return;
    }
    for (int i = 0; i < hand->count; i++)
        if (hand->tasks[i] == task)
            hand->tasks[i] = NULL;
    task_list_append(answered, task);
    if (--hand->open == 0) {
        hand->count = 0;
        if (hand->state == BUSY)
            hand->state = FREE;
    }
}

static void receive_some(struct hand *hand, struct task_list *answered) {
    struct err err = {0};
    struct frame frame;
    int status;
    while ((status = frame_read(&hand->reader, hand->fd, &frame, &err)) > 0) {
        if (frame.passed >= 0)
            close(frame.passed);
        if (frame.type == FRAME_READY && hand->state == NEW) {
            hand->state = FREE;
            hand->greeted = true;
        } else if (frame.type == FRAME_ANSWER && hand->count > 0) {
            take_answer(hand, &frame, answered);
        } else {
            spoil(hand, "it answered nonsense", "an unexpected message");
        }
        if (hand->state == BROKEN)
            return;
    }
    if (status < 0)
        spoil(hand, NULL, err.text);
}

int roster_watch(const struct roster *roster, struct pollfd *fds) {
    for (int i = 0; i < roster->hands_max; i++) {
        const struct hand *hand = &roster->hands[i];
        bool live = hand->state != ABSENT && hand->state != BROKEN;
        fds[i].fd = live ? hand->fd : -1;
        fds[i].events = (short)(POLLIN | (hand->message ? POLLOUT : 0));
        fds[i].revents = 0;
    }
    return roster->hands_max;
}

void roster_serve(struct roster *roster, const struct pollfd *fds,
                  struct task_list *answered) {
    for (int i = 0; i < roster->hands_max; i++) {
        struct hand *hand = &roster->hands[i];
        if (fds[i].fd < 0 || fds[i].fd != hand->fd)
            continue;
        if ((fds[i].revents & POLLOUT) && hand->message)
            send_some(hand);
        if ((fds[i].revents & ~POLLOUT) && hand->state != BROKEN)
            receive_some(hand, answered);
    }
}

/* ---- trouble ------------------------------------------------------------- */

pid_t roster_overdue(struct roster *roster, int64_t now_ms, const char **why) {
    for (int i = 0; i < roster->hands_max; i++) {
        struct hand *hand = &roster->hands[i];
        if (hand->state == BUSY && now_ms >= hand->deadline_ms && !hand->why)
            hand->why = "it took too long";
        bool doomed = hand->state == BROKEN || hand->why;
        if (hand->state == ABSENT || hand->reported || !doomed)
            continue;
        hand->reported = true;
        *why = hand->why;
        return hand->pid;
    }
    return 0;
}

int64_t roster_deadline(const struct roster *roster) {
    int64_t deadline = -1;
    for (int i = 0; i < roster->hands_max; i++) {
        const struct hand *hand = &roster->hands[i];
        if (hand->state == BUSY && !hand->why &&
            (deadline < 0 || hand->deadline_ms < deadline))
            deadline = hand->deadline_ms;
    }
    return deadline;
}

struct roster_loss roster_remove(struct roster *roster, pid_t pid,
                                 struct task_list *answered,
                                 struct task_list *lost) {
    struct hand *hand = find_pid(roster, pid);
    if (!hand)
        return (struct roster_loss){.known = false};
    int batch = hand->count;
    if (hand->state != BROKEN)
        receive_some(hand, answered);
    for (int i = 0; i < hand->count; i++)
        if (hand->tasks[i])
            task_list_append(lost, hand->tasks[i]);
    struct roster_loss loss = {

        .known = true,
        .was_new = !hand->greeted,
        .why = hand->why,
        .batch = batch};
    clear(hand);
    return loss;
}

pid_t roster_any(const struct roster *roster) {
    for (int i = 0; i < roster->hands_max; i++)
        if (roster->hands[i].state != ABSENT)
            return roster->hands[i].pid;
    return 0;
}
