#include "worker/batch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void batch_encode(int model, struct task *const *tasks, int count,
                  struct batch_message *message) {
    size_t items = (size_t)count * sizeof *message->items, images = 0;
    message->head = (struct batch_head){model, count};
    message->storage[0] =
        (struct iovec){&message->frame, sizeof message->frame};
    message->storage[1] = (struct iovec){&message->head, sizeof message->head};
    message->storage[2] = (struct iovec){message->items, items};
    for (int i = 0; i < count; i++) {
        const struct job_header *header = &tasks[i]->header;
        memset(&message->items[i], 0, sizeof message->items[i]);
        message->items[i] = (struct batch_item){
            header->id, header->attempt, header->created_ms, tasks[i]->size};
        message->storage[3 + i] =
            (struct iovec){tasks[i]->bytes, tasks[i]->size};
        images += tasks[i]->size;
    }
    message->frame = (struct frame_head){
        FRAME_BATCH, (uint32_t)(sizeof message->head + items + images)};
    message->parts = message->storage;
    message->part_count = 3 + count;
}

int batch_decode(const void *body, size_t size, struct batch *batch,
                 struct err *err) {
    struct batch_head head;
    if (size < sizeof head)
        return err_set(err, "a batch of %zu bytes", size);
    memcpy(&head, body, sizeof head);
    size -= sizeof head;
    if (head.model < 0 || head.count < 1 || head.count > BATCH_MAX ||
        size < (size_t)head.count * sizeof *batch->items)
        return err_set(err, "a malformed batch of %d", head.count);
    size -= (size_t)head.count * sizeof *batch->items;
    batch->model = head.model;
    batch->count = head.count;
    batch->items =
        (const struct batch_item *)((const char *)body + sizeof head);
    batch->images = (const char *)(batch->items + head.count);
    for (int i = 0; i < head.count; i++) {
        if (batch->items[i].size > size)
            return err_set(err, "a batch with image %d cut off", i);
        size -= (size_t)batch->items[i].size;
    }
    return size ? err_set(err, "a batch with %zu bytes too many", size) : 0;
}

static bool is_time(double ms) {
    return isfinite(ms) && ms >= 0;
}

struct task *batch_decode_answer(const void *body, size_t size,
                                 struct task *const *open, int count,
                                 struct err *err) {
    struct batch_answer answer;
    if (size <= sizeof answer || size - sizeof answer > BATCH_ANSWER_MAX) {
        err_set(err, "an answer of %zu bytes", size);
        return NULL;
    }
    memcpy(&answer, body, sizeof answer);
    if (answer.index < 0 || answer.index >= count || !open[answer.index]) {
        err_set(err, "an answer to image %d of %d, which is not open",
                answer.index, count);
        return NULL;
    }
    if (!is_time(answer.decode_ms) || !is_time(answer.infer_ms) ||
        !is_time(answer.total_ms)) {
        err_set(err, "an answer with impossible times");
        return NULL;
    }
    size_t len = size - sizeof answer;
    char *text = malloc(len + 1);
    if (!text) {
        err_set(err, "no memory for an answer of %zu bytes", len);
        return NULL;
    }
    memcpy(text, (const char *)body + sizeof answer, len);
    text[len] = 0;
    struct task *task = open[answer.index];
    free(task->answer.text);
    task->answer =
        (struct answer){.failed = answer.failed != BATCH_ANSWERED,
                        .hopeless = answer.failed == BATCH_TOO_MUCH_WORK,
                        .text = text,
                        .len = len,
                        .decode_ms = answer.decode_ms,
                        .infer_ms = answer.infer_ms,
                        .total_ms = answer.total_ms};
    return task;
}
