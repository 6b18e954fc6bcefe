/*
 * batcher: what waits for a hand, and which of it makes the next batch. Pure:
 * no clock, no socket.
 *
 *     struct batcher batcher = {.batch_max = 8};
 *     batcher_put(&batcher, task);
 *     struct task *batch[8];
 *     int count = batcher_take(&batcher, idle, batch);
 *
 * Nobody waits for a batch to fill: what has queued while all hands were busy
 * is what a hand gets when it is free. A batch is of one model, that of the
 * task that has waited longest of those for which a hand is free, and in the
 * order of arrival. Where several hands are free they share what there is.
 */
#ifndef CONVOY_WORKER_BATCHER_H
#define CONVOY_WORKER_BATCHER_H

#include "worker/task.h"

/* Images of a batch together; one that is larger alone is a batch of one. It
 * bounds the memory that a hand's copy of its batch takes. */
#define BATCHER_BYTES_MAX ((size_t)32 << 20)

struct batcher {
    int batch_max;
    struct task_list waiting;
};

/* Takes the task over. */
void batcher_put(struct batcher *batcher, struct task *task);

/* The same for one that has waited already: it comes first. */
void batcher_put_back(struct batcher *batcher, struct task *task);

/* The next batch for a hand, where idle[model] are free for a task's model: at
 * most batch_max tasks, now the caller's; returns how many, 0 where nothing
 * waits that could be taken. A task marked `alone` is a batch of its own. */
int batcher_take(struct batcher *batcher, const int *idle, struct task **batch);

/* Takes out, into the list, the tasks that nobody waits for any more, and
 * those that have waited for longer than `limit_ms` (-1: no limit). */
void batcher_expire(struct batcher *batcher, int64_t now_ms, int64_t limit_ms,
                    struct task_list *late);

#endif
