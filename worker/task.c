#include "worker/task.h"

#include "common/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct task *task_new(int64_t front, const struct job_header *header,
                      void *bytes, size_t size) {
    struct task *task = calloc(1, sizeof *task);
    if (!task) {
        free(bytes);
        return NULL;
    }
    task->front = front;
    task->header = *header;
    task->bytes = bytes;
    task->size = size;
    task->received_ms = clock_ms();
    return task;
}

void task_free(struct task *task) {
    if (task) {
        free(task->bytes);
        free(task->answer.text);
        free(task);
    }
}

void task_fail(struct task *task, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    free(task->answer.text);
    task->answer = (struct answer){.failed = true, .text = strdup(text)};
    task->answer.len = task->answer.text ? strlen(text) : 0;
}

bool task_is_late(const struct task *task, int64_t now_ms) {
    return task->header.number > 0 &&
           now_ms - task->received_ms > (int64_t)task->header.number;
}

void task_list_append(struct task_list *list, struct task *task) {
    task->next = NULL;
    if (list->last)
        list->last->next = task;
    else
        list->first = task;
    list->last = task;
    list->count++;
}

void task_list_prepend(struct task_list *list, struct task *task) {
    task->next = list->first;
    list->first = task;
    if (!list->last)
        list->last = task;
    list->count++;
}

void task_list_remove(struct task_list *list, struct task *previous,
                      struct task *task) {
    if (previous)
        previous->next = task->next;
    else
        list->first = task->next;
    if (list->last == task)
        list->last = previous;
    list->count--;
    task->next = NULL;
}

struct task *task_list_take(struct task_list *list) {
    struct task *task = list->first;
    if (task)
        task_list_remove(list, NULL, task);
    return task;
}
