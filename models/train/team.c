#include "models/train/team.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct worker {
    struct team *team;
    pthread_t thread;
    int number;
};

struct team {
    pthread_mutex_t lock;
    pthread_cond_t start;
    pthread_cond_t done;
    int threads; /* with the caller */
    int started; /* of `workers`, which has threads - 1 */
    struct worker *workers;

    /* The job, under the lock. */
    unsigned generation;
    bool stop;
    team_fn *fn;
    void *arg;
    int items, next, unfinished;
};

/* Takes items until there are none; called and returns with the lock held. */
static void work(struct team *team, int number) {
    while (team->next < team->items) {
        int item = team->next++;
        pthread_mutex_unlock(&team->lock);
        team->fn(team->arg, item, number);
        pthread_mutex_lock(&team->lock);
        if (--team->unfinished == 0)
            pthread_cond_signal(&team->done);
    }
}

static void *run_worker(void *arg) {
    struct worker *worker = arg;
    struct team *team = worker->team;
    unsigned seen = 0;

    pthread_mutex_lock(&team->lock);
    for (;;) {
        while (team->generation == seen && !team->stop)
            pthread_cond_wait(&team->start, &team->lock);
        if (team->stop)
            break;
        seen = team->generation;
        work(team, worker->number);
    }
    pthread_mutex_unlock(&team->lock);
    return NULL;
}

struct team *team_open(int threads, struct err *err) {
    struct team *team = calloc(1, sizeof *team);
    if (!team) {
        err_set(err, "no memory for a team of threads");
        return NULL;
    }
    pthread_mutex_init(&team->lock, NULL);
    pthread_cond_init(&team->start, NULL);
    pthread_cond_init(&team->done, NULL);
    team->threads = threads;
    team->workers = calloc((size_t)threads, sizeof *team->workers);
    if (!team->workers) {
        err_set(err, "no memory for %d threads", threads);
        goto fail;
    }
    for (int i = 0; i < threads - 1; i++) {
        struct worker *worker = &team->workers[i];
        worker->team = team;
        worker->number = i + 1;
        int rc = pthread_create(&worker->thread, NULL, run_worker, worker);
        if (rc != 0) {
            err_set(err, "cannot start thread %d of %d: %s", i + 2, threads,
                    strerror(rc));
            goto fail;
        }
        team->started++;
    }
    return team;
fail:
    team_close(team);
    return NULL;
}

void team_close(struct team *team) {
    if (!team)
        return;
    pthread_mutex_lock(&team->lock);
    team->stop = true;
    pthread_cond_broadcast(&team->start);
    pthread_mutex_unlock(&team->lock);
    for (int i = 0; i < team->started; i++)
        pthread_join(team->workers[i].thread, NULL);
    pthread_cond_destroy(&team->done);
    pthread_cond_destroy(&team->start);
    pthread_mutex_destroy(&team->lock);
    free(team->workers);
    free(team);
}

int team_threads(const struct team *team) {
    return team->threads;
}

void team_run(struct team *team, int items, team_fn *fn, void *arg) {
    if (items <= 0)
        return;
    pthread_mutex_lock(&team->lock);
    team->fn = fn;
    team->arg = arg;
    team->items = items;
    team->next = 0;
    team->unfinished = items;
    team->generation++;
    pthread_cond_broadcast(&team->start);
    work(team, 0);
    while (team->unfinished > 0)
        pthread_cond_wait(&team->done, &team->lock);
    pthread_mutex_unlock(&team->lock);
}
