/*
 * roster: the hands as the foreman sees them: who is free, what each has in
 * work, and the bytes on their way to and from it. Nothing here blocks.
 *
 *     struct roster *roster = roster_open(hands, timeout_ms);
 *     roster_add(roster, pid, fd);                 the nursery made a hand
 *     roster_give(roster, model, tasks, count, now);   to a free one
 *     count = roster_watch(roster, fds);           fds[i] for poll(), then
 *     roster_serve(roster, fds, &answered);        tasks that came back
 *     roster_overdue(roster, now)                  pid to be killed
 *     roster_remove(roster, pid, &answered, &lost) the nursery reports it dead
 *
 * A hand is `new` until it says READY from its sandbox, then free or busy. One
 * whose socket fails or that sends nonsense is `broken`: it gets nothing more
 * and is to be killed; what it had comes back when the nursery reports its
 * death, after what it had still managed to answer.
 */
#ifndef CONVOY_WORKER_ROSTER_H
#define CONVOY_WORKER_ROSTER_H

#include "worker/task.h"

#include <poll.h>
#include <sys/types.h>

struct roster *roster_open(int hands_max, int64_t timeout_ms);

/* Frees the tasks that hands still have, too. */
void roster_close(struct roster *roster);

struct roster_counts {
    int hands; /* there, whatever their state */
    int free, busy;
};
struct roster_counts roster_count(const struct roster *roster);

/* Takes over `fd`. */
int roster_add(struct roster *roster, pid_t pid, int fd, struct err *err);

/* Hands a free hand a batch for the nursery's model of that index; 0 where none
 * is free. Takes the tasks over. */
int roster_give(struct roster *roster, int model, struct task *const *tasks,
                int count, int64_t now_ms);

/* Fills fds[0..hands_max). */
int roster_watch(const struct roster *roster, struct pollfd *fds);

/* After poll(): sends, receives; answered tasks go to the list. */
void roster_serve(struct roster *roster, const struct pollfd *fds,
                  struct task_list *answered);

/* The next hand that is broken or has been at its batch for too long, once;
 * 0: none. *why says it; NULL where its socket was just closed. */
pid_t roster_overdue(struct roster *roster, int64_t now_ms, const char **why);

/* When roster_overdue() is to be asked next, monotonic; -1: no need. */
int64_t roster_deadline(const struct roster *roster);

/* What became of a hand that is no more. */
struct roster_loss {
    bool known;      /* it was on the roster */
    bool was_new;    /* it died before its first READY */
    const char *why; /* what it was killed for; NULL: it went by itself */
    int batch;       /* the size of the batch it had */
};
struct roster_loss roster_remove(struct roster *roster, pid_t pid,
                                 struct task_list *answered,
                                 struct task_list *lost);

/* Any hand's pid, to remove them all; 0: none left. */
pid_t roster_any(const struct roster *roster);

#endif
