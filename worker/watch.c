#include "worker/watch.h"

#include "worker/stock.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct watch {
    const char *models;
    int64_t period_ms;
    int changed, closing; /* eventfds */
    bool started;
    pthread_t thread;
    /* The thread's own. */
    uint64_t told, last; /* marks: of what was told of, of the last look */
    int still;           /* looks that found `last` again */
};

static uint64_t look(const struct watch *watch) {
    struct stock *stock = stock_list(watch->models, NULL);
    uint64_t mark = stock ? stock_mark_all(stock) : watch->last;
    stock_free(stock);
    return mark;
}

static void compare(struct watch *watch, uint64_t mark) {
    watch->still = mark == watch->last ? watch->still + 1 : 0;
    watch->last = mark;
    if (mark == watch->told || watch->still < WATCH_STILL)
        return;
    watch->told = mark;
    eventfd_write(watch->changed, 1);
}

static void *run(void *argument) {
    struct watch *watch = argument;
    struct pollfd closing = {.fd = watch->closing, .events = POLLIN};
    while (poll(&closing, 1, (int)watch->period_ms) <= 0)
        compare(watch, look(watch));
    return NULL;
}

struct watch *watch_open(const char *models, int64_t period_ms,
                         struct err *err) {
    struct watch *watch = calloc(1, sizeof *watch);
    if (!watch) {
        err_set(err, "no memory to watch the models");
        return NULL;
    }
    watch->models = models;
    watch->period_ms = period_ms;
    watch->changed = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    watch->closing = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (watch->changed < 0 || watch->closing < 0) {
        err_set(err, "eventfd: %s", strerror(errno));
        goto fail;
    }
    if (period_ms <= 0)
        return watch;
    watch->told = watch->last = look(watch);
    int status = pthread_create(&watch->thread, NULL, run, watch);
    if (status != 0) {
        err_set(err, "cannot start a thread to watch the models: %s",
                strerror(status));
        goto fail;
    }
    watch->started = true;
    return watch;
fail:
    watch_close(watch);
    return NULL;
}

void watch_close(struct watch *watch) {
    if (!watch)
        return;
    if (watch->started) {
        eventfd_write(watch->closing, 1);
        pthread_join(watch->thread, NULL);
    }
    if (watch->changed >= 0)
        close(watch->changed);
    if (watch->closing >= 0)
        close(watch->closing);
    free(watch);
}

int watch_fd(const struct watch *watch) {
    return watch->changed;
}

bool watch_take(struct watch *watch) {
    eventfd_t times;
    return eventfd_read(watch->changed, &times) == 0;
}
