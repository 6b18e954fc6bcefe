/*
 * task: a job on its way through this worker: what a front sent, then what a
 * hand made of it. It is in one list at a time and owned by who holds it: the
 * batcher, a hand's row of the roster, the writer.
 *
 *     struct task *task = task_new(front, &header, bytes, size);
 *     task_list_append(&list, task);
 *     while ((task = task_list_take(&list)))
 *         task_free(task);
 */
#ifndef CONVOY_WORKER_TASK_H
#define CONVOY_WORKER_TASK_H

#include "common/job.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What came of a task. */
struct answer {
    bool failed;   /* not answered this time: text is the reason, else the JSON
                      of the stored prediction */
    bool hopeless; /* failed, and so it would every time */
    char *text;    /* owned, NUL-terminated */
    size_t len;
    double decode_ms, infer_ms, total_ms;
};

struct task {
    struct task *next;
    int64_t front; /* see link.h */
    struct job_header header;
    void *bytes; /* owned: the image */
    size_t size;
    int model;                        /* see crew_find_model() */
    int64_t received_ms, answered_ms; /* monotonic */
    bool alone; /* not to be in a batch with others: the hand died under the
                   one that it was in, or it takes long */
    int losses; /* how often it was lost without being to blame */
    struct answer answer;
};

/* Takes over `bytes`; NULL, and the bytes are freed, where memory ran out. */
struct task *task_new(int64_t front, const struct job_header *header,
                      void *bytes, size_t size);
void task_free(struct task *task);

/* The sentence becomes the reason of a failure; an earlier answer goes. */
void task_fail(struct task *task, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* True where nobody waits for it any more. */
bool task_is_late(const struct task *task, int64_t now_ms);

struct task_list {
    struct task *first, *last;
    int count;
};

void task_list_append(struct task_list *list, struct task *task);
void task_list_prepend(struct task_list *list, struct task *task);
struct task *task_list_take(struct task_list *list); /* NULL: empty */

/* Takes `task`, which is the one after `previous` (NULL: the first), out. */
void task_list_remove(struct task_list *list, struct task *previous,
                      struct task *task);

#endif
