#include "fcgi/waiters.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* One list for all: it is never longer than a quarter of the threads. */
struct waiters {
    pthread_mutex_t mutex;
    struct waiter *first;
    int places;
    bool stopped;
};

struct waiters *waiters_open(int places) {
    struct waiters *waiters = calloc(1, sizeof *waiters);
    if (!waiters)
        return NULL;
    pthread_mutex_init(&waiters->mutex, NULL);
    waiters->places = places;
    return waiters;
}

void waiters_close(struct waiters *waiters) {
    if (!waiters)
        return;
    pthread_mutex_destroy(&waiters->mutex);
    free(waiters);
}

bool waiters_enter(struct waiters *waiters) {
    pthread_mutex_lock(&waiters->mutex);
    bool entered = waiters->places > 0 && !waiters->stopped;
    waiters->places -= entered;
    pthread_mutex_unlock(&waiters->mutex);
    return entered;
}

void waiters_leave(struct waiters *waiters) {
    pthread_mutex_lock(&waiters->mutex);
    waiters->places++;
    pthread_mutex_unlock(&waiters->mutex);
}

void waiters_add(struct waiters *waiters, struct waiter *waiter,
                 const struct id *id) {
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    memset(waiter, 0, sizeof *waiter);
    pthread_cond_init(&waiter->wake, &attr);
    pthread_condattr_destroy(&attr);
    waiter->id = *id;
    pthread_mutex_lock(&waiters->mutex);
    waiter->woken = waiters->stopped;
    waiter->next = waiters->first;
    if (waiters->first)
        waiters->first->prev = waiter;
    waiters->first = waiter;
    pthread_mutex_unlock(&waiters->mutex);
}

void waiters_remove(struct waiters *waiters, struct waiter *waiter) {
    pthread_mutex_lock(&waiters->mutex);
    if (waiter->prev)
        waiter->prev->next = waiter->next;
    else
        waiters->first = waiter->next;
    if (waiter->next)
        waiter->next->prev = waiter->prev;
    pthread_mutex_unlock(&waiters->mutex);
    pthread_cond_destroy(&waiter->wake);
    free(waiter->result);
    waiter->result = NULL;
}

bool waiters_wait(struct waiters *waiters, struct waiter *waiter,
                  int64_t until_ms) {
    const struct timespec until = {.tv_sec = until_ms / 1000,
                                   .tv_nsec = until_ms % 1000 * 1000000};
    int status = 0;
    pthread_mutex_lock(&waiters->mutex);
    while (!waiter->woken && status == 0)
        status = pthread_cond_timedwait(&waiter->wake, &waiters->mutex, &until);
    bool woken = waiter->woken;
    waiter->woken = waiters->stopped;
    pthread_mutex_unlock(&waiters->mutex);
    return woken;
}

static void wake(struct waiter *waiter) {
    waiter->woken = true;
    pthread_cond_signal(&waiter->wake);
}

/* The first result is kept. Where there is no memory the waiter looks itself.
 */
static void give(struct waiter *waiter, const char *result, size_t len) {
    if (waiter->result || !(waiter->result = malloc(len + 1)))
        return;
    memcpy(waiter->result, result, len);
    waiter->result[len] = 0;
    waiter->result_len = len;
}

void waiters_tell(struct waiters *waiters, const struct id *id,
                  const char *result, size_t len) {
    pthread_mutex_lock(&waiters->mutex);
    for (struct waiter *w = waiters->first; w; w = w->next)
        if (memcmp(w->id.text, id->text, ID_LEN) == 0) {
            if (len > 0)
                give(w, result, len);
            wake(w);
        }
    pthread_mutex_unlock(&waiters->mutex);
}

void waiters_wake(struct waiters *waiters, const struct id *id) {
    waiters_tell(waiters, id, NULL, 0);
}

char *waiters_take(struct waiters *waiters, struct waiter *waiter,
                   size_t *len) {
    pthread_mutex_lock(&waiters->mutex);
    char *result = waiter->result;
    waiter->result = NULL;
    *len = waiter->result_len;
    pthread_mutex_unlock(&waiters->mutex);
    return result;
}

void waiters_stop(struct waiters *waiters) {
    pthread_mutex_lock(&waiters->mutex);
    waiters->stopped = true;
    for (struct waiter *w = waiters->first; w; w = w->next)
        wake(w);
    pthread_mutex_unlock(&waiters->mutex);
}

bool waiters_stopped(struct waiters *waiters) {
    pthread_mutex_lock(&waiters->mutex);
    bool stopped = waiters->stopped;
    pthread_mutex_unlock(&waiters->mutex);
    return stopped;
}
