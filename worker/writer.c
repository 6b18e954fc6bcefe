/*
 * One mutex guards two lists, what came in and what went out; the thread holds
 * it only to move tasks. An eventfd wakes the foreman's poll().
 */
#include "worker/writer.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/store.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PAUSE_MS 200 /* between attempts while Redis is away */
#define AWAY_MS 1000 /* a Redis that restarts is back sooner */

struct notice {
    char name[128];
    char *json; /* NULL: nothing to announce */
    int ttl_s;
};

enum reach { UNKNOWN, WORKS, AWAY }; /* whether results get to Redis */

struct writer {
    struct store *store;
    int ttl_s;
    int64_t patience_ms;
    pthread_t thread;
    bool started, closing;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct task_list in, out;
    int count; /* in, out and at work */
    int event; /* readable while `out` may hold something */
    enum reach reach;
    struct err away; /* the thread's own: why the last attempt failed, or "" */
    int64_t away_ms; /* likewise: since when */
    struct notice notice;
};

/* ---- the thread ---------------------------------------------------------- */

/* With the mutex: sleeps until something changes, or PAUSE_MS at most. */
static void pause_a_little(struct writer *w) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += PAUSE_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    int64_t end = clock_ms() + PAUSE_MS;
    while (!w->closing && clock_ms() < end)
        pthread_cond_timedwait(&w->changed, &w->mutex, &until);
}

/* With the mutex, after each attempt. */
static void note_attempt(struct writer *w) {
    bool failed = *w->away.text != 0;
    enum reach reach = failed ? AWAY : WORKS;
    if (!failed)
        w->away_ms = 0;
    else if (w->away_ms == 0)
        w->away_ms = clock_ms();
    if (failed && w->reach == WORKS && clock_ms() - w->away_ms < AWAY_MS)
        reach = WORKS;
    if (reach == w->reach)
        return;
    w->reach = reach;
    if (reach == WORKS)
        log_event(LOG_INFO, "redis-works", NULL);
    else
        log_event(LOG_ERROR, "redis-away", "reason", w->away.text, NULL);
    eventfd_write(w->event, 1);
}

static bool is_overdue(const struct writer *w, const struct task *task) {
    return clock_ms() - task->answered_ms >= w->patience_ms;
}

/* True once the task's fate is sealed. While Redis is away one task is tried
 * after its time and the others are not: each would cost a timeout. */
static bool try_to_write(struct writer *w, struct task *task) {
    bool hopeless = *w->away.text && is_overdue(w, task);
    if (!hopeless) {
        *w->away.text = 0;
        if (store_finish(w->store, &task->header.id, task->answer.text,
                         task->answer.len, w->ttl_s, NULL, &w->away) == 0)
            return true;
    }
    bool given_up = hopeless || is_overdue(w, task);
    log_event(given_up ? LOG_ERROR : LOG_WARN, "result-not-written", "request",
              task->header.request, "id", task->header.id.text, "reason",
              w->away.text, NULL);
    if (given_up)
        task_fail(task, "the result could not be stored");
    return given_up;
}

static void announce(struct writer *w) {
    struct notice notice = w->notice;
    w->notice.json = NULL;
    pthread_mutex_unlock(&w->mutex);
    *w->away.text = 0;
    if (store_announce_worker(w->store, notice.name, notice.json, notice.ttl_s,
                              &w->away) < 0)
        log_event(LOG_WARN, "not-announced", "reason", w->away.text, NULL);
    free(notice.json);
    pthread_mutex_lock(&w->mutex);
    note_attempt(w);
}

/* Is it there again, or for the first time? */
static void ask(struct writer *w) {
    pthread_mutex_unlock(&w->mutex);
    *w->away.text = 0;
    store_ping(w->store, &w->away);
    pthread_mutex_lock(&w->mutex);
    note_attempt(w);
    if (*w->away.text)
        pause_a_little(w);
}

static void hand_back(struct writer *w, struct task *task) {
    task_list_append(&w->out, task);
    eventfd_write(w->event, 1);
}

static void write_one(struct writer *w, struct task *task) {
    bool done = false;
    while (!done && !w->closing) {
        pthread_mutex_unlock(&w->mutex);
        done = try_to_write(w, task);
        pthread_mutex_lock(&w->mutex);
        note_attempt(w);
        if (!done)
            pause_a_little(w);
    }
    hand_back(w, task);
}

/* What has come together goes to Redis in one round trip; what did not get
 * there is tried one by one. */
static void write_batch(struct writer *w) {
    struct task *tasks[STORE_BATCH_MAX];
    struct store_result results[STORE_BATCH_MAX];
    int count = 0;
    while (count < STORE_BATCH_MAX &&
           (tasks[count] = task_list_take(&w->in)) != NULL) {
        const struct task *task = tasks[count];
        results[count++] = (struct store_result){.id = &task->header.id,
                                                 .json = task->answer.text,
                                                 .len = task->answer.len};
    }
    pthread_mutex_unlock(&w->mutex);
    if (!*w->away.text)
        store_finish_all(w->store, results, count, w->ttl_s, NULL);
    pthread_mutex_lock(&w->mutex);
    for (int i = 0; i < count; i++)
        if (results[i].finished)
            hand_back(w, tasks[i]);
    for (int i = 0; i < count; i++)
        if (!results[i].finished)
            write_one(w, tasks[i]);
}

static void *run(void *argument) {
    struct writer *w = argument;
    pthread_mutex_lock(&w->mutex);
    while (!w->closing) {
        if (w->in.count > 0)
            write_batch(w);
        else if (w->reach != WORKS || *w->away.text)
            ask(w);
        else if (w->notice.json)
            announce(w);
        else
            pthread_cond_wait(&w->changed, &w->mutex);
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

/* ---- the foreman's side -------------------------------------------------- */

struct writer *writer_open(const char *redis, int ttl_s, int64_t patience_ms,
                           struct err *err) {
    struct writer *w = calloc(1, sizeof *w);
    if (!w) {
        err_set(err, "no memory for the writer");
        return NULL;
    }
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&w->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&w->mutex, NULL);
    w->ttl_s = ttl_s;
    w->patience_ms = patience_ms;
    w->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w->store = store_open(redis, err);
    if (!w->store)
        goto fail;
    w->started = pthread_create(&w->thread, NULL, run, w) == 0;
    if (!w->started) {
        err_set(err, "cannot start the writer's thread");
        goto fail;
    }
    return w;
fail:
    writer_close(w);
    return NULL;
}

void writer_close(struct writer *w) {
    if (!w)
        return;
    pthread_mutex_lock(&w->mutex);
    w->closing = true;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->mutex);
    if (w->started)
        pthread_join(w->thread, NULL);
    struct task *task;
    while ((task = task_list_take(&w->in)) || (task = task_list_take(&w->out)))
        task_free(task);
    store_close(w->store);
    free(w->notice.json);
    close(w->event);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->mutex);
    free(w);
}

void writer_put(struct writer *w, struct task *task) {
    task->answered_ms = clock_ms();
    pthread_mutex_lock(&w->mutex);
    task_list_append(&w->in, task);
    w->count++;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->mutex);
}

struct task *writer_take(struct writer *w) {
    pthread_mutex_lock(&w->mutex);
    struct task *task = task_list_take(&w->out);
    eventfd_t value;
    if (task)
        w->count--;
    else
        eventfd_read(w->event, &value);
    pthread_mutex_unlock(&w->mutex);
    return task;
}

int writer_fd(const struct writer *w) {
    return w->event;
}

bool writer_works(struct writer *w) {
    pthread_mutex_lock(&w->mutex);
    bool works = w->reach == WORKS;
    pthread_mutex_unlock(&w->mutex);
    return works;
}

int writer_count(struct writer *w) {
    pthread_mutex_lock(&w->mutex);
    int count = w->count;
    pthread_mutex_unlock(&w->mutex);
    return count;
}

void writer_announce(struct writer *w, const char *name, char *json,
                     int ttl_s) {
    pthread_mutex_lock(&w->mutex);
    free(w->notice.json);
    w->notice = (struct notice){.json = json, .ttl_s = ttl_s};
    snprintf(w->notice.name, sizeof w->notice.name, "%s", name);
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->mutex);
}
