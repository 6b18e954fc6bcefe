#include "worker/batcher.h"

void batcher_put(struct batcher *batcher, struct task *task) {
    task_list_append(&batcher->waiting, task);
}

void batcher_put_back(struct batcher *batcher, struct task *task) {
    task_list_prepend(&batcher->waiting, task);
}

static bool goes_with(const struct task *task, const struct task *first) {
    return task->model == first->model && !task->alone;
}

/* Its share of what could go with `first`, for one of `idle` hands. */
static int share(const struct batcher *batcher, const struct task *first,
                 int idle) {
    int count = 0;
    for (const struct task *t = first; t; t = t->next)
        count += goes_with(t, first);
    int part = idle > 1 ? (count + idle - 1) / idle : count;
    return part < batcher->batch_max ? part : batcher->batch_max;
}

int batcher_take(struct batcher *batcher, const int *idle,
                 struct task **batch) {
    struct task_list *waiting = &batcher->waiting;
    struct task *first = waiting->first, *previous = NULL, *next;
    for (; first && idle[first->model] <= 0; first = first->next)
        previous = first;
    if (!first)
        return 0;
    int most = first->alone ? 1 : share(batcher, first, idle[first->model]);
    int count = 0;
    size_t bytes = 0;
    for (struct task *t = first; t && count < most; t = next) {
        next = t->next;
        bool fits = count == 0 || (goes_with(t, batch[0]) &&
                                   t->size <= BATCHER_BYTES_MAX - bytes);
        if (!fits) {
            previous = t;
            continue;
        }
        task_list_remove(waiting, previous, t);
        batch[count++] = t;
        bytes += t->size;
        if (bytes >= BATCHER_BYTES_MAX)
            break;
    }
    return count;
}

void batcher_expire(struct batcher *batcher, int64_t now_ms, int64_t limit_ms,
                    struct task_list *late) {
    struct task *previous = NULL, *next;
    for (struct task *t = batcher->waiting.first; t; t = next) {
        next = t->next;
        bool too_long = limit_ms >= 0 && now_ms - t->received_ms > limit_ms;
        if (!too_long && !task_is_late(t, now_ms)) {
            previous = t;
            continue;
        }
        task_list_remove(&batcher->waiting, previous, t);
        task_list_append(late, t);
    }
}
